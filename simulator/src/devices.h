// The devices that the user asked for.
#ifndef CORALFORGE_SIMULATOR_DEVICES_H_
#define CORALFORGE_SIMULATOR_DEVICES_H_

#include <istream>
#include <string>
#include <vector>

#include "edgetpu.h"

namespace coralforge {

using DeviceRecord = edgetpu::EdgeTpuManager::DeviceEnumerationRecord;

// Reads a list such as "usb:2,pci:1": types with counts, in the order in which they are to be listed. Returns
// false, with a sentence in `error`, for anything else. Empty text means no devices.
bool ParseDevices(const std::string& text, std::vector<DeviceRecord>* devices, std::string* error);

// The devices of CORALFORGE_SIMULATED_DEVICES that are not unplugged; none when it is unset or wrong. What is
// wrong is said on stderr, once.
std::vector<DeviceRecord> SimulatedDevices();

// What may happen to a device.
enum class DeviceState {
  kPresent,
  kBusy,       // another process has it: it is listed and cannot be opened
  kUnplugged,  // it is not listed, and those who have it open get errors
};

// Reads lines such as "unplug usb:0" and "busy pci:1", where "#" starts a comment, and returns what they say
// of the device. Lines that are something else are appended to `wrong`.
DeviceState ParseControl(std::istream& lines, const DeviceRecord& device, std::string* wrong);

// What the file that CORALFORGE_SIMULATED_CONTROL names says now. It is read at each call, so that a test can
// change it while a program runs; a file that is not there says nothing.
DeviceState StateOf(const DeviceRecord& device);

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_DEVICES_H_
