// What can be made to go wrong, each by its name on the command line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace coral_device {

enum class Fault : uint8_t {
  kAccess,
  kBusy,
  kWrongId,
  kDfuRefuse,
  kDfuStall,
  kDfuSilent,
  kDfuUnplug,
  kDfuCorrupt,
  kLostAfterReset,
  kRegisterStall,
  kRegisterSilent,
  kOutStall,
  kOutSilent,
  kParametersUnplug,
  kInputUnplug,
  kOutputUnplug,
  kIdleUnplug,
  kHang,
  kNoOutput,
  kShortOutput,
  kStallOutput,
  kNoEvent,
  kFatal,
  kWrongOutput,
  kPlainLayout,
};

// Faults that are set. Each has a number: a block of firmware, a register's offset, or the inference it
// happens in, counted from 1; 0, when none was given, stands for each.
class Faults {
 public:
  // Adds `NAME` or `NAME=NUMBER` (decimal or 0x...). Returns what is wrong with it, empty if nothing is.
  std::string Add(const std::string& text);
  void Clear() { numbers_.clear(); }

  bool Has(Fault fault) const { return numbers_.count(fault) != 0; }
  // Whether the fault is set for this number, or for each.
  bool Has(Fault fault, uint64_t number) const;

  // One line for each fault there is, for the help.
  static std::string Help();

 private:
  std::map<Fault, uint64_t> numbers_;
};

}  // namespace coral_device
