// What the delegate costs: the same model, plain on the CPU and compiled for the simulator, in turns.
//
// overhead PLAIN.tflite COMPILED.tflite ROUNDS: one line of JSON, with the medians in microseconds of the
// processor, and the median of what the delegate costs within each round: other work on the machine comes and
// goes, and while it has the processor nothing is counted.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

#include "edgetpu_c.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"

namespace {

[[noreturn]] void Stop(const char* what) {
  std::fprintf(stderr, "overhead: cannot run %s\n", what);
  std::exit(1);
}

struct Loaded {
  std::unique_ptr<tflite::FlatBufferModel> model;
  std::unique_ptr<tflite::Interpreter> interpreter;
};

Loaded Load(const char* path, TfLiteDelegate* delegate) {
  Loaded loaded;
  loaded.model = tflite::FlatBufferModel::BuildFromFile(path);
  if (loaded.model == nullptr) Stop(path);
  tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
  tflite::InterpreterBuilder(*loaded.model, resolver)(&loaded.interpreter, 1);
  if (delegate != nullptr && loaded.interpreter->ModifyGraphWithDelegate(delegate) != kTfLiteOk) Stop(path);
  if (loaded.interpreter->AllocateTensors() != kTfLiteOk) Stop(path);
  return loaded;
}

// Of the processor, by all threads of this process.
double MicrosecondsSoFar() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double MicrosecondsOfARun(tflite::Interpreter* interpreter) {
  const double start = MicrosecondsSoFar();
  if (interpreter->Invoke() != kTfLiteOk) Stop("a model that ran before");
  return MicrosecondsSoFar() - start;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc == 4 ? std::atoi(argv[3]) : 0;
  if (rounds < 1) {
    std::fputs("usage: overhead PLAIN.tflite COMPILED.tflite ROUNDS\n", stderr);
    return 2;
  }
  const std::unique_ptr<TfLiteDelegate, decltype(&edgetpu_free_delegate)> delegate(
      edgetpu_create_delegate(EDGETPU_APEX_USB, nullptr, nullptr, 0), edgetpu_free_delegate);
  if (delegate == nullptr) Stop("without a simulated USB device");
  const Loaded plain = Load(argv[1], nullptr), simulated = Load(argv[2], delegate.get());
  std::vector<double> plain_times, simulated_times, ratios;
  for (int round = -5; round < rounds; ++round) {
    // Now one is first, now the other.
    double plain_time = 0;
    if (round % 2 == 0) plain_time = MicrosecondsOfARun(plain.interpreter.get());
    const double simulated_time = MicrosecondsOfARun(simulated.interpreter.get());
    if (round % 2 != 0) plain_time = MicrosecondsOfARun(plain.interpreter.get());
    if (round < 0) continue;  // warming up
    plain_times.push_back(plain_time);
    simulated_times.push_back(simulated_time);
    ratios.push_back(simulated_time / plain_time);
  }
  std::printf("{\"rounds\": %d, \"plain_us\": %.1f, \"simulated_us\": %.1f, \"overhead_percent\": %.3f}\n",
              rounds, Median(plain_times), Median(simulated_times), (Median(ratios) - 1) * 100);
}
