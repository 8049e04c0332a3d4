// What the board says of itself, and what is known to be in the way on some of them.
#ifndef CORAL_BOARD_H_
#define CORAL_BOARD_H_

#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>

#include "system.h"

namespace coral {

struct Board {
  std::string model;     // empty where nothing says it
  std::string kernel;    // its release
  std::string machine;   // the kernel's processor
  std::string libc;      // of this process
  std::string emulator;  // what emulates the board, as far as it shows; else empty
  std::string config;    // config.txt of a Raspberry Pi; empty where there is none
  double celsius = NAN;  // of the processor
  long page_kib = 0;     // of the kernel's memory pages; 0 where it is not known
  bool pcie_on = true;   // false: a Raspberry Pi 5 whose config.txt does not turn its PCIe connector on
  bool undervoltage = false;

  bool IsPi5() const {
    return model.find("Raspberry Pi 5") == 0 || model.find("Raspberry Pi Compute Module 5") == 0;
  }
};

// The temperature of the processor, by the first zone that is called so, else the first one.
inline double CpuCelsius() {
  const std::string folder = In("/sys/class/thermal/");
  double first = NAN;
  for (const auto& zone : EntriesOf(folder)) {
    if (zone.compare(0, 12, "thermal_zone") != 0) continue;
    const double celsius = ReadNumber(folder + zone + "/temp", NAN) / 1000;
    const std::string type = ReadWord(folder + zone + "/type");
    if (type.find("cpu") != std::string::npos || type.find("CPU") != std::string::npos ||
        type == "x86_pkg_temp") {
      if (!std::isnan(celsius)) return celsius;
    }
    if (std::isnan(first)) first = celsius;
  }
  return first;
}

// The size of memory pages as the kernel reports it, so that tests can say another.
inline long PageKib() {
  std::istringstream maps(ReadText(In("/proc/self/smaps")));
  for (std::string line; std::getline(maps, line);) {
    long kib = 0;
    if (std::sscanf(line.c_str(), "KernelPageSize: %ld kB", &kib) == 1) return kib;
  }
  return SystemRoot().empty() ? sysconf(_SC_PAGESIZE) / 1024 : 0;
}

// Whether config.txt has a line that turns the external PCIe connector on.
inline bool TurnsPcieOn(const std::string& config) {
  std::istringstream text(config);
  for (std::string line; std::getline(text, line);) {
    for (const char* word : {"dtparam=pciex1", "dtparam=nvme", "dtoverlay=pciex1"}) {
      if (line.compare(0, std::string(word).size(), word) == 0 && line.find("=off") == std::string::npos)
        return true;
    }
  }
  return false;
}

// The Raspberry Pi's sensor for it; other boards have none.
inline bool HasUndervoltage() {
  const std::string folder = In("/sys/class/hwmon/");
  for (const auto& name : EntriesOf(folder)) {
    if (ReadWord(folder + name + "/name") == "rpi_volt" &&
        ReadWord(folder + name + "/in0_lcrit_alarm") == "1")
      return true;
  }
  return false;
}

inline Board ProbeBoard() {
  Board board;
  struct utsname names;
  if (uname(&names) == 0) {
    board.kernel = Printable(names.release);
    board.machine = Printable(names.machine);
  }
  const std::string release = ReadLine(In("/proc/sys/kernel/osrelease"));
  if (!release.empty()) board.kernel = release;
  board.libc = std::string("glibc ") + gnu_get_libc_version();
  board.model = ReadLine(In("/proc/device-tree/model"));
  if (board.model.empty()) board.model = ReadLine(In("/sys/class/dmi/id/product_name"));
  const std::string vendor = ReadLine(In("/sys/class/dmi/id/sys_vendor"));
  if (vendor == "QEMU" || board.model == "linux,dummy-virt") board.emulator = "QEMU virtual machine";
  for (const char* path : {"/boot/firmware/config.txt", "/boot/config.txt"}) {
    if (board.config.empty() && access(In(path).c_str(), R_OK) == 0) board.config = path;
  }
  // A Compute Module 5 has its PCIe on in any case, a Raspberry Pi 500 has no such connector.
  if (board.model.find("Raspberry Pi 5 ") == 0 && !board.config.empty())
    board.pcie_on = TurnsPcieOn(ReadText(In(board.config)));
  board.celsius = CpuCelsius();
  board.page_kib = PageKib();
  board.undervoltage = HasUndervoltage();
  return board;
}

}  // namespace coral

#endif  // CORAL_BOARD_H_
