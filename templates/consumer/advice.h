// Why an Edge TPU cannot be used, and what to do: one table for all programs, so that they say the same.
#ifndef CORAL_ADVICE_H_
#define CORAL_ADVICE_H_

#include <cstring>
#include <map>
#include <string>

#include "cli.h"

namespace coral {

// One thing that is in the way, or worth knowing. `code` is kOk where the Edge TPU works all the same; an
// empty `id` stands for nothing at all.
struct Finding {
  std::string id;
  ExitCode code = kOk;
  std::string cause;   // half a sentence
  std::string action;  // what to do, another half

  // Both in one line.
  std::string Text() const { return cause + "; " + action; }
};

struct Advice {
  const char* id;
  ExitCode code;
  const char* cause;
  const char* action;
};

#define CORAL_MAY_NOT_OPEN \
  "user {user} may not open the Edge TPU {device}: {node} belongs to {owner}:{group} with mode {mode}"
#define CORAL_RELOAD "udevadm control --reload-rules && udevadm trigger"
#define CORAL_POWER                                                                                      \
  "check the cable, the port (directly on the board, not on a hub) and the power supply (or take a hub " \
  "with its own), then unplug it and plug it in again"

// {words} are filled in by Advise(). docs/diagnose.md of coralforge explains each id and how it was shown.
// The order is that of a report: the first one that applies is the most important.
constexpr Advice kAdvice[] = {
    // Nothing is known, or nothing is there.
    {"no-sysfs", kNoEdgeTpu, "there is no /sys here, so the devices of this system cannot be seen",
     "mount it: mount -t sysfs sysfs /sys"},
    {"none", kNoEdgeTpu, "there is no Edge TPU on USB or PCIe",
     "USB: try another cable and a port directly on the board (lsusb must show 1a6e:089a or 18d1:9302; a "
     "virtual machine has to be given both); PCIe, M.2: switch the power off and seat the card again (lspci "
     "-d 1ac1:089a must show it)"},
    {"none-in-container", kNoEdgeTpu,
     "there is no Edge TPU on USB or PCIe, as far as this container ({container}) can see",
     "look on its host (lsusb, lspci -d 1ac1:089a); when it is there: {grant}"},
    {"no-usb-host", kNoEdgeTpu, "there is no Edge TPU on PCIe, and this system has no USB controller",
     "give it one: Raspberry Pi Compute Module: dtoverlay=dwc2,dr_mode=host in config.txt; virtual machine: "
     "a USB 3 controller (xHCI) with both ids, 1a6e:089a and 18d1:9302"},
    // It is there, and libedgetpu does not list it.
    {"usb-no-node", kForbidden, "the Edge TPU {device} is plugged in, but there is no {node}",
     "let the kernel make it (mount -t devtmpfs devtmpfs /dev); a container has to be given /dev/bus/usb"},
    {"usb-no-node-container", kForbidden,
     "the Edge TPU {device} is plugged in, but this container ({container}) has no {node}", "{grant}"},
    {"usb-unlisted", kNoEdgeTpu, "the Edge TPU {device} is plugged in, but libedgetpu does not see it",
     "unplug it and plug it in again; if that does not help, restart the board"},
    {"pci-vfio", kNoEdgeTpu,
     "the Edge TPU at PCI address {device} is reserved for a virtual machine (vfio-pci)",
     "use it there, or take 1ac1:089a out of the options of vfio-pci in /etc/modprobe.d, and restart"},
    {"pci-other-driver", kNoEdgeTpu, "the Edge TPU at PCI address {device} has another driver ({driver})",
     "unbind it (echo {device} >/sys/bus/pci/drivers/{driver}/unbind), then: modprobe apex"},
    {"pci-no-module", kNoEdgeTpu,
     "the Edge TPU at PCI address {device} has no driver: no module apex for the kernel {kernel} is here",
     "install the package gasket-dkms and the headers of that kernel (on the host of a container); kernels "
     "from 6.4 on need newer sources than its version 1.0-18: google/gasket-driver on GitHub, and what its "
     "issues say"},
    {"pci-not-loaded", kNoEdgeTpu,
     "the Edge TPU at PCI address {device} has no driver: the modules gasket and apex are not loaded",
     "as root, run: modprobe apex; when that is refused, see dmesg (unsigned module under Secure Boot) and "
     "/etc/modprobe.d (blacklist)"},
    {"pi5-msi", kNoEdgeTpu,
     "the driver apex is loaded, but does not take the Edge TPU at PCI address {device} of this {model}",
     "add dtparam=pciex1, kernel=kernel8.img and dtoverlay=pineboards-hat-ai (its interrupts; kernel 6.6.30 "
     "or newer) to {config} and pcie_aspm=off to cmdline.txt, and restart; dmesg | grep apex says more"},
    {"pci-probe", kNoEdgeTpu,
     "the driver apex is loaded, but does not take the Edge TPU at PCI address {device}",
     "dmesg | grep apex says why; 'Couldn't initialize interrupts' means that board or slot has no MSI-X"},
    // It is listed, and this user may not open it.
    {"pci-no-node", kForbidden, "the Edge TPU {device} has its driver, but there is no {node}",
     "let the kernel make it (mount -t devtmpfs devtmpfs /dev); a container has to be given it (--device "
     "{node})"},
    {"pci-no-node-container", kForbidden,
     "the Edge TPU {device} has its driver, but this container ({container}) has no {node}", "{grant}"},
    {"cgroup", kForbidden,
     "the Edge TPU {device} cannot be opened: this container ({container}) is not allowed to use {node}",
     "{grant}"},
    {"container-owner", kForbidden,
     CORAL_MAY_NOT_OPEN ", a user of the host that this container does not have",
     "on the host, write MODE=\"0666\" into its udev rules and run: " CORAL_RELOAD},
    {"container-group", kForbidden, CORAL_MAY_NOT_OPEN, "start the container with --group-add {gid}"},
    {"container-rules", kForbidden, CORAL_MAY_NOT_OPEN,
     "on the host, as root, install the bundle's udev rules: cp 70-coral-edgetpu.rules /etc/udev/rules.d/ "
     "&& " CORAL_RELOAD},
    {"login-again", kForbidden, CORAL_MAY_NOT_OPEN,
     "you were added to group {group} after you logged in: log out and in again"},
    {"join-group", kForbidden, CORAL_MAY_NOT_OPEN, "as root, run: {join}; then log out and in again"},
    {"rules-missing", kForbidden, CORAL_MAY_NOT_OPEN ", since no udev rules for it are installed",
     "as root, run: {groupadd}cp {rules_file} /etc/udev/rules.d/ && " CORAL_RELOAD "{then_join}"},
    {"rules-one-id", kForbidden,
     CORAL_MAY_NOT_OPEN ", since the udev rules here ({rules}) have only one of its two USB ids",
     "as root, run: {groupadd}cp {rules_file} /etc/udev/rules.d/ && " CORAL_RELOAD "{then_join}"},
    {"rules-not-applied", kForbidden, CORAL_MAY_NOT_OPEN ", though {rules} should have changed that",
     "unplug it and plug it in again, or as root, run: {groupadd}" CORAL_RELOAD "{then_join}"},
    {"no-udev", kForbidden, CORAL_MAY_NOT_OPEN ", and no udev runs here that could change it",
     "as root, run: {groupadd}chgrp {wanted} {node} && chmod 664 {node}{then_join}; the former again "
     "whenever it gets "
     "another number, as it does with its firmware; or run the programs as root"},
    {"policy", kForbidden, "the Edge TPU {device} cannot be opened: {node}: {error}",
     "a security policy forbids it: see dmesg, and what SELinux or AppArmor say"},
    // Somebody else has it, or it does not answer.
    {"busy", kBusy,
     "the Edge TPU {device} is used by {owner}: only one program at a time can have it, and opening it now "
     "would take it away",
     "end that program first, or give it another device"},
    {"usb-lost", kLost, "the Edge TPU {device} cannot be opened: {node}: {error}", CORAL_POWER},
    {"pci-lost", kLost, "the Edge TPU {device} does not work: {error}",
     "see what its driver says (dmesg | grep apex), then restart the board"},
    {"pi5-pages", kCannotRun,
     "the kernel of this {model} has pages of {kib} KiB, with which the driver apex does not work",
     "add the line kernel=kernel8.img to {config} (4 KiB pages), restart, and install the driver for that "
     "kernel"},
    // In nobody's way, but worth knowing: these come last.
    {"pi5-pcie-off", kOk, "{config} of this {model} does not turn its PCIe connector on",
     "for an Edge TPU on PCIe add the line dtparam=pciex1 to {config}, and restart"},
    {"firmware", kOk, "the Edge TPU {device} waits for its firmware (1a6e:089a)",
     "nothing to do before it is first used; if it stays so, libedgetpu could not write the "
     "firmware: " CORAL_POWER},
    {"over-current", kOk,
     "the port of the Edge TPU {device} was switched off for over-current, {count} times",
     "take a stronger power supply, or a hub with its own"},
    {"undervoltage", kOk,
     "the board has too little voltage, which can make an Edge TPU go away while it works",
     "take the power supply that is made for the board, or a hub with its own"},
    {"bus-power", kOk, "the Edge TPU {device} hangs on a hub without power of its own ({hub})",
     "if it goes away or is slow, plug it into the board, or take a hub with its own power supply"},
    {"usb-slow-board", kOk, "the Edge TPU {device} runs at {speed}, and this board has no USB 3",
     "nothing to do here; on a board with USB 3 it is about four times as fast"},
    {"usb-slow-hub", kOk, "the Edge TPU {device} runs at {speed}, on a hub that can do no more ({hub})",
     "plug it into a USB 3 port (blue, or marked SS) or a USB 3 hub: it is about four times as fast there"},
    {"usb-slow", kOk, "the Edge TPU {device} runs at {speed}",
     "take a USB 3 port (blue, or marked SS) and a USB 3 cable: it is about four times as fast there"},
    {"pci-hot", kOk,
     "the Edge TPU {device} is at {celsius} degrees Celsius, and is slowed down from {limit} on",
     "cool it: heat sink, fan, air around it"},
    {"pci-one-of-two", kOk, "one Edge TPU is on PCIe",
     "all is well for a single one; an M.2 Accelerator with Dual Edge TPU shows two, but only in an M.2 "
     "E-key slot that has two PCIe x1 buses, which few have (or behind an adapter with a PCIe switch)"},
    {"simulated", kOk, "this libedgetpu is the SIMULATED one: it uses no hardware",
     "take one of the bundle's other variants: LD_LIBRARY_PATH=lib/throttled, or a bundle that has one"},
};
#undef CORAL_MAY_NOT_OPEN
#undef CORAL_RELOAD

using Words = std::map<std::string, std::string>;

// The text with each {word} replaced; one that is not known stays as it is.
inline std::string Fill(const std::string& text, const Words& words) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text[at] == '{' ? text.find('}', at) : std::string::npos;
    const auto word = end == std::string::npos ? words.end() : words.find(text.substr(at + 1, end - at - 1));
    result += word == words.end() ? std::string(1, text[at]) : word->second;
    at = word == words.end() ? at + 1 : end + 1;
  }
  return result;
}

// The entry `id` of the table, filled in.
inline Finding Advise(const char* id, const Words& words) {
  for (const Advice& advice : kAdvice) {
    if (std::strcmp(advice.id, id) == 0)
      return {id, advice.code, Fill(advice.cause, words), Fill(advice.action, words)};
  }
  throw Failure(kInternal, std::string("no advice ") + id);
}

// What to try when a device does not do as it should.
inline std::string LostAction(bool usb) {
  return Advise(usb ? "usb-lost" : "pci-lost", {}).action + "; lstpu --diagnose says more";
}

}  // namespace coral

#endif  // CORAL_ADVICE_H_
