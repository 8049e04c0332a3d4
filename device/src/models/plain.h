// The plain model that a compiled one came from, run by TensorFlow Lite between the tensors that the chip
// sees.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/program.h"
#include "core/usb.h"
#include "models/result.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/model_builder.h"

namespace coral_device {

// A part of a model: the operations between some tensors, given by name.
class PlainPart {
 public:
  // `model` are the bytes of a model's file. Fails if the operations that lead to the outputs need anything
  // but the inputs and constants.
  static Result<std::unique_ptr<PlainPart>> Make(const Bytes& model, const std::vector<std::string>& inputs,
                                                 const std::vector<std::string>& outputs);

  // Bytes of the i-th input or output.
  size_t InputBytes(size_t i) const { return interpreter_->input_tensor(i)->bytes; }
  size_t OutputBytes(size_t i) const { return interpreter_->output_tensor(i)->bytes; }

  // What it multiplies in one run.
  Multiplications Count() const;

  // Returns what went wrong, empty if nothing did. Sizes are those above.
  std::string Run(const std::vector<Bytes>& inputs, std::vector<Bytes>* outputs);

 private:
  Bytes file_;  // the interpreter reads constants from it
  std::unique_ptr<tflite::FlatBufferModel> model_;
  std::unique_ptr<tflite::Interpreter> interpreter_;
};

}  // namespace coral_device
