// A value, or what is wrong.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace coral_device {

struct Wrong {
  std::string what;  // a sentence without its end
};

template <typename Value>
class Result {
 public:
  Result(Value value) : held_(std::move(value)) {}  // NOLINT: a value is a result
  Result(Wrong wrong) : held_(std::move(wrong)) {}  // NOLINT: so is this

  bool ok() const { return held_.index() == 0; }
  Value& value() { return std::get<0>(held_); }
  const std::string& wrong() const { return std::get<1>(held_).what; }

 private:
  std::variant<Value, Wrong> held_;
};

}  // namespace coral_device
