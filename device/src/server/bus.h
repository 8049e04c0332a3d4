// The devices, who uses them, and who waits for which transfer. Fronts call it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/accelerator.h"
#include "server/worker.h"

namespace coral_device {

// A program that uses devices, by whatever front.
class User {
 public:
  virtual ~User() = default;
  virtual void OnCompletion(uint64_t id, const Completion& completion) = 0;
  // Something that whoever runs the program should know.
  virtual void OnMessage(const std::string& text) = 0;
};

class Bus {
 public:
  Bus(std::vector<Accelerator::Options> devices, const Programs* programs, Compute compute, Listener* log);
  ~Bus();

  size_t size() const { return slots_.size(); }
  Accelerator& device(size_t i) { return slots_[i]->device; }

  // libusb's errors, 0 if all is well.
  int32_t Open(User* user, size_t device);
  void Close(User* user, size_t device);
  int32_t Claim(User* user, size_t device);
  void Release(User* user, size_t device);
  // Whoever has the interface claimed loses it, as with a kernel: it is another device then, or a fresh one.
  int32_t Reset(User* user, size_t device);

  void Submit(User* user, size_t device, uint64_t id, Transfer transfer);
  // False: there is no such transfer any more.
  bool Cancel(User* user, uint64_t id);
  // The user is gone.
  void Forget(User* user);

  // Hands out what has completed, and starts what there is to compute. To be called after anything above.
  void Pump();
  int worker_descriptor() const { return worker_.descriptor(); }

  // JSON: a list, one object for each device.
  std::string Stats() const;

 private:
  struct Slot : Listener {
    Slot(Bus* owner, size_t index, const Accelerator::Options& options, const Programs* programs)
        : bus(owner), number(index), device(options, programs, this) {}
    void Say(Level level, const std::string& text) override { bus->Say(number, level, text); }

    Bus* const bus;
    const size_t number;
    Accelerator device;
    std::multiset<User*> open;
    User* claimed = nullptr;
  };
  struct Route {
    User* user;
    uint64_t id;
    size_t device;
  };

  void Say(size_t device, Level level, const std::string& text);
  void CancelAll(User* user, size_t device);

  Listener* const log_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::map<uint64_t, Route> routes_;
  uint64_t next_ = 1;
  Worker worker_;
};

}  // namespace coral_device
