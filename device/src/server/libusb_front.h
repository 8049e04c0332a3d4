// Serves programs whose libusb is our stand-in (shim/), and whoever tells the device something.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "server/bus.h"
#include "server/loop.h"
#include "server/protocol.h"
#include "server/stream.h"

namespace coral_device {

// Carries out a command for the device; returns the text to answer with.
using Tell = std::function<std::string(const std::string& command)>;

// Waits for programs.
class LibusbFront : public Source {
 public:
  LibusbFront(int listener, Bus* bus, Loop* loop, Tell tell);
  ~LibusbFront() override;

  int descriptor() const override { return listener_; }
  bool OnReady() override;

 private:
  const int listener_;
  Bus* const bus_;
  Loop* const loop_;
  const Tell tell_;
};

}  // namespace coral_device
