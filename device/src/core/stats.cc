#include "core/stats.h"

#include <algorithm>
#include <cstdio>

namespace coral_device {
namespace {

const char* Name(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::kStandAlone:
      return "stand-alone";
    case ProgramKind::kParameterCaching:
      return "parameter-caching";
    case ProgramKind::kExecutionOnly:
      return "execution";
  }
  return "";
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    char escape[8];
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(escape, sizeof(escape), "\\u%04x", c);
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string Field(const char* name, uint64_t number) {
  return std::string("\"") + name + "\": " + std::to_string(number);
}

std::string Field(const char* name, double number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", number);
  return std::string("\"") + name + "\": " + text;
}

// Fitted to published times, as docs/device.md says; src/coralforge/edgetpu/estimate.py has them too.
constexpr double kSuperSpeed = 430, kHighSpeed = 38;  // megabytes a second that bulk transfers reach
constexpr double kHost = 0.3;                         // milliseconds
constexpr double kDense = 1000, kDepthwise = 17.5;    // million multiplications a millisecond

double Milliseconds(uint64_t bytes, bool super_speed) {
  return static_cast<double>(bytes) / (super_speed ? kSuperSpeed : kHighSpeed) / 1e3;
}

std::string Json(const ProgramStats& program) {
  const Traffic& bytes = program.last;
  std::string text = "{\"model\": " + Quoted(program.model) + ", \"kind\": \"" + Name(program.kind) + "\", " +
                     Field("runs", program.runs) + ", " + Field("compiler_cycles", program.cycles) +
                     ",\n   \"bytes_per_run\": {" + Field("instructions", bytes.instructions) + ", " +
                     Field("parameters", bytes.parameters) + ", " + Field("inputs", bytes.inputs) + ", " +
                     Field("outputs", bytes.outputs) + ", " + Field("events", bytes.events) + ", " +
                     Field("headers", bytes.headers) + "}";
  text += ",\n   \"expected_transfer_ms\": {" + Field("usb3", TransferMilliseconds(bytes, true)) + ", " +
          Field("usb2", TransferMilliseconds(bytes, false)) + "}";
  if (program.kind == ProgramKind::kParameterCaching) return text + "}";
  const Multiplications& work = program.multiplications;
  return text + ",\n   \"multiplications\": {" + Field("dense", work.dense) + ", " +
         Field("depthwise", work.depthwise) + "}, \"expected_ms\": {" +
         Field("usb3", InferenceMilliseconds(bytes, work, true)) + ", " +
         Field("usb2", InferenceMilliseconds(bytes, work, false)) + "}}";
}

}  // namespace

void Stats::Ran(const Program& program, const Traffic& traffic) {
  ProgramStats& stats = programs_[{program.package, program.kind}];
  stats.model = program.model;
  stats.kind = program.kind;
  stats.cycles = program.cycles;
  stats.multiplications.dense = program.multiplications.dense * program.batch_size;
  stats.multiplications.depthwise = program.multiplications.depthwise * program.batch_size;
  ++stats.runs;
  stats.last = traffic;
}

std::string Stats::Json() const {
  std::string text = "{\"emulated_device\": true,\n \"resets\": " + std::to_string(resets_) + ",\n " +
                     Field("firmware_bytes", firmware_bytes_) + ",\n \"control_transfers\": {" +
                     Field("standard", control_.standard) + ", " + Field("firmware", control_.firmware) +
                     ", " + Field("register_reads", control_.register_reads) + ", " +
                     Field("register_writes", control_.register_writes) + "},\n \"programs\": [";
  const char* separator = "\n  ";
  for (const auto& [key, program] : programs_) {
    text += separator + coral_device::Json(program);
    separator = ",\n  ";
  }
  return text + "]}\n";
}

double TransferMilliseconds(const Traffic& traffic, bool super_speed) {
  return Milliseconds(traffic.out() + traffic.in(), super_speed);
}

double InferenceMilliseconds(const Traffic& traffic, const Multiplications& work, bool super_speed) {
  // The chip computes while parameters that are streamed come in, but for that it needs its input.
  const double computing =
      (static_cast<double>(work.dense) / kDense + static_cast<double>(work.depthwise) / kDepthwise) / 1e6;
  const double streaming = Milliseconds(traffic.parameters, super_speed);
  const double moving = TransferMilliseconds(traffic, super_speed) - streaming;
  return kHost + moving + std::max(computing, streaming);
}

}  // namespace coral_device
