#include "core/registers.h"

namespace coral_device {
namespace {

constexpr uint32_t kClockControl = 0x1A318;  // scu_ctrl_3
constexpr uint64_t kSleepState = 3 << 8;     // read only: 2 asleep, 0 awake
constexpr uint64_t kForceSleep = 3 << 22;
constexpr uint64_t kAsleep = 2 << 8;
constexpr uint32_t kFatalErrorStatus = 0x486F0;
// The cores: they lose their registers in sleep.
constexpr uint32_t kCoresBegin = 0x40000, kCoresEnd = 0x50000;

}  // namespace

uint64_t Registers::Read(uint32_t offset) const {
  const auto found = values_.find(offset);
  return found == values_.end() ? 0 : found->second;
}

bool Registers::Write(uint32_t offset, uint64_t value) {
  if (offset != kClockControl) {
    values_[offset] = value;
    return false;
  }
  const bool sleeps = (value & kForceSleep) == kForceSleep;
  if (sleeps) values_.erase(values_.lower_bound(kCoresBegin), values_.lower_bound(kCoresEnd));
  values_[offset] = (value & ~kSleepState) | (sleeps ? kAsleep : 0);
  return sleeps;
}

void Registers::RaiseFatalError() { values_[kFatalErrorStatus] = 1; }

}  // namespace coral_device
