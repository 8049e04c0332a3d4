#include "devices.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace coralforge {
namespace {

constexpr char kVariable[] = "CORALFORGE_SIMULATED_DEVICES";
constexpr int kMaxPerType = 16;

// Returns a count of 1 to kMaxPerType, or 0 when `text` is not one.
int ParseCount(const std::string& text) {
  if (text.empty() || text.size() > 2) return 0;
  for (char c : text) {
    if (c < '0' || c > '9') return 0;
  }
  const int count = std::atoi(text.c_str());
  return count <= kMaxPerType ? count : 0;
}

bool ParseItem(const std::string& item, std::vector<DeviceRecord>* devices) {
  const size_t colon = item.find(':');
  const std::string type = item.substr(0, colon);
  const int count = colon == std::string::npos ? 0 : ParseCount(item.substr(colon + 1));
  if ((type != "usb" && type != "pci") || count == 0) return false;
  for (int i = 0; i < count; ++i) {
    // No real path looks like this, so that a log line alone tells that there was no hardware.
    const DeviceRecord device{type == "usb" ? edgetpu::DeviceType::kApexUsb : edgetpu::DeviceType::kApexPci,
                              "SIMULATED:" + type + ":" + std::to_string(i)};
    for (const auto& other : *devices) {
      if (other == device) return false;  // the type is given twice
    }
    devices->push_back(device);
  }
  return true;
}

}  // namespace

bool ParseDevices(const std::string& text, std::vector<DeviceRecord>* devices, std::string* error) {
  devices->clear();
  for (size_t start = 0; !text.empty() && start <= text.size();) {
    const size_t comma = std::min(text.find(',', start), text.size());
    const std::string item = text.substr(start, comma - start);
    if (!ParseItem(item, devices)) {
      devices->clear();
      *error = "'" + item.substr(0, 40) +
               "' is not usb:COUNT or pci:COUNT, each at most once, with COUNT from 1 to " +
               std::to_string(kMaxPerType) + " (example: usb:2,pci:1)";
      return false;
    }
    start = comma + 1;
  }
  return true;
}

std::vector<DeviceRecord> SimulatedDevices() {
  static std::mutex mutex;
  static std::string* const complained = new std::string;

  const char* text = std::getenv(kVariable);
  std::vector<DeviceRecord> devices;
  std::string error;
  if (text != nullptr && !ParseDevices(text, &devices, &error)) {
    std::lock_guard<std::mutex> lock(mutex);
    if (*complained != text) {
      *complained = text;
      std::fprintf(stderr, "SIMULATED Edge TPU: no devices, because %s is wrong: %s\n", kVariable,
                   error.c_str());
    }
  }
  return devices;
}

}  // namespace coralforge
