// Turns a crash inside TensorFlow Lite or libedgetpu into an error message.
#ifndef CORAL_CRASH_GUARD_H_
#define CORAL_CRASH_GUARD_H_

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "cli.h"
#include "last_words.h"

namespace coral {

// While one exists, a crash ends the program with a sentence. TensorFlow Lite's operations trust the model: a
// file that is damaged in the right place divides by zero or leaves its arrays, and no check from outside
// finds all such places. libedgetpu calls abort() when it loses its device, even when that is idle. This is
// for clear messages and no protection: never run models from people you do not trust. One at a time.
class CrashGuard {
 public:
  explicit CrashGuard(const std::string& path) : path_(path) {
    model_.Set(kCannotRun, path + " made TensorFlow Lite crash; the model is damaged or not supported");
    state_ = kModel;
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

  // From here on libedgetpu drives the device `name`. `node` disappears when the device does; empty where the
  // system does not know it. `remedy` is what to try when it fails.
  void UseDevice(const std::string& name, const std::string& node, const std::string& remedy) {
    state_ = kModel;
    failed_.Set(kLost, "libedgetpu gave up the Edge TPU " + name + " while it was used for " + path_ +
                           " (its own words are above): " + remedy);
    gone_.Set(kLost, "the Edge TPU " + name + " went away while it was used for " + path_ +
                         ": it was unplugged, lost its power or restarted; " + remedy);
    node_ = node;
    state_ = kDevice;
  }

 private:
  static constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  static constexpr int kCount = sizeof(kSignals) / sizeof(kSignals[0]);
  enum Cause { kModel, kDevice };

  // Static, since a signal handler is given no object.
  inline static LastWords model_, failed_, gone_;
  inline static std::string node_;
  inline static std::atomic<Cause> state_{kModel};

  static void Die(int signal) {
    if (state_ == kDevice) {
      if (!node_.empty() && access(node_.c_str(), F_OK) != 0) gone_.Say();
      // libedgetpu's way of giving up. Any other signal is more likely the model's fault than the device's.
      if (signal == SIGABRT) failed_.Say();
    }
    model_.Say();
  }

  const std::string path_;
  struct sigaction before_[kCount];
};

}  // namespace coral

#endif  // CORAL_CRASH_GUARD_H_
