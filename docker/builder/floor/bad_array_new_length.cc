// What GCC 11 and newer call for `new T[n]` with an absurd n (GLIBCXX_3.4.29). Archives compiled with them need it.
#include <new>

namespace std {
[[noreturn]] void __throw_bad_array_new_length() { throw bad_array_new_length(); }
}  // namespace std
