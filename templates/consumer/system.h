// The system's own files, and whether this is a container: what all that look at devices have in common.
#ifndef CORAL_SYSTEM_H_
#define CORAL_SYSTEM_H_

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "cli.h"

namespace coral {

// Tests put a folder with sys/, dev/, proc/ and so on in the place of the root folder.
inline std::string SystemRoot() {
  const char* const root = getenv("CORAL_TEST_ROOT");
  return root == nullptr ? "" : root;
}

// A path of the system, where it is to be read.
inline std::string In(const std::string& path) { return SystemRoot() + path; }

inline bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

inline bool IsNode(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

// The first word of a small file; empty when it cannot be read.
inline std::string ReadWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// A number in a small file; `otherwise` when there is none, or an absurd one.
inline double ReadNumber(const std::string& path, double otherwise) {
  const std::string word = ReadWord(path);
  char* end = nullptr;
  const double value = strtod(word.c_str(), &end);
  return word.empty() || *end != '\0' || !(std::fabs(value) < 1e9) ? otherwise : value;
}

// The beginning of a file of the system, at most 64 KiB; empty when it cannot be read.
inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(65536, '\0');
  file.read(&text[0], static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

// The first line, up to a zero byte, of a small file; no more of it than anybody reads.
inline std::string ReadLine(const std::string& path) {
  const std::string text = ReadText(path).substr(0, 256);
  return Printable(text.substr(0, text.find_first_of(std::string("\n\0", 2))));
}

inline std::vector<std::string> EntriesOf(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline std::string LastPart(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Where a link leads, without its folders; empty when it is none.
inline std::string LinkName(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof(target));
  return length <= 0 ? "" : LastPart(std::string(target, static_cast<size_t>(length)));
}

// The container that this runs in: "docker", "podman", "lxc", "kubernetes", "systemd-nspawn", the name that
// another kind gives itself, or empty for none that can be told.
inline std::string ContainerKind() {
  const std::string cgroups = ReadText(In("/proc/1/cgroup")) + ReadText(In("/proc/self/cgroup"));
  const auto within = [&](const char* word) { return cgroups.find(word) != std::string::npos; };
  if (within("kubepods") || Exists(In("/run/secrets/kubernetes.io"))) return "kubernetes";
  if (Exists(In("/.dockerenv"))) return "docker";
  if (Exists(In("/run/.containerenv"))) return "podman";
  // Root sees the environment of process 1; systemd leaves the name for everybody.
  std::string kind = ReadLine(In("/run/systemd/container"));
  const std::string environment = '\0' + ReadText(In("/proc/1/environ"));
  const std::string mark("\0container=", 11);
  const size_t at = environment.find(mark);
  if (kind.empty() && at != std::string::npos) kind = environment.substr(at + mark.size()).c_str();
  if (!kind.empty()) return kind == "oci" ? "podman" : Printable(kind);
  if (within("docker")) return "docker";
  if (within("libpod")) return "podman";
  // Its file system is over files of /proc there; the host has it too, but at /var/lib/lxcfs.
  if (within("/lxc") || ReadText(In("/proc/self/mounts")).find("lxcfs /proc/") != std::string::npos)
    return "lxc";
  return "";
}

// The kernel's number for devices of a driver ("usb_device", "apex"); empty when it has none.
inline std::string MajorOf(const std::string& driver) {
  std::ifstream file(In("/proc/devices"));
  std::string number, name;
  while (file >> number >> name) {
    if (name == driver) return number;
  }
  return "";
}

// How a container of that kind is given all USB devices. One is not enough: a device gets another number, and
// so another node, when it gets its firmware; Docker's --device takes only nodes that are there at the start.
inline std::string GrantUsb(const std::string& kind) {
  if (kind == "docker")
    return "start it with -v /dev/bus/usb:/dev/bus/usb --device-cgroup-rule='c 189:* rmw' (Compose: volumes "
           "and "
           "device_cgroup_rules): the whole bus, since the device gets another node with its firmware";
  if (kind == "podman")
    return "start it with -v /dev/bus/usb:/dev/bus/usb --group-add keep-groups, and as root also "
           "--device-cgroup-rule='c 189:* rmw': the whole bus, since the device gets another node with its "
           "firmware";
  if (kind == "lxc")
    return "add to its configuration (Proxmox: /etc/pve/lxc/ID.conf) the lines 'lxc.cgroup2.devices.allow: c "
           "189:* "
           "rwm' and 'lxc.mount.entry: /dev/bus/usb dev/bus/usb none bind,optional,create=dir' (plain LXC: = "
           "for the "
           "first colon), and start it again";
  if (kind == "kubernetes")
    return "give it /dev/bus/usb as a hostPath volume and securityContext.privileged: true";
  if (kind == "systemd-nspawn")
    return "start it with --bind=/dev/bus/usb --property='DeviceAllow=char-usb_device rwm'";
  return "give it /dev/bus/usb, and the right to use character devices with major number 189";
}

// How a container of that kind is given a PCI Edge TPU. `known` is the major number of apex devices, which is
// another one on each system; empty when it cannot be told here.
inline std::string GrantPci(const std::string& kind, const std::string& node, const std::string& known) {
  if (kind == "docker" || kind == "podman") return "start it with --device " + node;
  const std::string major = known.empty() ? "MAJOR" : known;
  if (kind == "lxc")
    return "add to its configuration (Proxmox: /etc/pve/lxc/ID.conf) the lines 'lxc.cgroup2.devices.allow: "
           "c " +
           major + ":* rwm' and 'lxc.mount.entry: " + node + " " + node.substr(1) +
           " none bind,optional,create=file' (plain LXC: = for the first colon" +
           (known.empty() ? "; MAJOR is the number of apex in /proc/devices" : "") + "), and start it again";
  if (kind == "kubernetes")
    return "give it " + node + " as a hostPath volume and securityContext.privileged: true";
  if (kind == "systemd-nspawn")
    return "start it with --bind=" + node + " --property='DeviceAllow=" + node + " rwm'";
  return "give it " + node + ", and the right to use it";
}

}  // namespace coral

#endif  // CORAL_SYSTEM_H_
