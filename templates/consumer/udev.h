// Which udev rules for Edge TPUs this system has, and whether anything applies them.
#ifndef CORAL_UDEV_H_
#define CORAL_UDEV_H_

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "system.h"

namespace coral {

struct UdevRules {
  bool runs = true;                  // false: there is no udev here
  bool waiting = false;              // a rule for USB devices without firmware (1a6e)
  bool running = false;              // ... with it (18d1:9302)
  bool pci = false;                  // ... for the driver apex
  std::string usb_files, pci_files;  // those that have such rules, for people

  bool AnyUsb() const { return waiting || running; }
};

inline void AddName(std::string* names, const std::string& name) {
  *names += (names->empty() ? "" : ", ") + Printable(name);
}

// Adds what one file of rules says. Some name only the vendors; but 18d1 alone is also in files for
// Android phones, and says nothing of Edge TPUs there.
inline void AddRules(const std::string& path, UdevRules* rules) {
  std::istringstream text(ReadText(path));
  bool waiting = false, google = false, exact = false, pci = false;
  for (std::string line; std::getline(text, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto has = [&](const char* word) { return line.find(word) != std::string::npos; };
    waiting = waiting || has("1a6e");
    google = google || has("18d1");
    exact = exact || has("9302");
    pci = pci || has("\"apex");
  }
  const bool running = exact || (google && waiting);
  if (waiting || running) AddName(&rules->usb_files, LastPart(path));
  if (pci) AddName(&rules->pci_files, LastPart(path));
  rules->waiting = rules->waiting || waiting;
  rules->running = rules->running || running;
  rules->pci = rules->pci || pci;
}

// udev is said to be absent only where /proc shows that this is a whole system.
inline UdevRules ProbeUdev() {
  UdevRules rules;
  rules.runs = Exists(In("/run/udev/control")) || !Exists(In("/proc/self"));
  for (const char* folder : {"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
                             "/usr/lib/udev/rules.d", "/lib/udev/rules.d"}) {
    // On most systems /lib is a link to /usr/lib: each file once.
    if (folder == std::string("/lib/udev/rules.d") && Exists(In("/usr/lib/udev/rules.d"))) continue;
    for (const auto& name : EntriesOf(In(folder))) {
      if (name.size() > 6 && name.compare(name.size() - 6, 6, ".rules") == 0)
        AddRules(In(folder) + "/" + name, &rules);
    }
  }
  return rules;
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

}  // namespace coral

#endif  // CORAL_UDEV_H_
