// The registers (CSR) of the chip: memory that reads back what was written, but for those the driver waits
// for.
#pragma once

#include <cstdint>
#include <map>

namespace coral_device {

class Registers {
 public:
  // 0 for what was never written: the real defaults are not known.
  uint64_t Read(uint32_t offset) const;
  // Returns whether the write put the cores to sleep: what they knew is lost.
  bool Write(uint32_t offset, uint64_t value);

  // Instructions, input and parameters come to endpoints of their own, and without headers.
  bool SeveralEndpoints() const { return Read(kSeveralEndpoints) != 0; }
  // The device describes each transfer that it expects or sends by an event.
  bool DescribesTransfers() const { return (Read(kDescribe) & 0x0F) != 0; }

  void RaiseFatalError();
  void Restart() { values_.clear(); }

 private:
  static constexpr uint32_t kSeveralEndpoints = 0x4C160;
  static constexpr uint32_t kDescribe = 0x4C148;

  std::map<uint32_t, uint64_t> values_;
};

}  // namespace coral_device
