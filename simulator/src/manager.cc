#include "manager.h"

#include <cstdio>
#include <cstdlib>

#include "version.h"

namespace coralforge {
namespace {

using edgetpu::DeviceType;

class SimulatedContext final : public edgetpu::EdgeTpuContext {
 public:
  // The caller has counted this context in device->users.
  explicit SimulatedContext(Manager::Device* device) : device_(device) {
    this->type = kTfLiteEdgeTpuContext;
    this->Refresh = nullptr;
  }
  ~SimulatedContext() override { Manager::Get()->Release(device_); }

  const DeviceRecord& GetDeviceEnumRecord() const override { return device_->record; }

  edgetpu::EdgeTpuManager::DeviceOptions GetDeviceOptions() const override {
    auto options = device_->options;
    if (IsReady()) options.insert({"IsReady", ""});
    if (device_->exclusive) options.insert({"ExclusiveOwnership", ""});
    return options;
  }

  bool IsReady() const override { return Manager::Get()->IsReady(device_); }

  int Opening() const { return device_->opening; }

 private:
  Manager::Device* const device_;
};

bool IsOneOf(const std::string& value, std::initializer_list<const char*> choices) {
  for (const char* choice : choices) {
    if (value == choice) return true;
  }
  return false;
}

// Takes the values that the real library takes; like there, unknown names do no harm.
bool OptionsAreValid(const edgetpu::EdgeTpuManager::DeviceOptions& options) {
  for (const auto& option : options) {
    const std::string& value = option.second;
    if (option.first == "Performance" && !IsOneOf(value, {"Low", "Medium", "High", "Max"})) return false;
    if (option.first == "Usb.AlwaysDfu" && !IsOneOf(value, {"True", "False"})) return false;
    if (option.first == "Usb.MaxBulkInQueueLength") {
      char* end = nullptr;
      const long length = std::strtol(value.c_str(), &end, 10);
      if (value.empty() || end != value.c_str() + value.size() || length < 0 || length > 256) return false;
    }
  }
  return true;
}

// "" and "default" stand for any device.
bool IsAnyPath(const std::string& path) { return path.empty() || path == "default"; }

// Without a type the real library looks at PCI first.
const std::vector<DeviceType>& AnyType() {
  static const auto* const types = new std::vector<DeviceType>{DeviceType::kApexPci, DeviceType::kApexUsb};
  return *types;
}

}  // namespace

Manager* Manager::Get() {
  // Never destroyed: contexts may outlive the static objects of the program.
  static Manager* const manager = new Manager;
  return manager;
}

std::unique_ptr<Manager::Context> Manager::NewEdgeTpuContext() { return Open(AnyType(), "", {}, true); }

std::unique_ptr<Manager::Context> Manager::NewEdgeTpuContext(DeviceType type) {
  return Open({type}, "", {}, true);
}

std::unique_ptr<Manager::Context> Manager::NewEdgeTpuContext(DeviceType type, const std::string& path) {
  return Open({type}, path, {}, true);
}

std::unique_ptr<Manager::Context> Manager::NewEdgeTpuContext(DeviceType type, const std::string& path,
                                                             const DeviceOptions& options) {
  return Open({type}, path, options, true);
}

std::vector<DeviceRecord> Manager::EnumerateEdgeTpu() const { return SimulatedDevices(); }

std::shared_ptr<Manager::Context> Manager::OpenDevice() { return Open(AnyType(), "", {}, false); }

std::shared_ptr<Manager::Context> Manager::OpenDevice(DeviceType type) { return Open({type}, "", {}, false); }

std::shared_ptr<Manager::Context> Manager::OpenDevice(DeviceType type, const std::string& path) {
  return Open({type}, path, {}, false);
}

std::shared_ptr<Manager::Context> Manager::OpenDevice(DeviceType type, const std::string& path,
                                                      const DeviceOptions& options) {
  return Open({type}, path, options, false);
}

std::unique_ptr<Manager::Context> Manager::Open(const std::vector<DeviceType>& types, const std::string& path,
                                                const DeviceOptions& options, bool exclusive) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!exclusive) {
    if (Device* device = FindShared(types, path)) {
      ++device->users;
      return std::make_unique<SimulatedContext>(device);
    }
  }
  if (!OptionsAreValid(options)) {
    Log(1, "has no such options", path);
    return nullptr;
  }
  for (DeviceType type : types) {
    for (const auto& record : SimulatedDevices()) {
      if (record.type != type || !(IsAnyPath(path) || record.path == path) || IsOpen(record)) continue;
      // Like the real library: where the first device turns out to be busy, the next is not tried.
      if (StateOf(record) == DeviceState::kBusy) {
        Log(1, "is busy", record.path);
        return nullptr;
      }
      open_.push_back({record, options, exclusive, 1, ++openings_, false});
      // So does the real library, and programs can see it in GetDeviceOptions().
      if (!exclusive && type == DeviceType::kApexUsb) {
        open_.back().options.insert({"Usb.MaxBulkInQueueLength", "8"});
      }
      Log(4, "opened", record.path);
      return std::make_unique<SimulatedContext>(&open_.back());
    }
  }
  Log(1, "is not there, or open already", path);
  return nullptr;
}

Manager::Device* Manager::FindShared(const std::vector<DeviceType>& types, const std::string& path) {
  for (DeviceType type : types) {
    for (auto& device : open_) {
      if (device.record.type == type && !device.exclusive &&
          (IsAnyPath(path) || device.record.path == path)) {
        return &device;
      }
    }
  }
  return nullptr;
}

bool Manager::IsOpen(const DeviceRecord& record) const {
  for (const auto& device : open_) {
    if (device.record == record) return true;
  }
  return false;
}

std::vector<std::shared_ptr<Manager::Context>> Manager::GetOpenedDevices() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::shared_ptr<Context>> contexts;
  for (auto& device : open_) {
    if (device.exclusive) continue;
    ++device.users;
    contexts.push_back(std::make_shared<SimulatedContext>(&device));
  }
  return contexts;
}

void Manager::Release(Device* device) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (--device->users > 0) {
    Log(1, "is still in use", device->record.path);
    return;
  }
  Log(4, "closed", device->record.path);
  open_.remove_if([device](const Device& other) { return &other == device; });
}

bool Manager::IsReady(Device* device) {
  std::lock_guard<std::mutex> lock(mutex_);
  device->unplugged = device->unplugged || StateOf(device->record) == DeviceState::kUnplugged;
  return !device->unplugged;
}

int Manager::Opening(const Context& context) {
  return static_cast<const SimulatedContext&>(context).Opening();
}

void Manager::Log(int level, const char* what, const std::string& path) const {
  if (verbosity_ >= level) {
    std::fprintf(stderr, "SIMULATED Edge TPU %s: %s\n", what, IsAnyPath(path) ? "any" : path.c_str());
  }
}

TfLiteStatus Manager::SetVerbosity(int verbosity) {
  if (verbosity < 0 || verbosity > 10) return kTfLiteError;
  std::lock_guard<std::mutex> lock(mutex_);
  verbosity_ = verbosity;
  return kTfLiteOk;
}

std::string Manager::Version() const { return kVersion; }

}  // namespace coralforge

namespace edgetpu {

EdgeTpuManager* EdgeTpuManager::GetSingleton() { return coralforge::Manager::Get(); }

EdgeTpuContext::~EdgeTpuContext() = default;

std::ostream& operator<<(std::ostream& out, DeviceType device_type) {
  switch (device_type) {
    case DeviceType::kApexPci:
      return out << "Apex (PCIe)";
    case DeviceType::kApexUsb:
      return out << "Apex (USB)";
  }
  return out << "Unknown";
}

}  // namespace edgetpu
