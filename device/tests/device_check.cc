// Runs compiled models through the libedgetpu that it finds, and their plain ones on the CPU, and compares
// every byte: of what the Edge TPU hands to the CPU, and of the outputs.
//
//   device_check [--rounds N] [--option NAME VALUE]... [--pause] COMPILED PLAIN [COMPILED PLAIN]...
//
// All models are open at once on one device, and take turns. What it prints is one line for each inference.
// Exit code: 0 equal, 1 different, 2 usage, 3 no device, 4 the device cannot be opened, 5 a model cannot be
// loaded, 6 an inference failed.

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/interpreter_options.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"

namespace {

// libedgetpu's interface in C, looked up when it runs: this program builds without libedgetpu.
struct Device {
  int type;
  const char* path;
};
struct Option {
  const char* name;
  const char* value;
};

struct EdgeTpu {
  Device* (*list)(size_t*);
  TfLiteDelegate* (*create)(int, const char*, const Option*, size_t);
  void (*free)(TfLiteDelegate*);
};

[[noreturn]] void Fail(int code, const std::string& why) {
  std::printf("device_check: %s\n", why.c_str());
  std::exit(code);
}

template <typename Function>
void Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function == nullptr) Fail(2, std::string("libedgetpu has no ") + name);
}

EdgeTpu Load() {
  void* library = dlopen("libedgetpu.so.1", RTLD_NOW);
  if (library == nullptr) Fail(2, dlerror());
  EdgeTpu edge_tpu;
  Find(library, "edgetpu_list_devices", &edge_tpu.list);
  Find(library, "edgetpu_create_delegate", &edge_tpu.create);
  Find(library, "edgetpu_free_delegate", &edge_tpu.free);
  return edge_tpu;
}

// In place of an operation that TensorFlow Lite has not: nothing is computed, so outputs are not compared.
TfLiteStatus Nothing(TfLiteContext*, TfLiteNode*) { return kTfLiteOk; }

bool LeaveOutUnknown(const tflite::Model& model, tflite::MutableOpResolver* resolver) {
  static TfLiteRegistration nothing = {};
  nothing.prepare = nothing.invoke = Nothing;
  bool left_out = false;
  for (const tflite::OperatorCode* code : *model.operator_codes()) {
    if (code->custom_code() == nullptr || code->custom_code()->str() == "edgetpu-custom-op") continue;
    if (resolver->FindOp(code->custom_code()->c_str(), code->version()) != nullptr) continue;
    resolver->AddCustom(code->custom_code()->c_str(), &nothing, code->version());
    left_out = true;
  }
  return left_out;
}

// One model, ready to run.
class Runner {
 public:
  Runner(const char* path, TfLiteDelegate* delegate) : path_(path) {
    model_ = tflite::FlatBufferModel::BuildFromFile(path);
    if (model_ == nullptr) Fail(5, path_ + " cannot be read");
    tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
    left_out_ = LeaveOutUnknown(*model_->GetModel(), &resolver);
    tflite::InterpreterOptions options;
    options.SetPreserveAllTensors(true);
    if (tflite::InterpreterBuilder(*model_, resolver, &options)(&interpreter_) != kTfLiteOk) {
      Fail(5, path_ + " cannot be loaded");
    }
    if (delegate != nullptr && interpreter_->ModifyGraphWithDelegate(delegate) != kTfLiteOk) {
      Fail(5, path_ + " is refused by libedgetpu");
    }
    if (interpreter_->AllocateTensors() != kTfLiteOk) Fail(5, path_ + " cannot be prepared");
  }

  tflite::Interpreter& interpreter() { return *interpreter_; }
  // Some of its operations are not computed.
  bool left_out() const { return left_out_; }

  void Run() {
    if (interpreter_->Invoke() != kTfLiteOk) Fail(6, path_ + ": the inference failed");
  }

 private:
  const std::string path_;
  bool left_out_ = false;
  std::unique_ptr<tflite::FlatBufferModel> model_;
  std::unique_ptr<tflite::Interpreter> interpreter_;
};

// Numbers from -1 to 1 for floats, any bytes for the rest.
void Fill(TfLiteTensor* tensor, std::mt19937* random) {
  if (tensor->type == kTfLiteFloat32) {
    for (size_t i = 0; i < tensor->bytes / sizeof(float); ++i) {
      tensor->data.f[i] = static_cast<float>((*random)() % 20001) / 10000.0f - 1.0f;
    }
    return;
  }
  for (size_t i = 0; i < tensor->bytes; ++i) tensor->data.uint8[i] = static_cast<uint8_t>((*random)());
}

struct Difference {
  size_t bytes = 0, different = 0;

  void Add(const TfLiteTensor& one, const TfLiteTensor& other) {
    if (one.bytes != other.bytes) Fail(1, std::string(one.name) + " has another size in the plain model");
    bytes += one.bytes;
    for (size_t at = 0; at < one.bytes; ++at) different += one.data.uint8[at] != other.data.uint8[at] ? 1 : 0;
  }
};

const TfLiteTensor& Named(const tflite::Interpreter& interpreter, const std::string& name) {
  for (size_t i = 0; i < interpreter.tensors_size(); ++i) {
    const TfLiteTensor* tensor = interpreter.tensor(static_cast<int>(i));
    if (tensor->name != nullptr && name == tensor->name) return *tensor;
  }
  Fail(1, "the plain model has no tensor " + name);
}

// All that comes from the Edge TPU: what the CPU makes of it afterwards (which class is the largest) may hide
// much.
Difference CompareAtTheEdge(const tflite::Interpreter& compiled, const tflite::Interpreter& plain) {
  Difference difference;
  for (const int index : compiled.execution_plan()) {
    const TfLiteNode& node = compiled.node_and_registration(index)->first;
    for (int i = 0; node.delegate != nullptr && i < node.outputs->size; ++i) {
      const TfLiteTensor& tensor = *compiled.tensor(node.outputs->data[i]);
      difference.Add(tensor, Named(plain, tensor.name));
    }
  }
  return difference;
}

Difference CompareOutputs(const tflite::Interpreter& compiled, const tflite::Interpreter& plain) {
  Difference difference;
  if (compiled.outputs().size() != plain.outputs().size()) Fail(1, "the models have different outputs");
  for (size_t i = 0; i < compiled.outputs().size(); ++i) {
    difference.Add(*compiled.output_tensor(i), *plain.output_tensor(i));
  }
  return difference;
}

struct Pair {
  std::unique_ptr<Runner> compiled, plain;
};

// Whether all outputs are equal.
bool Round(int round, size_t number, const Pair& pair, std::mt19937* random) {
  tflite::Interpreter& compiled = pair.compiled->interpreter();
  tflite::Interpreter& plain = pair.plain->interpreter();
  for (size_t i = 0; i < compiled.inputs().size(); ++i) {
    Fill(compiled.input_tensor(i), random);
    std::memcpy(plain.input_tensor(i)->data.raw, compiled.input_tensor(i)->data.raw,
                compiled.input_tensor(i)->bytes);
  }
  pair.compiled->Run();
  pair.plain->Run();
  const Difference edge = CompareAtTheEdge(compiled, plain);
  const Difference outputs = pair.compiled->left_out() ? Difference() : CompareOutputs(compiled, plain);
  std::printf("round %d model %zu: %zu of %zu bytes from the Edge TPU differ, %zu of %zu of the outputs\n",
              round, number, edge.different, edge.bytes, outputs.different, outputs.bytes);
  return edge.bytes > 0 && edge.different == 0 && outputs.different == 0;
}

struct Arguments {
  int rounds = 2;
  bool pause = false;
  std::vector<Option> options;
  std::vector<const char*> files;
};

Arguments Read(int count, char** words) {
  Arguments read;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--rounds") == 0 && i + 1 < count) {
      read.rounds = std::atoi(words[++i]);
    } else if (std::strcmp(words[i], "--pause") == 0) {
      read.pause = true;
    } else if (std::strcmp(words[i], "--option") == 0 && i + 2 < count) {
      read.options.push_back({words[i + 1], words[i + 2]});
      i += 2;
    } else {
      read.files.push_back(words[i]);
    }
  }
  if (read.files.size() % 2 != 0) Fail(2, "give compiled and plain models in turn");
  return read;
}

// For tests that do something to the device meanwhile: they answer with a line.
void Pause(const char* when) {
  std::printf("pause: %s\n", when);
  while (std::getchar() != '\n' && !std::feof(stdin)) {
  }
}

}  // namespace

int main(int count, char** words) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const Arguments arguments = Read(count, words);
  const EdgeTpu edge_tpu = Load();
  size_t found = 0;
  const Device* devices = edge_tpu.list(&found);
  for (size_t i = 0; i < found; ++i) std::printf("device %d %s\n", devices[i].type, devices[i].path);
  if (found == 0) Fail(3, "no device");
  TfLiteDelegate* delegate =
      edge_tpu.create(devices[0].type, devices[0].path, arguments.options.data(), arguments.options.size());
  if (delegate == nullptr) Fail(4, "the device cannot be opened");
  bool equal = true;
  {
    std::vector<Pair> pairs;
    for (size_t i = 0; i < arguments.files.size(); i += 2) {
      pairs.push_back({std::make_unique<Runner>(arguments.files[i], delegate),
                       std::make_unique<Runner>(arguments.files[i + 1], nullptr)});
    }
    if (arguments.pause) Pause("open and idle");
    std::mt19937 random(7);
    for (int round = 1; round <= arguments.rounds; ++round) {
      for (size_t i = 0; i < pairs.size(); ++i) equal = Round(round, i, pairs[i], &random) && equal;
      if (arguments.pause) Pause("after an inference");
    }
  }
  edge_tpu.free(delegate);
  std::printf("device_check: %s\n", equal ? "equal" : "DIFFERENT");
  return equal ? 0 : 1;
}
