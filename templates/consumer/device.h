// What the system knows of an Edge TPU before anything is sent to it: its node, its speed, whether it has its
// firmware. libedgetpu itself only lists devices; what keeps it from opening one it does not say.
#ifndef CORAL_DEVICE_H_
#define CORAL_DEVICE_H_

#include <stdlib.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "advice.h"
#include "edgetpu_c.h"
#include "system.h"

namespace coral {

// An Edge TPU. Where the system does not know it, as one that is SIMULATED, `node` is empty: then nothing can
// be told in advance.
struct Device {
  bool usb = true;
  std::string path;      // as libedgetpu names it
  std::string name;      // for people: "usb 2-1", "pci apex_0"
  std::string node;      // what is opened: /dev/bus/usb/002/004, /dev/apex_0
  std::string place;     // a folder of /sys that stays while the device restarts: its port
  bool firmware = true;  // false: a USB device that gets its firmware when it is first opened
  double megabits = 0;   // a second, of the USB connection; 0 where the system does not say

  bool Known() const { return !node.empty(); }

  // What to try when it does not do as it should.
  std::string Remedy() const { return LostAction(usb); }
};

// An Edge TPU changes its USB id when it gets its firmware.
inline bool IsEdgeTpu(const std::string& vendor, const std::string& product, bool* firmware) {
  *firmware = vendor == "18d1" && product == "9302";
  return *firmware || (vendor == "1a6e" && product == "089a");
}

// Fills in what /sys says of a USB device; leaves `device` as it is when there is no Edge TPU at that port.
inline void LookUpUsb(Device* device) {
  const std::string folder = In("/sys/bus/usb/devices/" + LastPart(device->path));
  bool firmware = false;
  if (!IsEdgeTpu(ReadWord(folder + "/idVendor"), ReadWord(folder + "/idProduct"), &firmware)) return;
  const int bus = atoi(ReadWord(folder + "/busnum").c_str());
  const int number = atoi(ReadWord(folder + "/devnum").c_str());
  if (bus <= 0 || number <= 0) return;
  char node[64];
  std::snprintf(node, sizeof(node), "/dev/bus/usb/%03d/%03d", bus, number);
  device->node = In(node);
  device->firmware = firmware;
  device->megabits = ReadNumber(folder + "/speed", 0);
  char* const port = realpath((folder + "/port").c_str(), nullptr);
  device->place = port == nullptr ? folder : port;
  free(port);
}

inline void LookUpPci(Device* device) {
  const std::string folder = In("/sys/class/apex/" + LastPart(device->path));
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) return;
  device->node = In(device->path);
  device->place = folder;
}

// What the system says of the device that libedgetpu calls `path`.
inline Device LookUp(bool usb, const std::string& path) {
  Device device;
  device.usb = usb;
  device.path = path;
  device.name = (device.usb ? "usb " : "pci ") + Printable(LastPart(device.path));
  if (device.usb) {
    LookUpUsb(&device);
  } else {
    LookUpPci(&device);
  }
  return device;
}

// The same device as it is now; without a node when it is not there any more.
inline Device LookUpAgain(const Device& before) { return LookUp(before.usb, before.path); }

// The devices that libedgetpu lists, in its order. Nothing is sent to them.
inline std::vector<Device> ListDevices() {
  size_t count = 0;
  const std::unique_ptr<edgetpu_device, decltype(&edgetpu_free_devices)> listed(edgetpu_list_devices(&count),
                                                                                edgetpu_free_devices);
  std::vector<Device> devices;
  for (size_t i = 0; i < count; ++i) {
    devices.push_back(LookUp(listed.get()[i].type != EDGETPU_APEX_PCI, listed.get()[i].path));
  }
  return devices;
}

// Every USB Edge TPU that the system has, whether or not libedgetpu lists it.
inline std::vector<Device> PluggedIn() {
  std::vector<Device> devices;
  const std::string folder = "/sys/bus/usb/devices/";
  for (const auto& name : EntriesOf(In(folder))) {
    const Device device = LookUp(true, folder + name);
    if (device.Known()) devices.push_back(device);
  }
  return devices;
}

}  // namespace coral

#endif  // CORAL_DEVICE_H_
