// The other side of a front: a socket that the test reads and writes, while it turns the server's loop.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "core/wire.h"
#include "server/bus.h"
#include "server/loop.h"
#include "server/stream.h"

namespace coral_device {

// A folder for sockets, removed in the end.
class Folder {
 public:
  Folder() { path_ = mkdtemp(name_); }
  ~Folder() {
    unlink(At("s").c_str());
    rmdir(path_.c_str());
  }
  std::string At(const std::string& name) const { return path_ + "/" + name; }

 private:
  char name_[32] = "/tmp/coral-device-XXXXXX";
  std::string path_;
};

// Hears when something was computed, as the server's main() does.
class Computed : public Source {
 public:
  explicit Computed(Bus* bus) : bus_(bus) {}
  int descriptor() const override { return bus_->worker_descriptor(); }
  bool OnReady() override {
    bus_->Pump();
    return true;
  }

 private:
  Bus* const bus_;
};

// Turns until something is so. What never comes fails by the test's own time limit, not by ours.
inline void TurnUntil(Loop* loop, const std::function<bool()>& so) {
  while (!so()) loop->Turn();
}

}  // namespace coral_device
