// PCI Edge TPUs as the system sees them: on the bus, with or without their driver.
#ifndef CORAL_PCI_H_
#define CORAL_PCI_H_

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "advice.h"
#include "board.h"
#include "system.h"

namespace coral {

struct PciTpu {
  std::string address;  // on the bus: 0000:01:00.0
  std::string driver;   // that is bound to it; empty for none
  std::string apex;     // what the driver calls it: apex_0; empty where it did not take it
  std::string status;   // by the driver: ALIVE, DEAD, LAMED; empty where it is not said
  double celsius = NAN;
  double limit = NAN;  // degrees from which on it is slowed down
};

struct PciFacts {
  std::vector<PciTpu> tpus;
  bool module_loaded = false;
  bool module_there = false;  // a file of it, for the running kernel
};

// Whether the kernel's list of modules has apex.
inline bool HasModule(const std::string& kernel) {
  std::ifstream list(In("/lib/modules/" + kernel + "/modules.dep"));
  for (std::string line; std::getline(list, line);) {
    const std::string path = line.substr(0, line.find(':'));
    if (LastPart(path).compare(0, 7, "apex.ko") == 0) return true;
  }
  return false;
}

inline PciTpu ProbePciTpu(const std::string& address) {
  PciTpu tpu;
  tpu.address = Printable(address);
  tpu.driver = Printable(LinkName(In("/sys/bus/pci/devices/" + address + "/driver")));
  for (const auto& name : EntriesOf(In("/sys/class/apex"))) {
    const std::string folder = In("/sys/class/apex/" + name);
    if (LinkName(folder + "/device") != address) continue;
    tpu.apex = Printable(name);
    tpu.status = ReadLine(folder + "/status");
    tpu.celsius = ReadNumber(folder + "/temp", NAN) / 1000;
    tpu.limit = ReadNumber(folder + "/trip_point0_temp", NAN) / 1000;
  }
  return tpu;
}

inline PciFacts ProbePci(const Board& board) {
  PciFacts facts;
  const std::string folder = "/sys/bus/pci/devices/";
  for (const auto& address : EntriesOf(In(folder))) {
    if (ReadWord(In(folder + address + "/vendor")) == "0x1ac1" &&
        ReadWord(In(folder + address + "/device")) == "0x089a")
      facts.tpus.push_back(ProbePciTpu(address));
  }
  facts.module_loaded = Exists(In("/sys/module/apex"));
  facts.module_there = HasModule(board.kernel);
  return facts;
}

// Why a device on the bus has no driver that makes it usable; nothing when it has. Pure.
inline Finding JudgeDriver(const PciTpu& tpu, const PciFacts& facts, const Board& board) {
  const Words words = {{"device", tpu.address},
                       {"driver", tpu.driver},
                       {"kernel", board.kernel},
                       {"model", board.model},
                       {"config", board.config.empty() ? "config.txt" : board.config}};
  if (tpu.driver == "vfio-pci") return Advise("pci-vfio", words);
  if (!tpu.driver.empty() && tpu.driver != "apex") return Advise("pci-other-driver", words);
  if (!tpu.driver.empty()) return {};
  if (facts.module_loaded) return Advise(board.IsPi5() ? "pi5-msi" : "pci-probe", words);
  return Advise(facts.module_there ? "pci-not-loaded" : "pci-no-module", words);
}

// What is known of a device that has its driver, beyond who may open it. Pure.
inline std::vector<Finding> JudgePciTpu(const PciTpu& tpu) {
  std::vector<Finding> findings;
  const auto whole = [](double value) { return std::to_string(std::lround(value)); };
  if (!tpu.status.empty() && tpu.status != "ALIVE")
    findings.push_back(
        Advise("pci-lost", {{"device", "pci " + tpu.apex}, {"error", "its driver calls it " + tpu.status}}));
  if (tpu.celsius >= tpu.limit) {  // not so when either is not known
    findings.push_back(Advise(
        "pci-hot",
        {{"device", "pci " + tpu.apex}, {"celsius", whole(tpu.celsius)}, {"limit", whole(tpu.limit)}}));
  }
  return findings;
}

}  // namespace coral

#endif  // CORAL_PCI_H_
