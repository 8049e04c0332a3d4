#include "core/faults.h"

#include <cerrno>
#include <cstdlib>

namespace coral_device {
namespace {

struct Named {
  Fault fault;
  const char* name;
  const char* number;  // what its number counts; null if it takes none
  const char* effect;
};

constexpr Named kFaults[] = {
    {Fault::kAccess, "access", nullptr, "opening is refused, as without permission (libusb front)"},
    {Fault::kBusy, "busy", nullptr, "another program has claimed the interface (libusb front)"},
    {Fault::kWrongId, "wrong-id", nullptr, "the product id is another one"},
    {Fault::kDfuRefuse, "dfu-refuse", "block", "the boot loader reports an error for the firmware"},
    {Fault::kDfuStall, "dfu-stall", "block", "the boot loader stalls"},
    {Fault::kDfuSilent, "dfu-silent", "block", "the boot loader does not answer"},
    {Fault::kDfuUnplug, "dfu-unplug", "block", "unplugged while firmware is loaded"},
    {Fault::kDfuCorrupt, "dfu-corrupt", nullptr, "the firmware reads back with a wrong bit"},
    {Fault::kLostAfterReset, "lost-after-reset", nullptr,
     "with its firmware it does not come back to the bus"},
    {Fault::kRegisterStall, "register-stall", "offset", "a register's transfer stalls"},
    {Fault::kRegisterSilent, "register-silent", "offset", "a register's transfer is not answered"},
    {Fault::kOutStall, "out-stall", "inference", "the OUT endpoint stalls"},
    {Fault::kOutSilent, "out-silent", "inference", "the OUT endpoint takes nothing"},
    {Fault::kParametersUnplug, "parameters-unplug", nullptr, "unplugged while parameters are loaded"},
    {Fault::kInputUnplug, "input-unplug", "inference", "unplugged when the instructions have come"},
    {Fault::kOutputUnplug, "output-unplug", "inference", "unplugged before the output is sent"},
    {Fault::kIdleUnplug, "idle-unplug", "inference", "unplugged after the output, the device is idle"},
    {Fault::kHang, "hang", "inference", "takes the input, then nothing comes"},
    {Fault::kNoOutput, "no-output", "inference", "sends the event without the output"},
    {Fault::kShortOutput, "short-output", "inference", "sends half of the output"},
    {Fault::kStallOutput, "stall-output", "inference", "the IN endpoint stalls"},
    {Fault::kNoEvent, "no-event", "inference", "sends the output without the event"},
    {Fault::kFatal, "fatal", "inference", "raises the fatal interrupt"},
    {Fault::kWrongOutput, "wrong-output", "inference", "a wrong bit in the output (to test comparisons)"},
    {Fault::kPlainLayout, "plain-layout", "inference", "output in plain order (to test comparisons)"},
};

bool ReadNumber(const std::string& text, uint64_t* number) {
  char* end = nullptr;
  errno = 0;
  *number = std::strtoull(text.c_str(), &end, 0);
  return errno == 0 && !text.empty() && *end == '\0' && text[0] != '-';
}

}  // namespace

std::string Faults::Add(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  for (const Named& known : kFaults) {
    if (name != known.name) continue;
    uint64_t number = 0;
    if (equals != std::string::npos) {
      if (known.number == nullptr) return "the fault " + name + " takes no number";
      if (!ReadNumber(text.substr(equals + 1), &number)) return "no number: " + text;
    }
    numbers_[known.fault] = number;
    return "";
  }
  return "there is no fault " + name;
}

bool Faults::Has(Fault fault, uint64_t number) const {
  const auto found = numbers_.find(fault);
  return found != numbers_.end() && (found->second == 0 || found->second == number);
}

std::string Faults::Help() {
  std::string help;
  for (const Named& known : kFaults) {
    std::string name = known.name;
    if (known.number != nullptr) name += std::string("[=") + known.number + "]";
    name.resize(28, ' ');
    help += "  " + name + known.effect + "\n";
  }
  return help;
}

}  // namespace coral_device
