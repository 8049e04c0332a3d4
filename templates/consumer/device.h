// What the system knows of an Edge TPU before anything is sent to it: its node, its speed, whether it has its
// firmware. libedgetpu itself only lists devices; what keeps it from opening one it does not say.
#ifndef CORAL_DEVICE_H_
#define CORAL_DEVICE_H_

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "cli.h"
#include "edgetpu_c.h"

namespace coral {

// An Edge TPU. Where the system does not know it, as one that is SIMULATED, `node` is empty: then nothing can
// be told in advance.
struct Device {
  bool usb = true;
  std::string path;       // as libedgetpu names it
  std::string name;       // for people: "usb 2-1", "pci apex_0"
  std::string node;       // what is opened: /dev/bus/usb/002/004, /dev/apex_0
  std::string place;      // a folder of /sys that stays while the device restarts: its port
  bool firmware = true;   // false: a USB device that gets its firmware when it is first opened
  double megabits = 0;    // a second, of the USB connection; 0 where the system does not say
  bool emulated = false;  // coralforge's emulated device (coral-device), which is no hardware

  bool Known() const { return !node.empty(); }

  // What to try when it does not do as it should.
  const char* Remedy() const {
    return usb ? "check the cable, the port (directly on the board, not on a hub) and the power supply (or "
                 "take a "
                 "hub with its own), then unplug it and plug it in again"
               : "see what its driver says (dmesg | grep apex), then restart the board";
  }
};

// Tests put a folder with sys/ and dev/ in the place of the root folder.
inline std::string SystemRoot() {
  const char* const root = getenv("CORAL_TEST_ROOT");
  return root == nullptr ? "" : root;
}

// The first word of a small file; empty when it cannot be read.
inline std::string ReadWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

inline bool IsNode(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

// An Edge TPU changes its USB id when it gets its firmware.
inline bool IsEdgeTpu(const std::string& vendor, const std::string& product, bool* firmware) {
  *firmware = vendor == "18d1" && product == "9302";
  return *firmware || (vendor == "1a6e" && product == "089a");
}

// The emulated device says what it is: to the system by its product's name, or to this program by a mark in
// the libusb that leads to it.
inline bool IsEmulated(const std::string& usb_folder) {
  return ReadWord(usb_folder + "/product") == "EMULATED" ||
         dlsym(RTLD_DEFAULT, "coral_emulated_device") != nullptr;
}

inline std::string LastPart(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Fills in what /sys says of a USB device; leaves `device` as it is when there is no Edge TPU at that port.
inline void LookUpUsb(Device* device) {
  const std::string folder = SystemRoot() + "/sys/bus/usb/devices/" + LastPart(device->path);
  device->emulated = IsEmulated(folder);
  bool firmware = false;
  if (!IsEdgeTpu(ReadWord(folder + "/idVendor"), ReadWord(folder + "/idProduct"), &firmware)) return;
  const int bus = atoi(ReadWord(folder + "/busnum").c_str());
  const int number = atoi(ReadWord(folder + "/devnum").c_str());
  if (bus <= 0 || number <= 0) return;
  char node[64];
  std::snprintf(node, sizeof(node), "/dev/bus/usb/%03d/%03d", bus, number);
  device->node = SystemRoot() + node;
  device->firmware = firmware;
  device->megabits = atof(ReadWord(folder + "/speed").c_str());
  char* const port = realpath((folder + "/port").c_str(), nullptr);
  device->place = port == nullptr ? folder : port;
  free(port);
}

inline void LookUpPci(Device* device) {
  const std::string folder = SystemRoot() + "/sys/class/apex/" + LastPart(device->path);
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) return;
  device->node = SystemRoot() + device->path;
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

inline std::vector<std::string> EntriesOf(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Edge TPUs that the system has and libedgetpu did not list, each in a sentence that says why.
inline std::vector<std::string> Unlisted(const std::vector<Device>& listed) {
  std::vector<std::string> found;
  const std::string usb = "/sys/bus/usb/devices/";
  for (const auto& name : EntriesOf(SystemRoot() + usb)) {
    const Device device = LookUp(true, usb + name);
    const auto same = [&](const Device& other) { return other.path == device.path; };
    if (!device.Known() || std::any_of(listed.begin(), listed.end(), same)) continue;
    found.push_back("the Edge TPU " + device.name + " is plugged in, but libedgetpu does not see it" +
                    (IsNode(device.node)
                         ? ""
                         : ": there is no " + device.node + " (a container has to be given /dev/bus/usb)"));
  }
  const std::string pci = SystemRoot() + "/sys/bus/pci/devices/";
  for (const auto& name : EntriesOf(pci)) {
    const std::string folder = pci + name;
    if (ReadWord(folder + "/vendor") != "0x1ac1" || ReadWord(folder + "/device") != "0x089a") continue;
    struct stat info;
    if (stat((folder + "/driver").c_str(), &info) == 0) continue;
    found.push_back("the Edge TPU at PCI address " + Printable(name) +
                    " has no driver: the kernel modules gasket and apex are not loaded");
  }
  return found;
}

}  // namespace coral

#endif  // CORAL_DEVICE_H_
