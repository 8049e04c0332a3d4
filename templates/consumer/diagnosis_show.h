// Shows a diagnosis: for people, and as JSON, of which smoke.sh takes the lines it needs.
#ifndef CORAL_DIAGNOSIS_SHOW_H_
#define CORAL_DIAGNOSIS_SHOW_H_

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "advice.h"
#include "cli.h"
#include "diagnosis.h"

namespace coral {

// Exit code of a diagnosis: of the most important thing that is in the way.
inline ExitCode CodeOf(const std::vector<Finding>& findings) {
  return findings.empty() ? kOk : findings[0].code;
}

inline const char* StateOf(const Finding& obstacle) {
  if (obstacle.id == "usb-unlisted") return "unlisted";
  switch (obstacle.code) {
    case kOk:
      return "usable";
    case kForbidden:
      return "forbidden";
    case kBusy:
      return "busy";
    default:
      return "lost";
  }
}

inline const UsbTpu* UsbOf(const Facts& facts, const Device& device) {
  for (const UsbTpu& tpu : facts.usb.tpus) {
    if (tpu.device.path == device.path) return &tpu;
  }
  return nullptr;
}

inline double CelsiusOf(const Facts& facts, const Device& device) {
  for (const PciTpu& tpu : facts.pci.tpus) {
    if (!device.usb && "/dev/" + tpu.apex == device.path) return tpu.celsius;
  }
  return NAN;
}

inline std::string JsonText(const std::string& text) { return text.empty() ? "null" : JsonString(text); }

inline std::string JsonNumber(double value) {
  if (std::isnan(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof(text), "%.10g", value);
  return text;
}

// The beginning of every entry of "edge_tpus".
inline std::string TpuJson(bool usb, const std::string& path, const char* state) {
  return std::string("{\"kind\": \"") + (usb ? "usb" : "pcie") + "\", \"path\": " + JsonString(path) +
         ", \"state\": \"" + state + "\"";
}

inline std::string TpuJson(const Facts& facts, const Candidate& candidate) {
  const Device& device = candidate.device;
  const Access& access = candidate.access;
  const UsbTpu* const usb = UsbOf(facts, device);
  const Finding obstacle = Judge(candidate, facts.simulated);
  return TpuJson(device.usb, device.path, StateOf(obstacle)) +
         ", \"speed_mbps\": " + JsonNumber(device.megabits > 0 ? device.megabits : NAN) + ", \"firmware\": " +
         (!device.usb       ? "null"
          : device.firmware ? "\"loaded\""
                            : "\"not loaded\"") +
         ", \"temperature_c\": " + JsonNumber(CelsiusOf(facts, device)) +
         ", \"node\": " + JsonString(device.node) + ", \"owner\": " + JsonText(access.owner) +
         ", \"group\": " + JsonText(access.group) + ", \"mode\": " + JsonText(access.mode) +
         ", \"hub\": " + JsonText(usb == nullptr ? "" : usb->hub) +
         ", \"emulated\": " + (device.emulated ? "true" : "false") + "}";
}

// An entry of "edge_tpus" of which nothing more is known.
inline std::string TpuJsonOnly(bool usb, const std::string& path, const char* state) {
  return TpuJson(usb, path, state) + ", \"speed_mbps\": null, \"firmware\": null, \"temperature_c\": null}";
}

inline std::vector<std::string> TpusJson(const Facts& facts) {
  std::vector<std::string> all;
  for (const Candidate& candidate : facts.candidates) all.push_back(TpuJson(facts, candidate));
  for (const PciTpu& tpu : facts.pci.tpus) {
    if (tpu.apex.empty()) all.push_back(TpuJsonOnly(false, tpu.address, "no driver"));
  }
  for (const Device& device : facts.unknown)
    all.push_back(TpuJsonOnly(device.usb, device.path, facts.simulated ? "simulated" : "unknown"));
  return all;
}

inline std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return "[" + text + "]";
}

// Each value on a line of its own.
inline void PrintDiagnosisJson(const Facts& facts, const std::vector<Finding>& findings) {
  std::vector<std::string> causes;
  for (const Finding& finding : findings) {
    causes.push_back("{\"id\": " + JsonString(finding.id) + ", \"cause\": " + JsonString(finding.cause) +
                     ", \"action\": " + JsonString(finding.action) +
                     ", \"exit_code\": " + std::to_string(finding.code) + "}");
  }
  const Board& board = facts.board;
  std::printf("{\n  \"emulated\": %s,\n", JsonText(board.emulator).c_str());
  std::printf(
      "  \"board\": {\"model\": %s, \"kernel\": %s, \"machine\": %s, \"libc\": %s, \"cpu_temperature_c\": "
      "%s, "
      "\"container\": %s, \"page_kib\": %s},\n",
      JsonText(board.model).c_str(), JsonText(board.kernel).c_str(), JsonText(board.machine).c_str(),
      JsonText(board.libc).c_str(), JsonNumber(board.celsius).c_str(), JsonText(facts.container).c_str(),
      JsonNumber(board.page_kib > 0 ? static_cast<double>(board.page_kib) : NAN).c_str());
  std::printf("  \"edge_tpus\": %s,\n  \"diagnosis\": %s,\n", Joined(TpusJson(facts)).c_str(),
              Joined(causes).c_str());
  std::printf("  \"exit_code\": %d\n}\n", CodeOf(findings));
}

// One line on a candidate: what it is, where, whose, and in which state.
inline std::string Line(const Facts& facts, const Candidate& candidate) {
  const Device& device = candidate.device;
  const Access& access = candidate.access;
  const UsbTpu* const usb = UsbOf(facts, device);
  std::string text = device.name + ": ";
  if (usb != nullptr) {
    if (device.megabits > 0) text += SpeedText(device.megabits) + ", ";
    text += usb->hub.empty() ? "directly on the board" : "behind the hub " + usb->hub;
    text += device.firmware ? ", has its firmware (18d1:9302), " : ", waits for its firmware (1a6e:089a), ";
  }
  text += device.node;
  if (!access.mode.empty()) text += " " + access.owner + ":" + access.group + " " + access.mode;
  if (device.emulated) text += ", EMULATED (coral-device, no Edge TPU)";
  return text + ", " + StateOf(Judge(candidate, facts.simulated));
}

inline void PrintDiagnosis(const Facts& facts, const std::vector<Finding>& findings) {
  const Board& board = facts.board;
  std::printf("board: %s, kernel %s (%s), %s%s%s\n", board.model.empty() ? "not known" : board.model.c_str(),
              board.kernel.c_str(), board.machine.c_str(), board.libc.c_str(),
              facts.container.empty() ? "" : ", in a container: ", facts.container.c_str());
  for (const Candidate& candidate : facts.candidates) std::printf("%s\n", Line(facts, candidate).c_str());
  for (const PciTpu& tpu : facts.pci.tpus) {
    if (tpu.apex.empty()) {
      std::printf("pci %s: %s\n", tpu.address.c_str(),
                  tpu.driver.empty() ? "no driver" : ("driver " + tpu.driver).c_str());
    }
  }
  if (findings.empty()) std::printf("nothing is known to be in the way\n");
  for (size_t i = 0; i < findings.size(); ++i) {
    std::printf("%zu. %s: %s\n   what to do: %s\n", i + 1, findings[i].code == kOk ? "note" : "in the way",
                findings[i].cause.c_str(), findings[i].action.c_str());
  }
}

}  // namespace coral

#endif  // CORAL_DIAGNOSIS_SHOW_H_
