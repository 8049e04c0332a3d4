// Keeps two programs from one Edge TPU: the second one that opens it would reset it, and the first would lose
// it.
#ifndef CORAL_DEVICE_OWNER_H_
#define CORAL_DEVICE_OWNER_H_

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "advice.h"
#include "cli.h"
#include "device.h"

namespace coral {

// The process that has the lock on a file or folder; 0 when nobody has, or none that can be seen from here.
inline int LockOwner(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return 0;
  std::ifstream locks("/proc/locks");
  std::string line;
  while (std::getline(locks, line)) {
    // 3: FLOCK  ADVISORY  WRITE 18443 00:16:10 0 EOF
    int process = 0;
    unsigned in_major = 0, in_minor = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), "%*d: FLOCK %*s %*s %d %x:%x:%llu", &process, &in_major, &in_minor,
                    &inode) == 4 &&
        major(info.st_dev) == in_major && minor(info.st_dev) == in_minor && info.st_ino == inode) {
      return process;
    }
  }
  return 0;
}

// Whether a process has `node` open for writing. What belongs to other users cannot be seen, but by root.
inline bool HasOpen(const std::string& process, const std::string& node) {
  const std::string folder = "/proc/" + process + "/fd/";
  for (const auto& number : EntriesOf(folder)) {
    char target[PATH_MAX];
    const ssize_t length = readlink((folder + number).c_str(), target, sizeof(target));
    if (length <= 0 || node != std::string(target, static_cast<size_t>(length))) continue;
    std::ifstream about("/proc/" + process + "/fdinfo/" + number);
    std::string word;
    while (about >> word) {
      if (word == "flags:" && about >> word)
        return (std::strtol(word.c_str(), nullptr, 8) & O_ACCMODE) != O_RDONLY;
    }
  }
  return false;
}

// Another process that uses the device: by the lock that programs of this project hold, or since it has the
// node open. 0 when there is none that can be seen.
inline int OwnerOf(const Device& device) {
  const int locked_by = LockOwner(device.place);
  if (locked_by != 0 && locked_by != getpid()) return locked_by;
  for (const auto& process : EntriesOf("/proc")) {
    const int id = atoi(process.c_str());
    if (id > 0 && id != getpid() && HasOpen(process, device.node)) return id;
  }
  return 0;
}

inline std::string ProcessName(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::string name;
  std::getline(file, name);
  return "process " + std::to_string(process) + (name.empty() ? "" : " (" + Printable(name) + ")");
}

inline Failure BusyFailure(const Device& device, int owner) {
  const Finding busy = Advise(
      "busy", {{"device", device.name}, {"owner", owner == 0 ? "another program" : ProcessName(owner)}});
  return Failure(busy.code, busy.Text());
}

// The right to open a device, for as long as one exists. It is a lock on the folder of /sys that stands for
// the device's port: every user can take it, it leaves no file behind, and it ends with the process, however
// that ends. Sessions of one process share a device, as libedgetpu lets them.
class DeviceClaim {
 public:
  // Throws Failure(kBusy), naming the process that has the device.
  static std::shared_ptr<DeviceClaim> Take(const Device& device) {
    static std::mutex mutex;
    static std::map<std::string, std::weak_ptr<DeviceClaim>> taken;
    const std::lock_guard<std::mutex> only_one(mutex);
    std::shared_ptr<DeviceClaim> claim = taken[device.path].lock();
    if (claim == nullptr) {
      claim = std::shared_ptr<DeviceClaim>(new DeviceClaim(device));
      taken[device.path] = claim;
    }
    return claim;
  }
  ~DeviceClaim() {
    if (file_ >= 0) close(file_);
  }
  DeviceClaim(const DeviceClaim&) = delete;
  DeviceClaim& operator=(const DeviceClaim&) = delete;

 private:
  explicit DeviceClaim(const Device& device)
      : file_(open(device.place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    // A folder that cannot be locked at all keeps nobody out, and nobody from their work.
    if (file_ < 0 || flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
    close(file_);
    throw BusyFailure(device, OwnerOf(device));
  }

  const int file_;
};

}  // namespace coral

#endif  // CORAL_DEVICE_OWNER_H_
