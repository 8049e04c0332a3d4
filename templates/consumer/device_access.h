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

#include "cli.h"
#include "device.h"
#include "device_owner.h"

namespace coral {

// What keeps a device from being opened; `code` is kOk when nothing does.
struct Obstacle {
  ExitCode code = kOk;
  std::string text;
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

inline std::string ShellQuoted(const std::string& text) {
  if (text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@=") ==
      std::string::npos) {
    return text;
  }
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// The udev rules of the bundle that the program is in; without a bundle around it, their name.
inline std::string RulesFile() {
  const std::string name = "70-coral-edgetpu.rules";
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof(program));
  if (length > 0) {
    std::string folder(program, static_cast<size_t>(length));
    for (int up = 0; up < 2; ++up) folder.resize(std::min(folder.rfind('/'), folder.size()));
    const std::string path = folder + "/share/udev/" + name;
    if (access(path.c_str(), R_OK) == 0) return ShellQuoted(path);
  }
  return name;
}

// What an administrator types so that `user` may open a node that belongs to `group`.
inline std::string PermissionRemedy(const std::string& user, const std::string& group, bool group_may) {
  const std::string wanted = group_may ? group : "plugdev";
  if (group_may && IsMember(user, group)) {
    return "you were added to group " + group + " after you logged in: log out and in again";
  }
  std::string commands;
  const auto add = [&](const std::string& command) {
    commands += (commands.empty() ? "" : " && ") + command;
  };
  if (!group_may) {
    if (getgrnam("plugdev") == nullptr) add("groupadd plugdev");
    add("cp " + RulesFile() + " /etc/udev/rules.d/");
    add("udevadm control --reload-rules");
    add("udevadm trigger");
  }
  const bool member = IsMember(user, wanted);
  if (!member) add("usermod -aG " + wanted + " " + ShellQuoted(user));
  return "as root, run: " + commands + (member ? "" : "; then log out and in again");
}

inline std::string ForbiddenText(const Device& device, const struct stat& info) {
  char mode[8];
  std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(info.st_mode & 07777));
  const std::string user = UserName(geteuid());
  const std::string group = GroupName(info.st_gid);
  const bool group_may = info.st_gid != 0 && (info.st_mode & 0060) == 0060;
  return "user " + user + " may not open the Edge TPU " + device.name + ": " + device.node + " belongs to " +
         UserName(info.st_uid) + ":" + group + " with mode " + mode + "; " +
         PermissionRemedy(user, group, group_may);
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

// Looks at a device without sending it anything.
inline Obstacle FindObstacle(const Device& device) {
  if (!device.Known()) return {};
  const int error = OpenError(device);
  struct stat info;
  if (error == EACCES && stat(device.node.c_str(), &info) == 0)
    return {kForbidden, ForbiddenText(device, info)};
  if (error == ENOENT) {
    return {kForbidden, "the Edge TPU " + device.name + " cannot be opened: there is no " + device.node +
                            " (a container has to be given it, for example by --device " +
                            (device.usb ? "/dev/bus/usb" : device.node) + ")"};
  }
  const int owner = OwnerOf(device);
  if (owner != 0) return {kBusy, BusyText(device, owner)};
  if (error == 0) return {};
  const std::string text =
      "the Edge TPU " + device.name + " cannot be opened: " + device.node + ": " + std::strerror(error);
  if (error == EPERM) return {kForbidden, text + " (a container or a security policy forbids it)"};
  if (error == EACCES) return {kForbidden, text};
  return {kLost, text + "; " + device.Remedy()};
}

}  // namespace coral

#endif  // CORAL_DEVICE_ACCESS_H_
