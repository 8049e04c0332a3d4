// The default constructors of string streams and their buffers are functions of libstdc++ since GCC 9
// (GLIBCXX_3.4.26). Before, they came from the header, as they do here.
#include <sstream>

namespace std {
#define CORALFORGE_STREAMS(character)                                           \
  template basic_stringbuf<character>::basic_stringbuf();                     \
  template basic_istringstream<character>::basic_istringstream();             \
  template basic_ostringstream<character>::basic_ostringstream();             \
  template basic_stringstream<character>::basic_stringstream();
CORALFORGE_STREAMS(char)
CORALFORGE_STREAMS(wchar_t)
}  // namespace std
