// Turns a crash inside TensorFlow Lite into an error message.
#ifndef CORAL_CRASH_GUARD_H_
#define CORAL_CRASH_GUARD_H_

#include <errno.h>  // program_invocation_short_name
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "cli.h"

namespace coral {

// While one exists, a crash ends the program with a sentence and kCannotRun. TensorFlow Lite's operations
// trust the model: a file that is damaged in the right place divides by zero or leaves its arrays, and no
// check from outside finds all such places. This is for clear messages and no protection: never run models
// from people you do not trust.
class CrashGuard {
 public:
  explicit CrashGuard(const std::string& path) {
    Message() = std::string(program_invocation_short_name) + ": error: " + path +
                " made TensorFlow Lite crash; the model is damaged or not supported\n";
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = Die;
    action.sa_flags = SA_ONSTACK;
    // A stack of its own, since the crash may be that the stack is used up.
    static char stack[65536];
    stack_t own;
    memset(&own, 0, sizeof(own));
    own.ss_sp = stack;
    own.ss_size = sizeof(stack);
    sigaltstack(&own, nullptr);
    for (int i = 0; i < kCount; ++i) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~CrashGuard() {
    for (int i = 0; i < kCount; ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  CrashGuard(const CrashGuard&) = delete;
  CrashGuard& operator=(const CrashGuard&) = delete;

 private:
  static constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  static constexpr int kCount = sizeof(kSignals) / sizeof(kSignals[0]);

  static std::string& Message() {
    static std::string message;
    return message;
  }

  // Only what is safe in a signal handler: no allocation, no stdio.
  static void Die(int) {
    const std::string& message = Message();
    if (write(STDERR_FILENO, message.data(), message.size()) < 0) _exit(kInternal);
    _exit(kCannotRun);
  }

  struct sigaction before_[kCount];
};

}  // namespace coral

#endif  // CORAL_CRASH_GUARD_H_
