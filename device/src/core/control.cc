// The accelerator's control transfers: USB's own, the boot loader's, and the chip's registers.

#include <cstdio>
#include <utility>

#include "core/accelerator.h"
#include "core/bytes.h"

namespace coral_device {
namespace {

constexpr uint8_t kGetDescriptor = 6, kGetStatus = 0, kGetConfiguration = 8;
constexpr uint8_t kDetach = 0, kDownload = 1;

std::string Hex(uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", number);
  return text;
}

}  // namespace

std::optional<Answer> Accelerator::Control(const Setup& setup, const Bytes& data) {
  if (!present_) return Answer{Status::kNoDevice};
  std::optional<Answer> answer;
  switch (setup.kind()) {
    case 0:
      answer = Standard(setup);
      break;
    case 1:
      answer = Firmware(setup, data);
      break;
    case 2:
      answer = Register(setup, data);
      break;
    default:
      answer = Answer{Status::kStall};
  }
  if (answer && answer->data.size() > setup.length) answer->data.resize(setup.length);
  return answer;
}

std::optional<Answer> Accelerator::Standard(const Setup& setup) {
  ++stats_.control().standard;
  if (!setup.in())
    return Answer{Status::kOk, {}, setup.length};  // features, addresses, SET_SEL, SET_ISOCH_DELAY
  switch (setup.request) {
    case kGetDescriptor: {
      Bytes descriptor = DescriptorOf(appearance(), static_cast<uint8_t>(setup.value >> 8),
                                      static_cast<uint8_t>(setup.value & 0xFF));
      if (descriptor.empty()) return Answer{Status::kStall};
      return Answer{Status::kOk, std::move(descriptor)};
    }
    case kGetStatus:
      return Answer{Status::kOk, {0, 0}};
    case kGetConfiguration:
      return Answer{Status::kOk, {1}};
    default:
      return Answer{Status::kStall};
  }
}

std::optional<Answer> Accelerator::Firmware(const Setup& setup, const Bytes& data) {
  ++stats_.control().firmware;
  if (mode_ == Mode::kApp) {
    if (setup.request != kDetach) return Answer{Status::kStall};
    detached_ = true;
    return Answer{};
  }
  if (setup.request == kDownload) {
    const Faults& faults = options_.faults;
    if (faults.Has(Fault::kDfuSilent, setup.value)) return std::nullopt;
    if (faults.Has(Fault::kDfuStall, setup.value)) return Answer{Status::kStall};
    if (faults.Has(Fault::kDfuUnplug, setup.value)) {
      Unplug();
      return Answer{Status::kNoDevice};
    }
    if (faults.Has(Fault::kDfuRefuse, setup.value)) {
      boot_loader_.Refuse();
      return Answer{Status::kOk, {}, setup.length};
    }
  }
  const bool complete = boot_loader_.Complete();
  Answer answer = boot_loader_.Control(setup, data);
  if (!complete && boot_loader_.Complete()) {
    listener_->Say(Level::kInfo, "firmware of " + std::to_string(boot_loader_.Size()) + " bytes was taken");
    stats_.CountFirmware(boot_loader_.Size());
    if (options_.faults.Has(Fault::kDfuCorrupt)) boot_loader_.Corrupt();
  }
  return answer;
}

std::optional<Answer> Accelerator::Register(const Setup& setup, const Bytes& data) {
  if (mode_ == Mode::kDfu) return Answer{Status::kStall};
  const uint32_t offset = setup.value | static_cast<uint32_t>(setup.index) << 16;
  if (options_.faults.Has(Fault::kRegisterSilent, offset)) return std::nullopt;
  if (options_.faults.Has(Fault::kRegisterStall, offset)) return Answer{Status::kStall};
  if (setup.in()) {
    ++stats_.control().register_reads;
    Bytes value;
    Put(&value, registers_.Read(offset), setup.length);
    return Answer{Status::kOk, std::move(value)};
  }
  ++stats_.control().register_writes;
  if (registers_.Write(offset, Number(data.data(), data.size()))) Forget(true);
  listener_->Say(Level::kTrace,
                 "register " + Hex(offset) + " = " + Hex(static_cast<uint32_t>(registers_.Read(offset))));
  return Answer{Status::kOk, {}, setup.length};
}

}  // namespace coral_device
