// A Coral USB Accelerator, as it looks from the wire. It has no thread, clock or socket: a front calls it and
// then asks what has come of it.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>

#include "core/descriptors.h"
#include "core/engine.h"
#include "core/faults.h"
#include "core/firmware.h"
#include "core/registers.h"
#include "core/stats.h"
#include "core/usb.h"

namespace coral_device {

class Accelerator : private EngineClient {
 public:
  struct Options {
    Mode start = Mode::kDfu;
    Speed speed = Speed::kSuper;
    Faults faults;
  };

  // `programs` and `listener` live longer than the device.
  Accelerator(const Options& options, const Programs* programs, Listener* listener);
  ~Accelerator() override = default;

  // On the bus, to be found under its ids.
  bool present() const { return present_; }
  Appearance appearance() const;
  Faults& faults() { return options_.faults; }
  const Stats& stats() const { return stats_; }

  // A control transfer; nothing, if the device does not answer.
  std::optional<Answer> Control(const Setup& setup, const Bytes& data);
  void Submit(Transfer transfer);
  // The transfer completes as cancelled, unless it has completed already.
  void Cancel(uint64_t id);
  // A USB reset. Returns whether it comes back as another device.
  bool Reset();
  // All transfers end with `status`, and what was going on is forgotten: its user is gone.
  void Abandon(Status status);

  void Unplug();
  void Plug();
  void SetSpeed(Speed speed) { options_.speed = speed; }

  // Something to compute, each once; the answer goes to Finish(), if there is one, or to Fail().
  std::optional<Job> TakeJob() { return engine_.TakeJob(); }
  void Finish(uint64_t job, const Tensors& outputs);
  void Fail(uint64_t job, const std::string& why);

  // What has completed since the last call, in order.
  std::vector<Completion> TakeCompletions();

 private:
  struct Header {
    Tag tag;
    uint32_t rest;
    Bytes data;
  };

  std::optional<Answer> Standard(const Setup& setup);
  std::optional<Answer> Firmware(const Setup& setup, const Bytes& data);
  std::optional<Answer> Register(const Setup& setup, const Bytes& data);
  bool TakeOut(const Transfer& transfer);
  bool TakeFramed(const Bytes& data);
  void Complete(const Transfer& transfer, Status status, Bytes data = {}, uint32_t taken = 0);
  void Deliver();
  bool DeliverTo(uint8_t endpoint, std::deque<Bytes>* waiting);
  void Halt(const std::string& why);
  void Forget(bool sleep);
  uint64_t inference() const { return inferences_; }
  bool Happens(Fault fault) const { return executing_ && options_.faults.Has(fault, inference()); }

  void OnStart(const Program& program) override;
  void OnParameters(const Program& program) override;
  void OnOutput(Bytes bytes) override;
  void OnInterrupt(uint8_t number) override;
  void OnDone(const Program& program) override;
  void OnFailure(const std::string& why) override;

  Options options_;
  Listener* const listener_;
  Stats stats_;
  Engine engine_;
  BootLoader boot_loader_;
  Registers registers_;
  Mode mode_;
  bool present_ = true;
  bool detached_ = false;  // asked to become a boot loader at the next reset
  bool halted_ = false;
  std::list<Transfer> pending_;
  std::vector<Completion> completions_;
  std::optional<Header> header_;
  std::deque<Bytes> outputs_, events_, interrupts_;
  uint64_t inferences_ = 0;
  bool executing_ = false;  // an inference, and not the loading of parameters
};

}  // namespace coral_device
