// Waits for sockets and pipes, in one thread.
#pragma once

#include <memory>
#include <vector>

namespace coral_device {

class Source {
 public:
  virtual ~Source() = default;
  // -1: nothing to wait for now.
  virtual int descriptor() const = 0;
  virtual bool WantsToWrite() const { return false; }
  // Something came, can be sent, or was closed. False: it has ended, and is removed.
  virtual bool OnReady() = 0;
  // Called at least four times a second, whatever comes. False as above.
  virtual bool OnTick() { return true; }
};

class Loop {
 public:
  void Add(std::unique_ptr<Source> source) { added_.push_back(std::move(source)); }
  // Waits once, and serves what is ready.
  void Turn();

 private:
  std::vector<std::unique_ptr<Source>> sources_, added_;
};

}  // namespace coral_device
