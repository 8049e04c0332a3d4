#include "devices.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>

namespace coralforge {
namespace {

constexpr char kVariable[] = "CORALFORGE_SIMULATED_DEVICES";
constexpr char kControl[] = "CORALFORGE_SIMULATED_CONTROL";
constexpr int kMaxPerType = 16;

// No real path looks like this, so that a log line alone tells that there was no hardware.
const char kPathStart[] = "SIMULATED:";

// Says something on stderr, the first time only: it would be said for each inference.
void ComplainOnce(const std::string& complaint) {
  static std::mutex mutex;
  static auto* const said = new std::set<std::string>;
  std::lock_guard<std::mutex> lock(mutex);
  if (!said->insert(complaint).second) return;
  std::fprintf(stderr, "SIMULATED Edge TPU: %s\n", complaint.c_str());
}

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
    const DeviceRecord device{type == "usb" ? edgetpu::DeviceType::kApexUsb : edgetpu::DeviceType::kApexPci,
                              kPathStart + type + ":" + std::to_string(i)};
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
  std::vector<DeviceRecord> devices;
  std::string error;
  const char* text = std::getenv(kVariable);
  if (text != nullptr && !ParseDevices(text, &devices, &error)) {
    ComplainOnce(std::string("no devices, because ") + kVariable + " is wrong: " + error);
  }
  const auto gone = [](const DeviceRecord& device) { return StateOf(device) == DeviceState::kUnplugged; };
  devices.erase(std::remove_if(devices.begin(), devices.end(), gone), devices.end());
  return devices;
}

DeviceState ParseControl(std::istream& lines, const DeviceRecord& device, std::string* wrong) {
  DeviceState state = DeviceState::kPresent;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string verb, name, more;
    if (!(words >> verb)) continue;
    words >> name >> more;
    if ((verb != "unplug" && verb != "busy") || name.empty() || !more.empty()) {
      *wrong += (wrong->empty() ? "" : ", ") + ("'" + line.substr(0, 40) + "'");
    } else if (kPathStart + name == device.path && state != DeviceState::kUnplugged) {
      state = verb == "busy" ? DeviceState::kBusy : DeviceState::kUnplugged;
    }
  }
  return state;
}

DeviceState StateOf(const DeviceRecord& device) {
  const char* file = std::getenv(kControl);
  if (file == nullptr) return DeviceState::kPresent;
  std::ifstream lines(file);
  std::string wrong;
  const DeviceState state = ParseControl(lines, device, &wrong);
  if (!wrong.empty()) {
    ComplainOnce(std::string("no effect of ") + wrong + " in the file that " + kControl +
                 " names: neither 'unplug usb:0' nor 'busy usb:0' or the like");
  }
  return state;
}

}  // namespace coralforge
