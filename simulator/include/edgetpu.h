// The C++ interface of libedgetpu.so.1, declared in coralforge's own words.
//
// The order of the virtual functions is part of the binary interface: never reorder, add or remove one.
#ifndef CORALFORGE_EDGETPU_H_
#define CORALFORGE_EDGETPU_H_

#include <memory>
#include <ostream>
#include <string>
#include <unordered_map>
#include <vector>

#include "tensorflow/lite/context.h"

#ifndef EDGETPU_EXPORT
#define EDGETPU_EXPORT __attribute__((visibility("default")))
#endif

namespace edgetpu {

// Name of the operation that the Edge TPU compiler puts into a model.
static const char kCustomOp[] = "edgetpu-custom-op";

enum class DeviceType {
  kApexPci = 0,
  kApexUsb = 1,
};

class EdgeTpuContext;

// Finds and opens devices; there is one per process. All functions may be called from any thread.
class EDGETPU_EXPORT EdgeTpuManager {
 public:
  using DeviceOptions = std::unordered_map<std::string, std::string>;

  struct DeviceEnumerationRecord {
    DeviceType type;
    std::string path;

    friend bool operator==(const DeviceEnumerationRecord& a, const DeviceEnumerationRecord& b) {
      return a.type == b.type && a.path == b.path;
    }
    friend bool operator!=(const DeviceEnumerationRecord& a, const DeviceEnumerationRecord& b) {
      return !(a == b);
    }
  };

  static EdgeTpuManager* GetSingleton();

  // Opens a device for its caller alone (deprecated in favour of OpenDevice). Null on failure.
  virtual std::unique_ptr<EdgeTpuContext> NewEdgeTpuContext() = 0;
  virtual std::unique_ptr<EdgeTpuContext> NewEdgeTpuContext(DeviceType device_type) = 0;
  virtual std::unique_ptr<EdgeTpuContext> NewEdgeTpuContext(DeviceType device_type,
                                                            const std::string& device_path) = 0;
  virtual std::unique_ptr<EdgeTpuContext> NewEdgeTpuContext(DeviceType device_type,
                                                            const std::string& device_path,
                                                            const DeviceOptions& options) = 0;

  virtual std::vector<DeviceEnumerationRecord> EnumerateEdgeTpu() const = 0;

  // Opens a device, or joins those who have it open already; the last reference closes it. Null on failure.
  // Options: "Performance" (Low, Medium, High, Max), "Usb.AlwaysDfu" (True, False) and
  // "Usb.MaxBulkInQueueLength" (a number up to 256).
  virtual std::shared_ptr<EdgeTpuContext> OpenDevice() = 0;
  virtual std::shared_ptr<EdgeTpuContext> OpenDevice(DeviceType device_type) = 0;
  virtual std::shared_ptr<EdgeTpuContext> OpenDevice(DeviceType device_type,
                                                     const std::string& device_path) = 0;
  virtual std::shared_ptr<EdgeTpuContext> OpenDevice(DeviceType device_type, const std::string& device_path,
                                                     const DeviceOptions& options) = 0;

  // The devices that OpenDevice() has open now.
  virtual std::vector<std::shared_ptr<EdgeTpuContext>> GetOpenedDevices() const = 0;

  // 0 to 10; anything else is kTfLiteError.
  virtual TfLiteStatus SetVerbosity(int verbosity) = 0;

  virtual std::string Version() const = 0;

 protected:
  virtual ~EdgeTpuManager() = default;
};

// An open device. Bind it to interpreters with SetExternalContext(kTfLiteEdgeTpuContext, context.get()); it
// must outlive them.
class EdgeTpuContext : public TfLiteExternalContext {
 public:
  virtual ~EdgeTpuContext() = 0;

  virtual const EdgeTpuManager::DeviceEnumerationRecord& GetDeviceEnumRecord() const = 0;

  // The options it was opened with, and "IsReady" and "ExclusiveOwnership" where they hold.
  virtual EdgeTpuManager::DeviceOptions GetDeviceOptions() const = 0;

  virtual bool IsReady() const = 0;
};

// The handler of kCustomOp, for MutableOpResolver::AddCustom().
EDGETPU_EXPORT TfLiteRegistration* RegisterCustomOp();

EDGETPU_EXPORT std::ostream& operator<<(std::ostream& out, DeviceType device_type);

}  // namespace edgetpu

#endif  // CORALFORGE_EDGETPU_H_
