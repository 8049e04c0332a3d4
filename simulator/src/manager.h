// What is open, by whom, and how.
#ifndef CORALFORGE_SIMULATOR_MANAGER_H_
#define CORALFORGE_SIMULATOR_MANAGER_H_

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices.h"
#include "edgetpu.h"

namespace coralforge {

class Manager final : public edgetpu::EdgeTpuManager {
 public:
  using Context = edgetpu::EdgeTpuContext;
  using DeviceType = edgetpu::DeviceType;

  // An open device and how many contexts hold it.
  struct Device {
    DeviceRecord record;
    DeviceOptions options;
    bool exclusive;
    int users;
    const int opening;  // differs each time that a device is opened
    bool unplugged;     // for good: a device that comes back has to be opened again
  };

  static Manager* Get();

  std::unique_ptr<Context> NewEdgeTpuContext() override;
  std::unique_ptr<Context> NewEdgeTpuContext(DeviceType type) override;
  std::unique_ptr<Context> NewEdgeTpuContext(DeviceType type, const std::string& path) override;
  std::unique_ptr<Context> NewEdgeTpuContext(DeviceType type, const std::string& path,
                                             const DeviceOptions& options) override;
  std::vector<DeviceEnumerationRecord> EnumerateEdgeTpu() const override;
  std::shared_ptr<Context> OpenDevice() override;
  std::shared_ptr<Context> OpenDevice(DeviceType type) override;
  std::shared_ptr<Context> OpenDevice(DeviceType type, const std::string& path) override;
  std::shared_ptr<Context> OpenDevice(DeviceType type, const std::string& path,
                                      const DeviceOptions& options) override;
  std::vector<std::shared_ptr<Context>> GetOpenedDevices() const override;
  TfLiteStatus SetVerbosity(int verbosity) override;
  std::string Version() const override;

  // Called by a context when it goes away; closes the device with its last one.
  void Release(Device* device);

  // Whether the device can run something.
  bool IsReady(Device* device);

  // Tells one opened device from every other, and from itself after it was closed and opened again.
  static int Opening(const Context& context);

 private:
  std::unique_ptr<Context> Open(const std::vector<DeviceType>& types, const std::string& path,
                                const DeviceOptions& options, bool exclusive);
  Device* FindShared(const std::vector<DeviceType>& types, const std::string& path);
  bool IsOpen(const DeviceRecord& record) const;
  void Log(int level, const char* what, const std::string& path) const;

  mutable std::mutex mutex_;
  mutable std::list<Device> open_;  // a list, because contexts hold pointers into it
  int openings_ = 0;
  int verbosity_ = 0;
};

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_MANAGER_H_
