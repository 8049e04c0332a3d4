// An executable of a compiled model: what is sent for it, in which order, and what comes back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/layer.h"

namespace coral_device {

// The numbers are those of the package's format.
enum class ProgramKind : uint8_t { kStandAlone = 0, kParameterCaching = 1, kExecutionOnly = 2 };

// Instructions. The driver writes the addresses of its buffers into some bytes of them.
struct Chunk {
  Bytes code;
  std::vector<bool> patched;  // for each byte: the driver may have changed it

  bool Matches(const uint8_t* sent) const;
};

enum class StepKind : uint8_t {
  kInstructions,  // the chunk `index`, whole
  kParameters,
  kInput,      // of the layer `index`
  kOutput,     // of the layer `index`
  kScratchIn,  // what the host kept for the chip comes back
  kScratchOut,
  kInterrupt,  // of the number `index`
  kFence,      // nothing goes over USB
};

// One transfer, as the package's DMA hints list them.
struct Step {
  StepKind kind;
  uint32_t index;
  uint32_t batch;
  uint32_t offset;  // bytes, in the parameters or the layer's buffer
  uint32_t size;    // bytes
};

// Multiplications, each with an addition, that the plain model says. Other operations need next to none.
struct Multiplications {
  uint64_t dense = 0;  // convolutions and fully connected layers
  uint64_t depthwise = 0;
};

struct Program {
  std::string model;  // the compiled file, with its folder
  size_t package;     // which custom operator: programs of one belong together
  ProgramKind kind;
  uint32_t batch_size;
  uint64_t caching_token;  // programs with equal tokens share the chip's memory; 0: nothing is cached
  uint64_t cycles;         // the compiler's estimate, 0 if it made none
  Multiplications multiplications;  // for one of a batch; none in parameter caching
  std::vector<Chunk> chunks;
  Bytes parameters;
  std::vector<Step> steps;
  std::vector<Layer> inputs;
  std::vector<Layer> outputs;

  // The instructions that come first, and tell which program it is. The reader makes sure that there are
  // some.
  const Chunk& first() const { return chunks[steps.front().index]; }
};

using Programs = std::vector<std::shared_ptr<const Program>>;

// For each of a batch, the bytes of each layer's tensor.
using Tensors = std::vector<std::vector<Bytes>>;

// Computes what a program computes. Returns what went wrong, empty if nothing did.
using Compute = std::function<std::string(const Program& program, const Tensors& inputs, Tensors* outputs)>;

}  // namespace coral_device
