// What the chip does with what comes over the bulk endpoints: it recognises programs and follows their steps.
#pragma once

#include <array>
#include <optional>
#include <set>

#include "core/program.h"
#include "core/stats.h"

namespace coral_device {

// Kinds of bulk OUT data; the numbers are those of the header before it.
enum class Tag : uint8_t { kInstructions = 0, kInput = 1, kParameters = 2 };
constexpr size_t kTags = 3;

// Something to compute, outside of the engine. `number` tells whether the answer is still wanted.
struct Job {
  uint64_t number;
  std::shared_ptr<const Program> program;
  Tensors inputs;
};

// What the engine does as it goes; it may be asked to stop in the middle.
class EngineClient {
 public:
  virtual ~EngineClient() = default;
  virtual void OnStart(const Program& program) = 0;
  virtual void OnParameters(const Program& program) = 0;
  // Bytes for the IN endpoint, one transfer's worth after the other.
  virtual void OnOutput(Bytes bytes) = 0;
  virtual void OnInterrupt(uint8_t number) = 0;
  virtual void OnDone(const Program& program) = 0;
  // It cannot go on: instructions that it does not know, or data that does not fit.
  virtual void OnFailure(const std::string& why) = 0;
};

class Engine {
 public:
  Engine(const Programs* programs, EngineClient* client, Stats* stats);

  // Data that came in. `whole` says that it ends where the driver ended it: a header told its length.
  void Feed(Tag tag, const Bytes& data, bool whole);

  // Hands out each job once.
  std::optional<Job> TakeJob();
  // The answer to a job; an old one is ignored. `in_order` as in ToWire().
  void Finish(uint64_t number, const Tensors& outputs, bool in_order);
  void Fail(uint64_t number, const std::string& why);

  // What was going on is forgotten; `sleep` forgets the cached parameters too.
  void Restart(bool sleep);

  bool Busy() const { return current_.has_value(); }

 private:
  struct Run {
    // Programs that fit all that was sent so far. Models that differ in their parameters only begin alike.
    Programs candidates;
    size_t position = 0;
    std::vector<Bytes> inputs;   // by layer; batches one after the other
    std::vector<Bytes> outputs;  // likewise, once they are computed
    bool computing = false;
    bool computed = false;
    Traffic traffic;

    const Program& program() const { return *candidates.front(); }
  };

  bool Advance();
  bool Begin();
  bool Perform(const Step& step);
  bool TakeInstructions(const Step& step);
  bool TakeParameters(const Step& step);
  bool TakeInput(const Step& step);
  bool SendOutput(const Step& step);
  void StartComputing();
  void End();
  std::optional<Bytes> Take(Tag tag, size_t size);
  std::string MissingParameters(const Program& program) const;
  void Stop(const std::string& why);

  const Programs* const programs_;
  EngineClient* const client_;
  Stats* const stats_;
  std::array<Bytes, kTags> streams_;
  bool whole_ = true;
  bool stopped_ = false;
  std::optional<Run> current_;
  std::optional<Job> job_;
  uint64_t jobs_ = 0;
  // Parameters in the chip's memory: the packages that share it under one token.
  uint64_t cached_token_ = 0;
  std::set<size_t> cached_;
};

}  // namespace coral_device
