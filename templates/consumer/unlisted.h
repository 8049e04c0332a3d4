// Edge TPUs that the system has and libedgetpu does not list, each with the reason.
#ifndef CORAL_UNLISTED_H_
#define CORAL_UNLISTED_H_

#include <algorithm>
#include <string>
#include <vector>

#include "advice.h"
#include "board.h"
#include "device.h"
#include "device_access.h"
#include "pci.h"

namespace coral {

// Why a USB device is not listed. Pure.
inline Finding JudgeUnlisted(const Device& device, const Access& access) {
  const Finding obstacle = JudgeAccess(device, access);
  if (obstacle.code != kOk) return obstacle;
  return Advise("usb-unlisted", {{"device", device.name}});
}

inline std::vector<Finding> Unlisted(const std::vector<Device>& listed) {
  std::vector<Finding> found;
  for (const Device& device : PluggedIn()) {
    const auto same = [&](const Device& other) { return other.path == device.path; };
    if (std::none_of(listed.begin(), listed.end(), same))
      found.push_back(JudgeUnlisted(device, ProbeAccess(device)));
  }
  const Board board = ProbeBoard();
  const PciFacts pci = ProbePci(board);
  for (const PciTpu& tpu : pci.tpus) {
    const Finding finding = JudgeDriver(tpu, pci, board);
    if (finding.code != kOk) found.push_back(finding);
  }
  return found;
}

}  // namespace coral

#endif  // CORAL_UNLISTED_H_
