// USB Edge TPUs as the system sees them: at which port, behind which hub, at which speed.
#ifndef CORAL_USB_H_
#define CORAL_USB_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "advice.h"
#include "device.h"
#include "system.h"

namespace coral {

struct UsbTpu {
  Device device;
  std::string port;         // 2-1.4: bus 2, port 1 of the board, port 4 of the hub there
  std::string hub;          // the hub between it and the board: its port and name; empty for none
  bool hub_usb3 = true;     // whether that hub could do USB 3
  bool hub_powered = true;  // whether it has a power supply of its own
  int over_current = 0;     // how often the port was switched off for it
};

struct UsbFacts {
  bool host = false;  // whether this system has a USB controller
  bool usb3 = false;  // whether one of them does USB 3
  std::vector<UsbTpu> tpus;
};

// "USB 3 (5000 Mbit/s)"; empty where the speed is not known.
inline std::string SpeedText(double megabits) {
  if (megabits <= 0) return "";
  char text[64];
  std::snprintf(text, sizeof(text), "%s (%g Mbit/s)",
                megabits >= 5000  ? "USB 3"
                : megabits >= 480 ? "USB 2"
                                  : "USB 1",
                megabits);
  return text;
}

inline UsbTpu ProbeUsbTpu(const Device& device) {
  UsbTpu tpu;
  tpu.device = device;
  tpu.port = Printable(LastPart(device.path));
  tpu.over_current = static_cast<int>(ReadNumber(device.place + "/over_current_count", 0));
  const size_t dot = tpu.port.rfind('.');
  if (dot == std::string::npos) return tpu;
  const std::string hub = tpu.port.substr(0, dot), folder = In("/sys/bus/usb/devices/" + hub);
  const std::string product = ReadLine(folder + "/product");
  tpu.hub = hub + (product.empty() ? "" : ", " + product);
  // The USB 2 half of a USB 3 hub says 2.10.
  tpu.hub_usb3 = ReadNumber(folder + "/version", 3) >= 2.1;
  // Bit 6 of the attributes of a configuration: it has power of its own.
  const std::string attributes = ReadWord(folder + "/bmAttributes");
  tpu.hub_powered = attributes.empty() || (std::strtol(attributes.c_str(), nullptr, 16) & 0x40) != 0;
  return tpu;
}

inline UsbFacts ProbeUsb() {
  UsbFacts facts;
  for (const auto& name : EntriesOf(In("/sys/bus/usb/devices"))) {
    if (name.compare(0, 3, "usb") != 0) continue;  // the root hubs
    facts.host = true;
    if (ReadNumber(In("/sys/bus/usb/devices/" + name + "/speed"), 0) >= 5000) facts.usb3 = true;
  }
  for (const Device& device : PluggedIn()) facts.tpus.push_back(ProbeUsbTpu(device));
  return facts;
}

// What is known of a device, beyond who may open it. Pure.
inline std::vector<Finding> JudgeUsbTpu(const UsbTpu& tpu, const UsbFacts& facts) {
  std::vector<Finding> findings;
  const Words words = {{"device", tpu.device.name},
                       {"hub", tpu.hub},
                       {"speed", SpeedText(tpu.device.megabits)},
                       {"count", std::to_string(tpu.over_current)}};
  if (!tpu.device.firmware) findings.push_back(Advise("firmware", words));
  if (tpu.over_current > 0) findings.push_back(Advise("over-current", words));
  if (!tpu.hub_powered) findings.push_back(Advise("bus-power", words));
  if (tpu.device.megabits > 0 && tpu.device.megabits < 5000) {
    const char* const why = !facts.usb3 && facts.host ? "usb-slow-board"
                            : tpu.hub_usb3            ? "usb-slow"
                                                      : "usb-slow-hub";
    findings.push_back(Advise(why, words));
  }
  return findings;
}

}  // namespace coral

#endif  // CORAL_USB_H_
