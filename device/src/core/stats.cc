#include "core/stats.h"

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

std::string Json(const ProgramStats& program) {
  const Traffic& bytes = program.last;
  std::string text = "{\"model\": " + Quoted(program.model) + ", \"kind\": \"" + Name(program.kind) + "\", " +
                     Field("runs", program.runs) + ", " + Field("compiler_cycles", program.cycles) +
                     ",\n   \"bytes_per_run\": {" + Field("instructions", bytes.instructions) + ", " +
                     Field("parameters", bytes.parameters) + ", " + Field("inputs", bytes.inputs) + ", " +
                     Field("outputs", bytes.outputs) + ", " + Field("events", bytes.events) + ", " +
                     Field("headers", bytes.headers) + "}";
  return text + ",\n   \"expected_transfer_ms\": {" + Field("usb3", ExpectedMilliseconds(bytes, true)) +
         ", " + Field("usb2", ExpectedMilliseconds(bytes, false)) + "}}";
}

}  // namespace

void Stats::Ran(const Program& program, const Traffic& traffic) {
  ProgramStats& stats = programs_[{program.package, program.kind}];
  stats.model = program.model;
  stats.kind = program.kind;
  stats.cycles = program.cycles;
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

double ExpectedMilliseconds(const Traffic& traffic, bool super_speed) {
  // Megabytes a second that bulk transfers reach.
  const double rate = super_speed ? 420 : 38;
  return static_cast<double>(traffic.out() + traffic.in()) / rate / 1e3;
}

}  // namespace coral_device
