// Says, before an Edge TPU is opened, whether this user may open it, and if not, what to do. libedgetpu
// itself would try for half a minute and then give no reason.
#ifndef CORAL_DEVICE_ACCESS_H_
#define CORAL_DEVICE_ACCESS_H_

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "advice.h"
#include "device.h"
#include "device_owner.h"
#include "system.h"
#include "udev.h"

namespace coral {

// Everything that decides whether this user may open a device's node. Nothing is sent to the device.
struct Access {
  int error = 0;  // of opening it; 0 when it may be opened
  std::string user, owner, group, mode;
  unsigned uid = 0, gid = 0;    // of the node
  bool group_may = false;       // whether its group, which is not root's, may read and write it
  bool in_session = false;      // whether this process is in that group
  bool member = false;          // whether the system's list of groups has the user in it
  bool plugdev = false;         // whether there is a group plugdev
  bool plugdev_member = false;  // whether the list has the user in that
  std::string process;          // who has the device, for people; empty for nobody that can be seen
  std::string container;        // its kind, or empty
  std::string grant;            // how a container of that kind is given the device
  std::string rules_file;       // the rules to install
  UdevRules udev;
};

inline std::string UserName(uid_t user) {
  const passwd* const entry = getpwuid(user);
  return entry == nullptr ? std::to_string(user) : Printable(entry->pw_name);
}

inline std::string GroupName(gid_t group) {
  const struct group* const entry = getgrgid(group);
  return entry == nullptr ? std::to_string(group) : Printable(entry->gr_name);
}

// Whether the system's list of groups has the user in it. A session that is older than the entry does not
// have the group yet.
inline bool IsMember(const std::string& user, const std::string& group_name) {
  const struct group* const entry = getgrnam(group_name.c_str());
  if (entry == nullptr) return false;
  for (char** member = entry->gr_mem; *member != nullptr; ++member) {
    if (user == *member) return true;
  }
  return false;
}

inline bool InSession(gid_t group) {
  std::vector<gid_t> groups(static_cast<size_t>(std::max(getgroups(0, nullptr), 0)));
  groups.resize(static_cast<size_t>(std::max(getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
  return getegid() == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

// The error of opening the device's node, 0 for none. A USB node is opened and closed, which sends nothing to
// the device and is the only way to learn what a container forbids; opening a PCI node would claim it.
inline int OpenError(const Device& device) {
  if (!device.usb) return access(device.node.c_str(), R_OK | W_OK) == 0 ? 0 : errno;
  const int file = open(device.node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return errno;
  close(file);
  return 0;
}

inline Access ProbeAccess(const Device& device) {
  Access access;
  access.error = OpenError(device);
  access.container = ContainerKind();
  access.grant =
      device.usb ? GrantUsb(access.container) : GrantPci(access.container, device.path, MajorOf("apex"));
  const int process = OwnerOf(device);
  if (process != 0) access.process = ProcessName(process);
  struct stat info;
  if (stat(device.node.c_str(), &info) != 0) return access;
  char mode[8];
  std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(info.st_mode & 07777));
  access.mode = mode;
  access.uid = info.st_uid;
  access.gid = info.st_gid;
  access.user = UserName(geteuid());
  access.owner = UserName(info.st_uid);
  access.group = GroupName(info.st_gid);
  if (access.error == 0) return access;
  access.group_may = info.st_gid != 0 && (info.st_mode & 0060) == 0060;
  access.in_session = InSession(info.st_gid);
  access.member = IsMember(access.user, access.group);
  access.plugdev = getgrnam("plugdev") != nullptr;
  access.plugdev_member = IsMember(access.user, "plugdev");
  access.udev = ProbeUdev();
  access.rules_file = RulesFile();
  return access;
}

// The words of the advice on access.
inline Words AccessWords(const Device& device, const Access& access) {
  const bool member = access.group_may ? access.member : access.plugdev_member;
  const std::string wanted = access.group_may ? access.group : "plugdev";
  const std::string join = "usermod -aG " + wanted + " " + ShellQuoted(access.user);
  return {{"device", device.name},
          {"node", device.node},
          {"user", access.user},
          {"owner", access.owner},
          {"group", access.group},
          {"mode", access.mode},
          {"gid", std::to_string(access.gid)},
          {"wanted", wanted},
          {"join", join},
          {"then_join", member ? "" : " && " + join + "; then log out and in again"},
          {"groupadd", access.plugdev ? "" : "groupadd plugdev && "},
          {"rules", device.usb ? access.udev.usb_files : access.udev.pci_files},
          {"rules_file", access.rules_file},
          {"container", access.container},
          {"grant", access.grant},
          {"error", std::strerror(access.error)}};
}

// Which advice there is for a node that this user may not open.
inline const char* WhyForbidden(const Device& device, const Access& access) {
  constexpr unsigned kNobody = 65534;  // also what stands for users that a container does not have
  const UdevRules& udev = access.udev;
  if (access.group_may && access.in_session) return "policy";
  if (!access.container.empty()) {
    if (access.uid == kNobody) return "container-owner";
    if (access.container == "docker" || access.container == "podman")
      return access.group_may ? "container-group" : "container-rules";
  }
  if (access.group_may) return access.member ? "login-again" : "join-group";
  if (!udev.runs) return "no-udev";
  if (device.usb ? !udev.AnyUsb() : !udev.pci) return "rules-missing";
  if (device.usb && !(device.firmware ? udev.running : udev.waiting)) return "rules-one-id";
  return "rules-not-applied";
}

// What keeps a device from being used; nothing when nothing is known to. Pure.
inline Finding JudgeAccess(const Device& device, const Access& access) {
  const auto advise = [&](const char* id) { return Advise(id, AccessWords(device, access)); };
  if (access.error == EACCES && !access.mode.empty()) return advise(WhyForbidden(device, access));
  if (access.error == ENOENT) {
    if (access.container.empty()) return advise(device.usb ? "usb-no-node" : "pci-no-node");
    return advise(device.usb ? "usb-no-node-container" : "pci-no-node-container");
  }
  if (!access.process.empty()) return Advise("busy", {{"device", device.name}, {"owner", access.process}});
  if (access.error == 0) return {};
  if (access.error == EPERM && !access.container.empty()) return advise("cgroup");
  if (access.error == EPERM || access.error == EACCES) return advise("policy");
  return advise(device.usb ? "usb-lost" : "pci-lost");
}

// Looks at a device without sending it anything.
inline Finding FindObstacle(const Device& device) {
  return device.Known() ? JudgeAccess(device, ProbeAccess(device)) : Finding();
}

}  // namespace coral

#endif  // CORAL_DEVICE_ACCESS_H_
