// The C interface, and the two functions by which TFLite's own tools load a delegate from a library.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "delegate.h"
#include "edgetpu.h"
#include "edgetpu_c.h"
#include "version.h"

namespace {

using edgetpu::DeviceType;
using edgetpu::EdgeTpuContext;
using edgetpu::EdgeTpuManager;

// For calls where the real library ends the process.
void Complain(const char* about) { std::fprintf(stderr, "SIMULATED Edge TPU: %s\n", about); }

// Opens the device that a plugin's "device" option names: "", "usb" or "pci" for any (of that type), or the
// same followed by ":INDEX" for one in the order of enumeration.
std::shared_ptr<EdgeTpuContext> OpenByName(const std::string& device,
                                           const EdgeTpuManager::DeviceOptions& options) {
  EdgeTpuManager* manager = EdgeTpuManager::GetSingleton();
  const size_t colon = device.find(':');
  const std::string type = device.substr(0, colon);
  if (!type.empty() && type != "usb" && type != "pci") return nullptr;
  const DeviceType wanted = type == "usb" ? DeviceType::kApexUsb : DeviceType::kApexPci;
  if (colon == std::string::npos) return type.empty() ? manager->OpenDevice() : manager->OpenDevice(wanted);

  const std::string digits = device.substr(colon + 1);
  if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos) {
    return nullptr;
  }
  int index = std::atoi(digits.c_str());
  for (const auto& record : manager->EnumerateEdgeTpu()) {
    if ((type.empty() || record.type == wanted) && index-- == 0) {
      return manager->OpenDevice(record.type, record.path, options);
    }
  }
  return nullptr;
}

}  // namespace

extern "C" {

struct edgetpu_device* edgetpu_list_devices(size_t* num_devices) {
  if (num_devices == nullptr) {
    Complain("edgetpu_list_devices() wants to know where the number of devices goes");
    return nullptr;
  }
  const auto records = EdgeTpuManager::GetSingleton()->EnumerateEdgeTpu();
  *num_devices = 0;
  size_t size = records.size() * sizeof(edgetpu_device);
  for (const auto& record : records) size += record.path.size() + 1;
  // One block holds the list and, behind it, the paths: a single free() releases all.
  auto* list = records.empty() ? nullptr : static_cast<edgetpu_device*>(std::malloc(size));
  if (list == nullptr) return nullptr;
  char* text = reinterpret_cast<char*>(list + records.size());
  for (const auto& record : records) {
    list[(*num_devices)++] = {static_cast<edgetpu_device_type>(record.type), text};
    std::memcpy(text, record.path.c_str(), record.path.size() + 1);
    text += record.path.size() + 1;
  }
  return list;
}

void edgetpu_free_devices(struct edgetpu_device* dev) { std::free(dev); }

TfLiteDelegate* edgetpu_create_delegate(enum edgetpu_device_type type, const char* name,
                                        const struct edgetpu_option* options, size_t num_options) {
  if (num_options > 0 && (name == nullptr || options == nullptr)) {
    Complain("edgetpu_create_delegate() wants a device's path where there are options");
    return nullptr;
  }
  EdgeTpuManager::DeviceOptions device_options;
  for (size_t i = 0; i < num_options; ++i) device_options.insert({options[i].name, options[i].value});
  return coralforge::CreateDelegate(EdgeTpuManager::GetSingleton()->OpenDevice(
      static_cast<DeviceType>(type), name == nullptr ? "" : name, device_options));
}

void edgetpu_free_delegate(TfLiteDelegate* delegate) { coralforge::FreeDelegate(delegate); }

void edgetpu_verbosity(int verbosity) { EdgeTpuManager::GetSingleton()->SetVerbosity(verbosity); }

const char* edgetpu_version(void) { return coralforge::kVersion; }

// Declared by TFLite's external delegate provider, which looks them up by name.
EDGETPU_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(char** options_keys, char** options_values,
                                                             size_t num_options,
                                                             void (*report_error)(const char*)) {
  EdgeTpuManager::DeviceOptions options;
  for (size_t i = 0; i < num_options; ++i) options[options_keys[i]] = options_values[i];
  const auto device = options.find("device");
  auto context = OpenByName(device == options.end() ? "" : device->second, options);
  if (context == nullptr && report_error != nullptr) {
    report_error(
        "SIMULATED Edge TPU: no device was opened: it is not there or in use (see "
        "CORALFORGE_SIMULATED_DEVICES), or an "
        "option is wrong.");
  }
  return coralforge::CreateDelegate(context);
}

EDGETPU_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  coralforge::FreeDelegate(delegate);
}

}  // extern "C"
