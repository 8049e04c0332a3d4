/* The name of clock_gettime in 32-bit programs with 64-bit times, since glibc 2.34. Archives compiled so need it.
Here time_t
   has 32 bits, so the clock of the day is wrong after 2038; ruy, which needs this, asks for the monotonic one. */
#include <stdint.h>
#include <time.h>

#if __SIZEOF_POINTER__ == 4
struct coralforge_timespec64 {
  int64_t seconds;
  int32_t nanoseconds;
  int32_t padding;
};

int __clock_gettime64(clockid_t clock, struct coralforge_timespec64* time);

int __clock_gettime64(clockid_t clock, struct coralforge_timespec64* time) {
  struct timespec found;
  if (clock_gettime(clock, &found) != 0) return -1;
  time->seconds = found.tv_sec;
  time->nanoseconds = found.tv_nsec;
  time->padding = 0;
  return 0;
}
#endif
