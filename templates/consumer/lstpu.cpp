// Lists the Edge TPUs of this machine.
#include <cstdio>
#include <string>
#include <vector>

#include "cli.h"
#include "device.h"
#include "device_access.h"
#include "diagnosis.h"
#include "diagnosis_show.h"
#include "edgetpu_c.h"
#include "unlisted.h"
#include "versions.h"
#include "watchdog.h"

namespace {

constexpr char kUsage[] =
    "usage: lstpu [--require | --check | --diagnose] [--json] [--timeout S]\n"
    "Lists index, type and path of each Edge TPU, its state, and their number. Nothing is sent to them.\n"
    "  --require       exit code 4 when there is none\n"
    "  --check         the same, and 6, 7 or 8 when one of them cannot be used now; says why\n"
    "  --diagnose      what this system has, what is in the way, and what to do; also that there is none, "
    "and\n"
    "                  what makes one slow. Exit code 0 when nothing is in the way, else 4, 5, 6, 7 or 8\n"
    "  --json          print JSON\n" CORAL_TIMEOUT_USAGE CORAL_EXIT_CODES;

struct Entry {
  coral::Device device;
  coral::Finding obstacle;
};

// "usable" when nothing is known to be in the way, "unknown" when the system does not know the device.
const char* State(const Entry& entry) {
  return entry.device.Known() ? coral::StateOf(entry.obstacle) : "unknown";
}

std::string Speed(const coral::Device& device) {
  const std::string speed = coral::SpeedText(device.megabits);
  if (speed.empty()) return "";
  const bool slow = device.megabits >= 480 && device.megabits < 5000;
  return speed + (slow ? ", slower than USB 3, " : ", ");
}

// What is known of a device beyond its path; empty when nothing is.
std::string Describe(const Entry& entry) {
  if (!entry.device.Known()) return "";
  return "  " + Speed(entry.device) + (entry.device.firmware ? "" : "waiting for its firmware, ") +
         (entry.obstacle.code == coral::kOk ? "may be opened" : entry.obstacle.Text());
}

void PrintText(const std::vector<Entry>& entries) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const coral::Device& device = entries[i].device;
    std::printf("%zu  %s  %s%s\n", i, device.usb ? "USB" : "PCI", coral::Printable(device.path).c_str(),
                Describe(entries[i]).c_str());
  }
  std::printf("%zu Edge TPU%s%s\n", entries.size(), entries.size() == 1 ? "" : "s",
              coral::IsSimulated() ? " (SIMULATED: this libedgetpu uses no hardware)" : "");
}

// One device a line: shell scripts read this.
std::string Json(size_t index, const Entry& entry) {
  const coral::Device& device = entry.device;
  std::string text = "{\"index\": " + std::to_string(index) + ", \"type\": \"" +
                     (device.usb ? "usb" : "pci") + "\", \"path\": " + coral::JsonString(device.path) +
                     ", \"state\": \"" + State(entry) + "\"";
  if (device.Known()) {
    text += ", \"node\": " + coral::JsonString(device.node) +
            ", \"firmware\": " + (device.firmware ? "true" : "false");
  }
  if (device.megabits > 0) text += ", \"mbits\": " + std::to_string(static_cast<int>(device.megabits));
  if (entry.obstacle.code != coral::kOk) text += ", \"detail\": " + coral::JsonString(entry.obstacle.Text());
  return text + "}";
}

void PrintJson(const std::vector<Entry>& entries, const std::vector<coral::Finding>& unlisted) {
  std::string devices, others;
  for (size_t i = 0; i < entries.size(); ++i)
    devices += (i == 0 ? "\n    " : ",\n    ") + Json(i, entries[i]);
  for (const auto& finding : unlisted)
    others += (others.empty() ? "\n    " : ",\n    ") + coral::JsonString(finding.Text());
  std::printf(
      "{\n  \"devices\": [%s],\n  \"count\": %zu,\n  \"unlisted\": [%s],\n  \"unlisted_count\": %zu,\n"
      "  \"simulated\": %s,\n  \"variant\": \"%s\",\n  \"edgetpu\": %s\n}\n",
      (devices + (devices.empty() ? "" : "\n  ")).c_str(), entries.size(),
      (others + (others.empty() ? "" : "\n  ")).c_str(), unlisted.size(),
      coral::IsSimulated() ? "true" : "false", coral::Variant().c_str(),
      coral::JsonString(edgetpu_version()).c_str());
}

// What stands in the way of using the devices, for --check: the first reason is the exit code.
int Check(const std::vector<Entry>& entries) {
  int code = coral::kOk;
  for (const auto& entry : entries) {
    if (entry.obstacle.code == coral::kOk) continue;
    std::fprintf(stderr, "lstpu: error: %s\n", entry.obstacle.Text().c_str());
    if (code == coral::kOk) code = entry.obstacle.code;
  }
  return code;
}

int Diagnose(bool json) {
  const coral::Facts facts = coral::ProbeFacts();
  const std::vector<coral::Finding> findings = coral::Diagnose(facts);
  if (json) {
    coral::PrintDiagnosisJson(facts, findings);
  } else {
    coral::PrintDiagnosis(facts, findings);
  }
  return coral::CodeOf(findings);
}

int Run(coral::Arguments& arguments) {
  const bool diagnose = arguments.TakeFlag("--diagnose");
  const bool check = arguments.TakeFlag("--check");
  const bool require = arguments.TakeFlag("--require") || check;
  const bool json = arguments.TakeFlag("--json");
  coral::Watchdog watchdog(coral::TakeTimeout(arguments));
  arguments.TakePositional(0, 0);

  watchdog.Start("looking for Edge TPUs", "see what the system says (dmesg)");
  if (diagnose) return Diagnose(json);
  std::vector<coral::Device> devices = coral::ListDevices();
  std::vector<Entry> entries;
  for (const auto& device : devices) entries.push_back({device, coral::FindObstacle(device)});
  const auto unlisted = coral::IsSimulated() ? std::vector<coral::Finding>() : coral::Unlisted(devices);
  watchdog.Stop();

  if (json) {
    PrintJson(entries, unlisted);
  } else {
    PrintText(entries);
  }
  for (const auto& finding : unlisted) std::fprintf(stderr, "lstpu: warning: %s\n", finding.Text().c_str());
  if (require && entries.empty()) return check && !unlisted.empty() ? unlisted[0].code : coral::kNoEdgeTpu;
  return check ? Check(entries) : coral::kOk;
}

}  // namespace

int main(int argc, char** argv) { return coral::RunMain("lstpu", kUsage, argc, argv, Run); }
