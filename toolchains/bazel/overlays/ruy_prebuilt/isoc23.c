/* The archives were built against glibc 2.38 or newer, whose headers turn strtol into this name. Defining it here,
   hidden, keeps the board's older glibc sufficient. */
#include <stdlib.h>

__attribute__((visibility("hidden"))) long __isoc23_strtol(const char* text, char** end, int base) {
  return strtol(text, end, base);
}
