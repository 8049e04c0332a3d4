/* glibc 2.28 gave fcntl a second name for programs with 64-bit file offsets. The older one passes the same commands
on. */
#include <stdarg.h>

int coralforge_fcntl(int descriptor, int command, ...) __asm__("fcntl");
int coralforge_fcntl64(int descriptor, int command, ...) __asm__("fcntl64");

int coralforge_fcntl64(int descriptor, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return coralforge_fcntl(descriptor, command, argument);
}
