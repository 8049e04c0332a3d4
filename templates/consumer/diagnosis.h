// Why there is no Edge TPU to be used: facts of the system, and what follows from them. Nothing is sent to a
// device.
#ifndef CORAL_DIAGNOSIS_H_
#define CORAL_DIAGNOSIS_H_

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "advice.h"
#include "board.h"
#include "device.h"
#include "device_access.h"
#include "pci.h"
#include "unlisted.h"
#include "usb.h"
#include "versions.h"

namespace coral {

// An Edge TPU that may be opened as far as the kernel is concerned: it has a node, or should have one.
struct Candidate {
  Device device;
  Access access;
  bool listed = false;  // by libedgetpu
};

// All that decides; gathered once, then only looked at.
struct Facts {
  bool sysfs = true;
  bool simulated = false;  // this libedgetpu uses no hardware
  Board board;
  std::string container;  // its kind; empty for none
  UsbFacts usb;
  PciFacts pci;
  std::vector<Candidate> candidates;
  std::vector<Device> unknown;  // listed by libedgetpu, but not known to the system
};

inline Facts ProbeFacts() {
  Facts facts;
  facts.sysfs = Exists(In("/sys/bus"));
  facts.simulated = IsSimulated();
  facts.board = ProbeBoard();
  facts.container = ContainerKind();
  facts.usb = ProbeUsb();
  facts.pci = ProbePci(facts.board);
  std::vector<Device> devices;
  const auto add = [&](const Device& device) {
    const auto same = [&](const Device& other) { return other.path == device.path; };
    if (std::none_of(devices.begin(), devices.end(), same)) devices.push_back(device);
  };
  const std::vector<Device> listed = ListDevices();
  for (const UsbTpu& tpu : facts.usb.tpus) add(tpu.device);
  for (const PciTpu& tpu : facts.pci.tpus) {
    if (!tpu.apex.empty()) add(LookUp(false, "/dev/" + tpu.apex));
  }
  for (const Device& device : listed) add(device);
  for (const Device& device : devices) {
    const auto same = [&](const Device& other) { return other.path == device.path; };
    const bool known = std::any_of(listed.begin(), listed.end(), same);
    if (device.Known()) {
      facts.candidates.push_back({device, ProbeAccess(device), known});
    } else {
      facts.unknown.push_back(device);
    }
  }
  return facts;
}

// What keeps a candidate from being used; nothing when nothing is known to. Pure.
inline Finding Judge(const Candidate& candidate, bool simulated) {
  if (candidate.listed || simulated || !candidate.device.usb)
    return JudgeAccess(candidate.device, candidate.access);
  return JudgeUnlisted(candidate.device, candidate.access);
}

// Where there is no Edge TPU at all. Pure.
inline void JudgeNone(const Facts& facts, std::vector<Finding>* findings) {
  const Words words = {{"container", facts.container},
                       {"grant", GrantUsb(facts.container)},
                       {"model", facts.board.model},
                       {"config", facts.board.config}};
  const char* const why = !facts.sysfs               ? "no-sysfs"
                          : !facts.container.empty() ? "none-in-container"
                          : facts.usb.host           ? "none"
                                                     : "no-usb-host";
  findings->push_back(Advise(why, words));
  if (!facts.board.pcie_on) findings->push_back(Advise("pi5-pcie-off", words));
}

// What is known of PCI Edge TPUs. Pure.
inline void JudgePci(const Facts& facts, std::vector<Finding>* findings) {
  const Board& board = facts.board;
  for (const PciTpu& tpu : facts.pci.tpus) {
    const Finding driver = JudgeDriver(tpu, facts.pci, board);
    if (driver.code != kOk) findings->push_back(driver);
    for (const Finding& finding : JudgePciTpu(tpu)) findings->push_back(finding);
  }
  if (facts.pci.tpus.size() == 1) findings->push_back(Advise("pci-one-of-two", {}));
  if (!facts.pci.tpus.empty() && board.IsPi5() && board.page_kib > 4) {
    findings->push_back(
        Advise("pi5-pages", {{"model", board.model},
                             {"kib", std::to_string(board.page_kib)},
                             {"config", board.config.empty() ? "config.txt" : board.config}}));
  }
}

// The place of a finding in the table.
inline size_t Rank(const Finding& finding) {
  size_t at = 0;
  while (at < std::size(kAdvice) && finding.id != kAdvice[at].id) ++at;
  return at;
}

// All that follows from the facts, the most important first. Pure.
inline std::vector<Finding> Diagnose(const Facts& facts) {
  std::vector<Finding> findings;
  for (const Candidate& candidate : facts.candidates) {
    const Finding finding = Judge(candidate, facts.simulated);
    if (finding.code != kOk) findings.push_back(finding);
  }
  for (const UsbTpu& tpu : facts.usb.tpus) {
    for (const Finding& finding : JudgeUsbTpu(tpu, facts.usb)) findings.push_back(finding);
  }
  JudgePci(facts, &findings);
  if (facts.board.undervoltage) findings.push_back(Advise("undervoltage", {}));
  if (facts.simulated) findings.push_back(Advise("simulated", {}));
  const bool some = !facts.candidates.empty() || !facts.pci.tpus.empty();
  if (!some && (facts.unknown.empty() || facts.simulated)) JudgeNone(facts, &findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return Rank(a) < Rank(b); });
  return findings;
}

}  // namespace coral

#endif  // CORAL_DIAGNOSIS_H_
