// Inputs to ask a model, from a file: samples that it was not calibrated with, in the numbers that it takes.
//
// The file is the bytes of all inputs, in the model's order, of one sample after the other, and nothing else.
#ifndef CORAL_QUESTIONS_H_
#define CORAL_QUESTIONS_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cli.h"
#include "files.h"
#include "tensorflow/lite/interpreter.h"

namespace coral {

class Questions {
 public:
  static constexpr size_t kMost = 1000;

  // None.
  Questions() = default;

  // Throws Failure where the file cannot be read.
  explicit Questions(const std::string& path) : path_(path), bytes_(ReadFile(path, size_t{256} << 20)) {}

  bool Any() const { return !bytes_.empty(); }

  // How many there are for this model; throws Failure where they are none of it.
  size_t Count(tflite::Interpreter& interpreter) const {
    const size_t one = Size(interpreter);
    if (one == 0 || bytes_.size() % one != 0 || bytes_.size() / one > kMost) {
      throw Failure(kBadInput, Printable(path_) + " has " + std::to_string(bytes_.size()) +
                                   " bytes, which are not 1 to " + std::to_string(kMost) +
                                   " inputs of the model, of " + std::to_string(one) + " bytes each");
    }
    return bytes_.size() / one;
  }

  void Set(tflite::Interpreter& interpreter, size_t number) const {
    const uint8_t* at = bytes_.data() + number * Size(interpreter);
    for (size_t i = 0; i < interpreter.inputs().size(); ++i) {
      TfLiteTensor* const tensor = interpreter.input_tensor(i);
      std::memcpy(tensor->data.raw, at, tensor->bytes);
      at += tensor->bytes;
    }
  }

 private:
  static size_t Size(tflite::Interpreter& interpreter) {
    size_t size = 0;
    for (size_t i = 0; i < interpreter.inputs().size(); ++i) {
      const TfLiteTensor* const tensor = interpreter.input_tensor(i);
      if (tensor->data.raw == nullptr) return 0;
      size += tensor->bytes;
    }
    return size;
  }

  std::string path_;
  std::vector<uint8_t> bytes_;
};

}  // namespace coral

#endif  // CORAL_QUESTIONS_H_
