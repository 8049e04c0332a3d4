// What the programs have in common: exit codes, one-line errors, arguments, quoting for JSON.
#ifndef CORAL_CLI_H_
#define CORAL_CLI_H_

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace coral {

// Exit codes of all programs; documented in README.md.
enum ExitCode {
  kOk = 0,
  kInternal = 1,   // something unforeseen
  kUsage = 2,      // wrong arguments
  kBadInput = 3,   // a model, labels or image file that cannot be read or makes no sense
  kNoEdgeTpu = 4,  // an Edge TPU is needed, and there is none
  kCannotRun = 5,  // the model was read but could not be prepared or run
  kForbidden = 6,  // there is an Edge TPU, but this user, or this container, may not open it
  kBusy = 7,       // there is an Edge TPU, but another program uses it
  kLost = 8,       // the Edge TPU does not answer, failed, or was unplugged
  kTimeout = 9,    // something did not end in the time that --timeout gives it
  kDiffers = 10,   // the Edge TPU's outputs are further from the CPU's than --tolerance allows
};

// For the usage of all programs.
#define CORAL_EXIT_CODES                                                                                   \
  "Exit codes: 0 ok, 1 internal error, 2 wrong arguments, 3 unreadable file, 4 no Edge TPU where one is\n" \
  "needed, 5 cannot run, 6 the Edge TPU may not be opened, 7 another program uses it, 8 it does not\n"     \
  "answer or was lost, 9 out of time, 10 outputs differ (benchmark --tolerance).\n"

// An expected failure: one sentence for the user and the exit code.
struct Failure : std::runtime_error {
  Failure(ExitCode exit_code, const std::string& message) : std::runtime_error(message), code(exit_code) {}
  ExitCode code;
};

// The character that begins at `at`, which is moved behind it. File names may be any bytes: one that is no
// UTF-8 is taken for Latin-1.
inline unsigned NextCharacter(const std::string& text, size_t* at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const size_t start = (*at)++;
  const unsigned first = byte(start);
  const unsigned more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : 0;
  if (more == 0 || first >= 0xf5) return first;
  unsigned found = first & (0x3f >> more);
  for (size_t i = 1; i <= more; ++i) {
    if ((byte(start + i) & 0xc0) != 0x80) return first;
    found = found << 6 | (byte(start + i) & 0x3f);
  }
  // Written with more bytes than it takes, a half of a pair of UTF-16, or beyond the last one.
  if ((more == 2 && found < 0x800) || (more == 3 && found < 0x10000)) return first;
  if ((found >= 0xd800 && found < 0xe000) || found > 0x10ffff) return first;
  *at = start + 1 + more;
  return found;
}

// Replaces control characters, also those above ASCII: names inside models and label files must not be able
// to steer a terminal.
inline std::string Printable(const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const unsigned c = NextCharacter(text, &at);
    const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    result += control ? "?" : text.substr(start, at - start);
  }
  return result;
}

// In ASCII, so that it is JSON whatever the bytes are.
inline std::string JsonString(const std::string& text) {
  std::string result = "\"";
  const auto escape = [&](unsigned unit) {
    char escaped[16];
    std::snprintf(escaped, sizeof(escaped), "\\u%04x", unit);
    result += escaped;
  };
  for (size_t at = 0; at < text.size();) {
    const unsigned c = NextCharacter(text, &at);
    if (c >= 0x10000) {
      escape(0xd800 + ((c - 0x10000) >> 10));
      escape(0xdc00 + ((c - 0x10000) & 0x3ff));
    } else if (c < 0x20 || c >= 0x7f) {
      escape(c);
    } else {
      if (c == '"' || c == '\\') result += '\\';
      result += static_cast<char>(c);
    }
  }
  return result + "\"";
}

// Reads a whole number from `low` to `high`.
inline int ParseInt(const std::string& what, const std::string& text, int low, int high) {
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || value < low || value > high) {
    throw Failure(kUsage, what + " must be a whole number from " + std::to_string(low) + " to " +
                              std::to_string(high) + ", not '" + Printable(text) + "'");
  }
  return static_cast<int>(value);
}

// Reads a score from 0 to 1.
inline double ParseScore(const std::string& what, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0.0 && value <= 1.0)) {  // the negation also catches NaN
    throw Failure(kUsage, what + " must be a number from 0 to 1, not '" + Printable(text) + "'");
  }
  return value;
}

// Reads a number that is not negative.
inline double ParseAmount(const std::string& what, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0.0 && value <= 1e9)) {
    throw Failure(kUsage, what + " must be a number from 0 on, not '" + Printable(text) + "'");
  }
  return value;
}

// Takes arguments one by one: `--name VALUE`, `--name=VALUE`, and everything else by position.
class Arguments {
 public:
  Arguments(int argc, char** argv) : rest_(argv + 1, argv + argc) {}

  // True when `name` was given; its value, if any, stays.
  bool TakeFlag(const std::string& name) {
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == name) {
        rest_.erase(rest_.begin() + static_cast<long>(i));
        return true;
      }
    }
    return false;
  }

  std::string TakeOption(const std::string& name, const std::string& otherwise) {
    for (size_t i = 0; i < rest_.size(); ++i) {
      const auto at = rest_.begin() + static_cast<long>(i);
      if (rest_[i].compare(0, name.size() + 1, name + "=") == 0) {
        const std::string value = rest_[i].substr(name.size() + 1);
        rest_.erase(at);
        return value;
      }
      if (rest_[i] == name) {
        if (i + 1 == rest_.size()) throw Failure(kUsage, name + " needs a value");
        const std::string value = rest_[i + 1];
        rest_.erase(at, at + 2);
        return value;
      }
    }
    return otherwise;
  }

  // What is left, which must be `low` to `high` words without an unknown option among them.
  std::vector<std::string> TakePositional(size_t low, size_t high) {
    for (const auto& word : rest_) {
      if (word.size() > 1 && word[0] == '-')
        throw Failure(kUsage, "unknown option '" + Printable(word) + "'");
    }
    if (rest_.size() < low || rest_.size() > high) {
      throw Failure(kUsage, "wrong number of arguments (" + std::to_string(rest_.size()) + "); see --help");
    }
    return rest_;
  }

  const std::vector<std::string>& rest() const { return rest_; }

 private:
  std::vector<std::string> rest_;
};

// What --json asks for: "" nothing, "-" JSON on stdout, else a file. Its value is optional, so it is a
// separate word only where it cannot be taken for a model.
inline std::string TakeJson(Arguments& arguments) {
  const auto& words = arguments.rest();
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "--json") continue;
    const std::string next = i + 1 < words.size() ? words[i + 1] : "";
    const bool is_value = next == "-" || (next.size() > 5 && next.compare(next.size() - 5, 5, ".json") == 0);
    if (is_value) return arguments.TakeOption("--json", "");
    arguments.TakeFlag("--json");
    return "-";
  }
  return arguments.TakeOption("--json", "");
}

// Runs a program's body; whatever goes wrong becomes one line on stderr and an exit code.
template <typename Body>
int RunMain(const char* program, const char* usage, int argc, char** argv, Body body) {
  try {
    Arguments arguments(argc, argv);
    if (arguments.TakeFlag("--help") || arguments.TakeFlag("-h")) {
      std::fputs(usage, stdout);
      return kOk;
    }
    const int code = body(arguments);
    // A full disk or a closed pipe shows only now.
    if (std::fflush(stdout) != 0) throw Failure(kInternal, "cannot write the output");
    return code;
  } catch (const Failure& failure) {
    std::fprintf(stderr, "%s: error: %s\n", program, failure.what());
    return failure.code;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: error: not enough memory\n", program);
    return kCannotRun;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: error: %s\n", program, error.what());
    return kInternal;
  }
}

}  // namespace coral

#endif  // CORAL_CLI_H_
