// Puts an end to waiting: libedgetpu waits for ever for a device that has stopped answering.
#ifndef CORAL_WATCHDOG_H_
#define CORAL_WATCHDOG_H_

#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include <string>

#include "cli.h"
#include "last_words.h"

namespace coral {

// Seconds; several times what any step takes on a slow board.
#define CORAL_DEFAULT_TIMEOUT "120"
// For the usage of all programs.
#define CORAL_TIMEOUT_USAGE                                                      \
  "  --timeout S     give up when a step takes longer than S seconds, 0: never " \
  "(default " CORAL_DEFAULT_TIMEOUT ")\n"

inline int TakeTimeout(Arguments& arguments) {
  return ParseInt("--timeout", arguments.TakeOption("--timeout", CORAL_DEFAULT_TIMEOUT), 0, 86400);
}

// Ends the program with a sentence and kTimeout when something takes too long. There is no way to call
// libedgetpu back, so the end of the program is the only end there is. Uses SIGALRM and the process' one
// timer: in a program that needs those for itself, use a thread instead. One at a time.
class Watchdog {
 public:
  // `seconds` for each step; 0 for no limit.
  explicit Watchdog(int seconds) : seconds_(seconds) {
    if (seconds_ == 0) return;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = Bark;
    sigaction(SIGALRM, &action, &before_);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
  }
  ~Watchdog() {
    if (seconds_ == 0) return;
    Stop();
    sigaction(SIGALRM, &before_, nullptr);
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // `step` is what may not end, as the subject of a sentence; `remedy` is what to try then.
  void Describe(const std::string& step, const std::string& remedy) {
    Stop();
    words_.Set(kTimeout, step + " did not end within " + std::to_string(seconds_) + " s; " + remedy);
  }
  // From here on the time runs, until Stop() or the next step.
  void Start() { Arm(seconds_); }
  void Start(const std::string& step, const std::string& remedy) {
    Describe(step, remedy);
    Start();
  }
  void Stop() { Arm(0); }

 private:
  inline static LastWords words_;  // static, since a signal handler is given no object
  static void Bark(int) { words_.Say(); }

  void Arm(int seconds) {
    if (seconds_ == 0) return;
    struct itimerval timer;
    memset(&timer, 0, sizeof(timer));
    timer.it_value.tv_sec = seconds;
    setitimer(ITIMER_REAL, &timer, nullptr);
  }

  const int seconds_;
  struct sigaction before_;
};

}  // namespace coral

#endif  // CORAL_WATCHDOG_H_
