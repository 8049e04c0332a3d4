// Lists the Edge TPUs of this machine.
#include <cstdio>
#include <memory>

#include "cli.h"
#include "edgetpu_c.h"
#include "versions.h"

namespace {

constexpr char kUsage[] =
    "usage: lstpu [--require] [--json]\n"
    "Lists index, type and path of each Edge TPU, and their number.\n"
    "  --require  exit code 4 when there is none\n"
    "  --json     print JSON\n";

using Devices = std::unique_ptr<edgetpu_device, decltype(&edgetpu_free_devices)>;

void PrintText(const edgetpu_device* devices, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    std::printf("%zu  %s  %s\n", i, devices[i].type == EDGETPU_APEX_PCI ? "PCI" : "USB",
                coral::Printable(devices[i].path).c_str());
  }
  std::printf("%zu Edge TPU%s%s\n", count, count == 1 ? "" : "s",
              coral::IsSimulated() ? " (SIMULATED: this libedgetpu uses no hardware)" : "");
}

void PrintJson(const edgetpu_device* devices, size_t count) {
  std::printf("{\n  \"devices\": [");
  for (size_t i = 0; i < count; ++i) {
    std::printf("%s\n    {\"index\": %zu, \"type\": \"%s\", \"path\": %s}", i == 0 ? "" : ",", i,
                devices[i].type == EDGETPU_APEX_PCI ? "pci" : "usb",
                coral::JsonString(devices[i].path).c_str());
  }
  std::printf("%s],\n  \"count\": %zu,\n  \"simulated\": %s,\n  \"variant\": \"%s\",\n  \"edgetpu\": %s\n}\n",
              count == 0 ? "" : "\n  ", count, coral::IsSimulated() ? "true" : "false",
              coral::Variant().c_str(), coral::JsonString(edgetpu_version()).c_str());
}

int Run(coral::Arguments& arguments) {
  const bool require = arguments.TakeFlag("--require");
  const bool json = arguments.TakeFlag("--json");
  arguments.TakePositional(0, 0);

  size_t count = 0;
  const Devices devices(edgetpu_list_devices(&count), edgetpu_free_devices);
  if (json) {
    PrintJson(devices.get(), count);
  } else {
    PrintText(devices.get(), count);
  }
  return require && count == 0 ? coral::kNoEdgeTpu : coral::kOk;
}

}  // namespace

int main(int argc, char** argv) { return coral::RunMain("lstpu", kUsage, argc, argv, Run); }
