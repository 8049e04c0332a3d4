// Starts only where the C or C++ library has the function NEEDED, in the version of the stub that this is linked against.
#include <stdio.h>

extern void needed(void) __asm__(NEEDED);

int main(int argc, char **arguments) {
    (void)arguments;
    if (argc > 1) needed();
    puts("started");
    return 0;
}
