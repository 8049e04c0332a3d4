// The devices that the user asked for.
#ifndef CORALFORGE_SIMULATOR_DEVICES_H_
#define CORALFORGE_SIMULATOR_DEVICES_H_

#include <string>
#include <vector>

#include "edgetpu.h"

namespace coralforge {

using DeviceRecord = edgetpu::EdgeTpuManager::DeviceEnumerationRecord;

// Reads a list such as "usb:2,pci:1": types with counts, in the order in which they are to be listed. Returns
// false, with a sentence in `error`, for anything else. Empty text means no devices.
bool ParseDevices(const std::string& text, std::vector<DeviceRecord>* devices, std::string* error);

// The devices of CORALFORGE_SIMULATED_DEVICES; none when it is unset or wrong. What is wrong is said on
// stderr, once per value.
std::vector<DeviceRecord> SimulatedDevices();

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_DEVICES_H_
