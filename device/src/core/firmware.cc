#include "core/firmware.h"

#include <algorithm>

#include "core/descriptors.h"

namespace coral_device {
namespace {

constexpr uint8_t kDownload = 1, kUpload = 2, kGetStatus = 3, kClearStatus = 4, kGetState = 5, kAbort = 6;
constexpr uint8_t kErrorTarget = 1;               // "not for this device"
constexpr size_t kMaxFirmware = size_t{1} << 24;  // the real one is 10,783 bytes

}  // namespace

Answer BootLoader::Control(const Setup& setup, const Bytes& data) {
  switch (setup.request) {
    case kDownload:
      return Download(setup, data);
    case kUpload:
      return Upload(setup);
    case kGetStatus:
      return {Status::kOk, {state_ == kError ? kErrorTarget : uint8_t{0}, 0, 0, 0, state_, 0}};
    case kGetState:
      return {Status::kOk, {state_}};
    case kClearStatus:
    case kAbort:
      state_ = kIdle;
      return {};
    default:
      return {Status::kStall};
  }
}

Answer BootLoader::Download(const Setup& setup, const Bytes& data) {
  if (state_ == kError || firmware_.size() + data.size() > kMaxFirmware) return {Status::kStall};
  if (data.empty()) {
    if (state_ != kDownloadIdle) return {Status::kStall};  // an end without a beginning
    state_ = kIdle;
    complete_ = true;
    return {};
  }
  if (setup.value == 0) {
    firmware_.clear();
    complete_ = false;
  }
  firmware_.insert(firmware_.end(), data.begin(), data.end());
  state_ = kDownloadIdle;
  return {Status::kOk, {}, static_cast<uint16_t>(data.size())};
}

Answer BootLoader::Upload(const Setup& setup) const {
  const size_t begin = std::min(size_t{setup.value} * kDfuTransferSize, firmware_.size());
  const size_t end = std::min(begin + setup.length, firmware_.size());
  return {Status::kOk, Bytes(firmware_.begin() + begin, firmware_.begin() + end)};
}

void BootLoader::Refuse() { state_ = kError; }

void BootLoader::Corrupt() {
  if (!firmware_.empty()) firmware_[firmware_.size() / 2] ^= 1;
}

}  // namespace coral_device
