// The command line of coral-device.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/accelerator.h"
#include "models/result.h"

namespace coral_device {

struct Options {
  std::string socket;                                       // where programs with our libusb find it
  std::string usbredir;                                     // where a virtual machine waits for a USB device
  std::vector<std::pair<std::string, std::string>> models;  // compiled, plain
  size_t devices = 1;
  Accelerator::Options device;
  std::string stats;  // file; empty: none
  std::string log;    // file; empty: stderr
  bool trace = false;
  // To tell a running one something, instead.
  std::string tell;
  std::string command;
  bool help = false;
};

Result<Options> ReadOptions(const std::vector<std::string>& arguments);
std::string Usage();

// "super", "high" or "full".
std::optional<Speed> SpeedOf(const std::string& name);

}  // namespace coral_device
