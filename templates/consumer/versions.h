// What the loaded libraries say of themselves.
#ifndef CORAL_VERSIONS_H_
#define CORAL_VERSIONS_H_

#include <dlfcn.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <string>

#include "edgetpu_c.h"

namespace coral {

// Returns the 40 digits behind "TENSORFLOW_COMMIT=", or "unknown".
inline std::string StampedCommit(const std::string& text) {
  static const char kMark[] = "TENSORFLOW_COMMIT=";
  for (size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at + 1)) {
    const std::string commit = text.substr(at + sizeof(kMark) - 1, 40);
    if (commit.size() == 40 && commit.find_first_not_of("0123456789abcdef") == std::string::npos)
      return commit;
  }
  return "unknown";
}

inline bool IsSimulated() { return std::string(edgetpu_version()).find("SIMULATED") != std::string::npos; }

// The path with all links resolved; empty where there is nothing.
inline std::string Resolved(const std::string& path) {
  char* const resolved = realpath(path.c_str(), nullptr);
  const std::string found = resolved == nullptr ? "" : resolved;
  free(resolved);
  return found;
}

// The file that a symbol was loaded from, with all links resolved; empty when it cannot be told.
inline std::string LibraryOf(const char* symbol) {
  void* const address = dlsym(RTLD_DEFAULT, symbol);
  Dl_info info;
  if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "";
  return Resolved(info.dli_fname);
}

// Which libedgetpu is loaded: "simulated" by its own word, else "direct" or "throttled" by the folder it is
// in (a bundle's) or by the link to it that is (a Debian package's), else "unknown".
inline std::string Variant() {
  if (IsSimulated()) return "simulated";
  const std::string path = LibraryOf("edgetpu_version");
  if (path.empty()) return "unknown";
  const std::string folder = path.substr(0, path.rfind('/'));
  for (const char* variant : {"direct", "throttled"}) {
    if (path.find(std::string("/") + variant + "/") != std::string::npos) return variant;
    if (Resolved(folder + "/coralforge/" + variant + "/libedgetpu.so.1") == path) return variant;
  }
  return "unknown";
}

// The TensorFlow commit that a loaded library was built from, by one of its symbols. It is read from the
// library's file, where the build left it as text.
inline std::string CommitOf(const char* symbol) {
  std::ifstream file(LibraryOf(symbol), std::ios::binary);
  return StampedCommit(std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
}

inline std::string TfliteCommit() { return CommitOf("TfLiteIntArrayCreate"); }
inline std::string EdgeTpuCommit() { return CommitOf("edgetpu_version"); }

}  // namespace coral

#endif  // CORAL_VERSIONS_H_
