// Reading and writing small files whole, and label files.
#ifndef CORAL_FILES_H_
#define CORAL_FILES_H_

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cli.h"

namespace coral {

// Throws unless `path` is an ordinary file of 1 to `max_bytes` bytes; returns its size.
inline size_t CheckFile(const std::string& path, size_t max_bytes) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    throw Failure(kBadInput, "cannot read " + Printable(path) + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) throw Failure(kBadInput, Printable(path) + " is not a file");
  if (info.st_size == 0) throw Failure(kBadInput, Printable(path) + " is empty");
  if (static_cast<uint64_t>(info.st_size) > max_bytes) {
    throw Failure(kBadInput, Printable(path) + " is larger than " + std::to_string(max_bytes >> 20) + " MiB");
  }
  return static_cast<size_t>(info.st_size);
}

inline std::vector<uint8_t> ReadFile(const std::string& path, size_t max_bytes) {
  std::vector<uint8_t> bytes(CheckFile(path, max_bytes));
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) {
    throw Failure(kBadInput, "cannot read " + Printable(path) + ": " + std::strerror(errno));
  }
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    throw Failure(kBadInput, "cannot read all of " + Printable(path));
  }
  return bytes;
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  FILE* const file = std::fopen(path.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (file == nullptr || std::fclose(file) != 0 || !written) {
    throw Failure(kInternal, "cannot write " + Printable(path));
  }
}

// Splits "12  some name" into its number and text; false when the line does not begin with a number.
inline bool SplitNumber(const std::string& line, size_t* number, std::string* text) {
  const size_t digits = line.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string::npos || digits > 6) return false;
  if (line[digits] != ' ' && line[digits] != '\t' && line[digits] != ':') return false;
  *number = static_cast<size_t>(std::stoul(line.substr(0, digits)));
  *text = line.substr(std::min(line.find_first_not_of(" \t:", digits), line.size()));
  return true;
}

// Reads labels, one a line; the class is the line's number, or the number that begins every line.
inline std::vector<std::string> ReadLabels(const std::string& path) {
  const std::vector<uint8_t> bytes = ReadFile(path, size_t{4} << 20);
  if (std::memchr(bytes.data(), 0, bytes.size()) != nullptr) {
    throw Failure(kBadInput, Printable(path) + " is not a text file (it holds zero bytes)");
  }
  std::vector<std::string> lines(1);
  for (const uint8_t byte : bytes) {
    if (byte == '\n') {
      lines.emplace_back();
    } else if (byte != '\r') {
      lines.back() += static_cast<char>(byte);
    }
  }
  if (lines.back().empty()) lines.pop_back();

  std::vector<std::string> numbered;
  for (const auto& line : lines) {
    size_t number = 0;
    std::string text;
    if (!SplitNumber(line, &number, &text)) return lines;
    if (number >= numbered.size()) numbered.resize(number + 1);
    numbered[number] = text;
  }
  return numbered;
}

inline std::string LabelOf(const std::vector<std::string>& labels, size_t index) {
  return index < labels.size() ? Printable(labels[index]) : "(no label)";
}

}  // namespace coral

#endif  // CORAL_FILES_H_
