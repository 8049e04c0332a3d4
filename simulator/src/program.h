// What one "edgetpu-custom-op" node runs: its sub-model, in a nested interpreter on the CPU.
#ifndef CORALFORGE_SIMULATOR_PROGRAM_H_
#define CORALFORGE_SIMULATOR_PROGRAM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/error_reporter.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/model_builder.h"

namespace coralforge {

// The application's tensors, by number, in the order of the compiled operation.
struct Ends {
  std::vector<int> inputs;
  std::vector<int> outputs;
};

// Functions that can fail return what went wrong, as a sentence for the user, and "" when nothing did. Like
// the interpreter that the node is in, a program is used by one thread at a time.
class Program {
 public:
  // Reads a payload, from anywhere; what is wrong with it is said by Prepare(). The bytes have to live as
  // long as the program, since the constants stay in them. So it is with all constants of a model.
  Program(const char* payload, size_t size);

  // Whether it has state from one run to the next (an LSTM has).
  bool HasState() const;

  // Makes it ready to run between these tensors. As the real library does, it takes inputs that are N times
  // as long in the first dimension, and gives the outputs that length.
  std::string Prepare(TfLiteContext* context, const Ends& ends);

  // Runs it on the tensors that it was prepared for, with as many threads as the application gave its
  // interpreter.
  std::string Run(TfLiteContext* context);

  // Forgets the state.
  std::string Reset();

 private:
  // Keeps what TensorFlow Lite reports, to be passed on through the application's own interpreter.
  class Errors : public tflite::ErrorReporter {
   public:
    int Report(const char* format, va_list arguments) override;
    std::string Take(const std::string& what);

   private:
    std::string text_;
  };

  std::string Load(const char* payload, size_t size);
  std::string Build(int threads);
  std::string Fit(TfLiteContext* context);

  // Members are destroyed from the last to the first: each uses those before it.
  Errors errors_;
  std::unique_ptr<char[]> aligned_;
  std::unique_ptr<tflite::FlatBufferModel> model_;
  std::unique_ptr<tflite::Interpreter> interpreter_;
  Ends ends_;
  int batches_ = 1;  // how often it runs for one run of the node
  std::string unusable_;
};

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_PROGRAM_H_
