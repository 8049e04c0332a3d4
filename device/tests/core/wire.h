// A device on a bench: programs that exist only here, and a hand on the wire.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/accelerator.h"

namespace coral_device {

// Keeps what the device says.
struct Heard : Listener {
  void Say(Level level, const std::string& text) override {
    if (level == Level::kError) errors.push_back(text);
  }
  std::vector<std::string> errors;
};

inline Layer MakeLayer(const std::string& name, size_t elements, size_t wire_bytes) {
  return {name, wire_bytes, elements, 1, false, {}};
}

inline Chunk MakeChunk(Bytes code) {
  Chunk chunk{std::move(code), {}};
  chunk.patched.resize(chunk.code.size());
  return chunk;
}

// Loads two bytes of parameters; its instructions are 10, 11, and one that the driver changes.
inline std::shared_ptr<Program> MakeCaching(const std::string& model, size_t package, uint64_t token,
                                            Bytes parameters) {
  auto made = std::make_shared<Program>();
  made->model = model;
  made->package = package;
  made->kind = ProgramKind::kParameterCaching;
  made->batch_size = 1;
  made->caching_token = token;
  made->cycles = 0;
  made->chunks = {MakeChunk({10, 11, 0})};
  made->chunks[0].patched[2] = true;
  made->parameters = std::move(parameters);
  const auto size = static_cast<uint32_t>(made->parameters.size());
  made->steps = {{StepKind::kInstructions, 0, 0, 0, 0},
                 {StepKind::kParameters, 0, 0, 0, size},
                 {StepKind::kInterrupt, 0, 0, 0, 0}};
  return made;
}

// Takes 4 bytes, gives 4 in a buffer of 8; its instructions are 20, 21, 22.
inline std::shared_ptr<Program> MakeExecution(const std::string& model, size_t package, uint64_t token) {
  auto made = std::make_shared<Program>();
  made->model = model;
  made->package = package;
  made->kind = ProgramKind::kExecutionOnly;
  made->batch_size = 1;
  made->caching_token = token;
  made->cycles = 0;
  made->chunks = {MakeChunk({20, 21, 22})};
  made->inputs = {MakeLayer("in", 4, 4)};
  made->outputs = {MakeLayer("out", 4, 8)};
  made->steps = {{StepKind::kInstructions, 0, 0, 0, 0},
                 {StepKind::kInput, 0, 0, 0, 4},
                 {StepKind::kOutput, 0, 0, 0, 8},
                 {StepKind::kInterrupt, 0, 0, 0, 0}};
  return made;
}

// What the programs above compute: each byte one more.
inline std::string AddOne(const Program&, const Tensors& inputs, Tensors* outputs) {
  *outputs = inputs;
  for (auto& one : *outputs) {
    for (Bytes& tensor : one) {
      for (uint8_t& byte : tensor) ++byte;
    }
  }
  return "";
}

class Bench {
 public:
  explicit Bench(Programs given, Accelerator::Options options = AppMode())
      : programs(std::move(given)), device(options, &programs, &heard) {}

  static Accelerator::Options AppMode() {
    Accelerator::Options options;
    options.start = Mode::kApp;
    return options;
  }

  static Accelerator::Options WithFault(const std::string& fault, Mode start = Mode::kApp) {
    Accelerator::Options options;
    options.start = start;
    options.faults.Add(fault);
    return options;
  }

  // Reads are posted ahead, as the driver does: one for each id from here on.
  uint64_t Read(uint8_t endpoint, uint32_t length = 1024) {
    device.Submit({next_, endpoint, {}, length});
    return next_++;
  }

  Status Write(uint8_t endpoint, const Bytes& data) {
    const uint64_t id = next_++;
    device.Submit({id, endpoint, data, 0});
    Collect();
    const auto found = completed.find(id);
    return found == completed.end() ? Status::kTimedOut : found->second.status;
  }

  // A header and what it announces.
  Status Send(Tag tag, const Bytes& data) {
    const auto size = static_cast<uint8_t>(data.size());
    const Status status = Write(kOutEndpoint, {size, 0, 0, 0, static_cast<uint8_t>(tag), 0, 0, 0});
    return status == Status::kOk ? Write(kOutEndpoint, data) : status;
  }

  // Computes what there is to compute, and collects what has completed.
  void Work(const Compute& compute = AddOne) {
    while (std::optional<Job> job = device.TakeJob()) {
      Tensors outputs;
      const std::string wrong = compute(*job->program, job->inputs, &outputs);
      if (wrong.empty()) {
        device.Finish(job->number, outputs);
      } else {
        device.Fail(job->number, wrong);
      }
    }
    Collect();
  }

  Bytes Data(uint64_t id) { return completed.count(id) != 0 ? completed[id].data : Bytes(); }
  bool Done(uint64_t id) { return completed.count(id) != 0; }

  void Collect() {
    for (Completion& completion : device.TakeCompletions()) completed[completion.id] = completion;
  }

  std::optional<Answer> ReadRegister(uint32_t offset) {
    return device.Control({0xC0, 1, static_cast<uint16_t>(offset), static_cast<uint16_t>(offset >> 16), 4},
                          {});
  }

  std::optional<Answer> WriteRegister(uint32_t offset, uint32_t value) {
    const Bytes data = {static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8),
                        static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 24)};
    return device.Control({0x40, 1, static_cast<uint16_t>(offset), static_cast<uint16_t>(offset >> 16), 4},
                          data);
  }

  Programs programs;
  Heard heard;
  Accelerator device;
  std::map<uint64_t, Completion> completed;

 private:
  uint64_t next_ = 1;
};

// The event that ends a program: the tag of the scalar core's first interrupt.
inline Bytes Event() { return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0}; }

}  // namespace coral_device
