#include "border.h"

#include <iomanip>
#include <limits>
#include <new>

namespace border {

Refused::~Refused() = default;
Shape::~Shape() = default;

namespace {
struct Square : Shape {
  std::string Name() const override { return "a square, with a name too long for a short string"; }
};
}  // namespace

void Throw(int which) {
  switch (which) {
    case 0:
      throw Refused("refused, for a reason that is not a short string", 7);
    case 1:
      (void)std::string("abc").at(10);
      break;
    case 2:
      throw std::bad_alloc();
    default:
      throw which;
  }
}

void Call(const std::function<void()>& back) { back(); }

std::exception_ptr Caught() {
  try {
    Throw(0);
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

std::map<std::string, std::vector<std::string>> Sorted(const std::vector<std::string>& words) {
  std::map<std::string, std::vector<std::string>> sorted;
  for (const auto& word : words) sorted[word.substr(0, 1)].push_back(word);
  return sorted;
}

std::unique_ptr<Shape> MakeSquare() { return std::make_unique<Square>(); }

void Print(std::ostream& out, double value) { out << std::fixed << std::setprecision(3) << value; }

}  // namespace border
