// A line on stderr and an exit code, prepared in advance: what a signal handler can say before the program
// ends.
#ifndef CORAL_LAST_WORDS_H_
#define CORAL_LAST_WORDS_H_

#include <errno.h>  // program_invocation_short_name
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "cli.h"

namespace coral {

class LastWords {
 public:
  void Set(ExitCode code, const std::string& message) {
    const std::string line = std::string(program_invocation_short_name) + ": error: " + message;
    size_ = std::min(line.size(), sizeof(text_) - 1);
    memcpy(text_, line.data(), size_);
    text_[size_++] = '\n';
    code_ = code;
  }

  // Only what is safe in a signal handler: no allocation, no stdio. Nothing is cleaned up, and nothing need
  // be: the kernel gives a USB device and a lock back when their process ends.
  [[noreturn]] void Say() const {
    if (write(STDERR_FILENO, text_, size_) < 0) _exit(kInternal);
    _exit(code_);
  }

 private:
  char text_[2048] = "\n";
  size_t size_ = 1;
  ExitCode code_ = kInternal;
};

}  // namespace coral

#endif  // CORAL_LAST_WORDS_H_
