/* The names that headers of glibc 2.38 and newer give strtol and strtoul. Archives compiled with them need it: Debian's
   ruy, and clang's own fuzzer. */
#include <stdlib.h>

long __isoc23_strtol(const char* text, char** end, int base) { return strtol(text, end, base); }

unsigned long __isoc23_strtoul(const char* text, char** end, int base) { return strtoul(text, end, base); }
