// How long an inference should take on a real Edge TPU, by how it is connected, and what to look at where it
// takes far longer. The numbers come from whoever knows the model (in a bundle: expected.json beside it).
#ifndef CORAL_EXPECTATION_H_
#define CORAL_EXPECTATION_H_

#include <map>
#include <string>

#include "cli.h"
#include "session.h"
#include "timing.h"

namespace coral {

// So many times what is expected is worth a warning; half of it may be a slow host's.
constexpr double kFarBelow = 3;

// Milliseconds per inference, by connection: usb3, usb2, pci.
using Expectation = std::map<std::string, double>;

// Reads "usb3=1.9,usb2=4.3".
inline Expectation ParseExpectation(const std::string& text) {
  Expectation expectation;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const size_t equals = std::min(part.find('='), part.size());
    const std::string name = part.substr(0, equals);
    if (name != "usb3" && name != "usb2" && name != "pci") {
      throw Failure(kUsage, "--expect takes usb3=MS,usb2=MS,pci=MS, not '" + Printable(part) + "'");
    }
    expectation[name] = ParseAmount("--expect " + name, part.substr(std::min(equals + 1, part.size())));
    at = end + 1;
  }
  return expectation;
}

// "usb3", "usb2", "pci"; empty where the system does not say how the device is connected.
inline std::string ConnectionOf(const Placement& placement) {
  if (placement.type == "pci") return "pci";
  return placement.megabits >= 5000 ? "usb3" : placement.megabits >= 480 ? "usb2" : "";
}

// A measured time beside what is expected of hardware.
struct Judgement {
  double expected = 0;  // ms; 0 where there is nothing to compare with
  double times = 0;     // measured by expected
  std::string reason;   // why there is nothing to compare with
  std::string warning;  // where it is far slower: what to look at
};

inline std::string Suspects(const Placement& placement) {
  std::string text;
  const auto add = [&](const std::string& suspect) { text += (text.empty() ? "" : "; ") + suspect; };
  if (ConnectionOf(placement) == "usb2") {
    add("it is connected at USB 2 speed: take a USB 3 port and cable, directly at the board");
  }
  if (placement.operations > placement.delegated) {
    add(std::to_string(placement.operations - placement.delegated) + " operations run on the CPU");
  }
  // On PCIe the variants do not differ.
  if (placement.type == "usb" && Variant() == "throttled")
    add("libedgetpu is the throttled one, at half the clock");
  add("a hot device slows itself down");
  add("a weak power supply or hub");
  add("a host whose CPU is busy or clocked down");
  return text;
}

inline Judgement Judge(const Expectation& expectation, const Placement& placement, const Times& times) {
  Judgement judgement;
  const std::string connection = ConnectionOf(placement);
  const auto found = expectation.find(connection);
  if (!placement.edge_tpu) {
    judgement.reason = "it ran on the CPU";
  } else if (*placement.Mark() != '\0') {
    judgement.reason = std::string("it is ") + placement.Mark() + ", which takes another time than hardware";
  } else if (connection.empty()) {
    judgement.reason = "the system does not say how fast the device is connected";
  } else if (found == expectation.end() || found->second <= 0) {
    judgement.reason = "nothing is known of this model at " + connection;
  } else {
    judgement.expected = found->second;
    judgement.times = times.median / found->second;
  }
  if (judgement.times > kFarBelow) {
    judgement.warning = "an inference takes " + Fixed(times.median) + " ms, " + Fixed(judgement.times, 1) +
                        " times what is expected at " + connection + " (" + Fixed(found->second) +
                        " ms); look at this: " + Suspects(placement);
  }
  return judgement;
}

}  // namespace coral

#endif  // CORAL_EXPECTATION_H_
