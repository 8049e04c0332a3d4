// A shared library with a C++ interface, to see what crosses the border between it and a program.
#ifndef CORALFORGE_TESTS_BORDER_H_
#define CORALFORGE_TESTS_BORDER_H_

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#define BORDER_EXPORT __attribute__((visibility("default")))

namespace border {

class BORDER_EXPORT Refused : public std::runtime_error {
 public:
  Refused(const std::string& why, int code) : std::runtime_error(why), code(code) {}
  ~Refused() override;
  int code;
};

struct BORDER_EXPORT Shape {
  virtual ~Shape();
  virtual std::string Name() const = 0;
};

// Throws Refused, out_of_range, bad_alloc, or something that is no std::exception; by number.
BORDER_EXPORT void Throw(int which);
// Calls back into the program; what that throws passes through this library.
BORDER_EXPORT void Call(const std::function<void()>& back);
// An exception of this library, to be thrown again elsewhere.
BORDER_EXPORT std::exception_ptr Caught();
BORDER_EXPORT std::map<std::string, std::vector<std::string>> Sorted(const std::vector<std::string>& words);
BORDER_EXPORT std::unique_ptr<Shape> MakeSquare();
BORDER_EXPORT void Print(std::ostream& out, double value);

}  // namespace border

#endif  // CORALFORGE_TESTS_BORDER_H_
