// The boot loader: Device Firmware Upgrade (DFU 1.1), as far as libedgetpu uses it.
#pragma once

#include "core/usb.h"

namespace coral_device {

class BootLoader {
 public:
  // A class request. Stalls for what the standard does not allow in its state.
  Answer Control(const Setup& setup, const Bytes& data);

  // The next GETSTATUS reports an error, as for firmware that is not for this chip.
  void Refuse();
  // Firmware reads back with a wrong bit.
  void Corrupt();

  // All of the firmware was taken: after a USB reset it runs.
  bool Complete() const { return complete_; }
  size_t Size() const { return firmware_.size(); }
  // As after power was switched on.
  void Restart() { *this = BootLoader(); }

 private:
  enum State : uint8_t { kIdle = 2, kDownloadIdle = 5, kError = 10 };

  Answer Download(const Setup& setup, const Bytes& data);
  Answer Upload(const Setup& setup) const;

  Bytes firmware_;
  State state_ = kIdle;
  bool complete_ = false;
};

}  // namespace coral_device
