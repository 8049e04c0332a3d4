// What the tests of the public interface share: models, interpreters and noise.
#ifndef CORALFORGE_SIMULATOR_TESTS_TESTING_H_
#define CORALFORGE_SIMULATOR_TESTS_TESTING_H_

#include <dirent.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "edgetpu.h"
#include "edgetpu_c.h"
#include "gtest/gtest.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"

// What TFLite's own tools look for in a library by name. No header declares it.
extern "C" {
TfLiteDelegate* tflite_plugin_create_delegate(char** options_keys, char** options_values, size_t num_options,
                                              void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);
}

namespace coralforge {

// Models among the test data (tests/integration/simulator_models.py).
constexpr char kClassifier[] = "classifier";  // small, all of it on the Edge TPU; 1x8x8x3
constexpr char kMixed[] = "mixed";            // small, CPU before and after; two inputs, three outputs
constexpr char kStateful[] = "keras_lstm_mnist_ptq";
constexpr char kMobileNet[] = "mobilenet_v1_0.25_128_quant";

// How often each is run with different noise.
constexpr int kRuns = 3;

using Bytes = std::vector<uint8_t>;

// What came out of a model. A failed comparison shows it briefly.
struct Outputs : std::vector<Bytes> {
  friend void PrintTo(const Outputs& outputs, std::ostream* out) {
    for (const Bytes& bytes : outputs) {
      const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      *out << bytes.size() << " bytes with the hash " << std::hash<std::string_view>()(text) << "; ";
    }
  }
};

using Delegate = std::unique_ptr<TfLiteDelegate, decltype(&edgetpu_free_delegate)>;

// A file of the folder of test models: "NAME.tflite", and "NAME_edgetpu-sim.tflite" compiled of it.
inline std::string DataFile(const std::string& name) {
  const char* folder = std::getenv("CORALFORGE_TEST_DATA");
  return std::string(folder == nullptr ? "." : folder) + "/" + name;
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) ADD_FAILURE() << "cannot read " << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The names of the files in a folder that have the ending, without it. (std::filesystem is above the floor.)
inline std::vector<std::string> NamesIn(const std::string& folder, const std::string& ending) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  if (!open) ADD_FAILURE() << "cannot read " << folder;
  while (const dirent* entry = open ? readdir(open.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending) {
      names.push_back(name.substr(0, name.size() - ending.size()));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The names of all pairs of plain and compiled models.
inline std::vector<std::string> ModelPairs() { return NamesIn(DataFile(""), "_edgetpu-sim.tflite"); }

class ErrorLog : public tflite::ErrorReporter {
 public:
  int Report(const char* format, va_list arguments) override {
    char line[4096];
    std::vsnprintf(line, sizeof(line), format, arguments);
    text += line + std::string("\n");
    return 0;
  }
  std::string text;
};

enum class With { kNothing, kCustomOp };

// A model in an interpreter, and how to fill and empty it.
class Runnable {
 public:
  // Of a file's content, which is put at `offset` bytes after an address that is aligned to 64.
  explicit Runnable(const std::string& content, With with = With::kNothing, int threads = 1,
                    size_t offset = 0)
      : memory_(content.size() + 64 + offset) {
    const size_t start = (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64 + offset;
    std::memcpy(memory_.data() + start, content.data(), content.size());
    model_ = tflite::FlatBufferModel::BuildFromBuffer(memory_.data() + start, content.size(), &errors);
    tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
    if (with == With::kCustomOp) resolver.AddCustom(edgetpu::kCustomOp, edgetpu::RegisterCustomOp());
    tflite::InterpreterBuilder(*model_, resolver)(&interpreter, threads);
  }

  // The picture, where there is one that fits, further down for each seed; else noise.
  void Fill(uint32_t seed) {
    std::mt19937 noise(seed);
    for (int index : interpreter->inputs()) {
      TfLiteTensor* tensor = interpreter->tensor(index);
      if (picture.size() == tensor->bytes) {
        std::rotate_copy(picture.begin(), picture.begin() + seed * picture.size() / 10, picture.end(),
                         tensor->data.raw);
        continue;
      }
      if (tensor->type == kTfLiteFloat32) {
        for (size_t i = 0; i < tensor->bytes / 4; ++i) tensor->data.f[i] = noise() % 2001 / 1000.0f - 1;
      } else {
        for (size_t i = 0; i < tensor->bytes; ++i) tensor->data.uint8[i] = static_cast<uint8_t>(noise());
      }
    }
  }

  Outputs Result() const {
    Outputs all;
    for (int index : interpreter->outputs()) {
      const TfLiteTensor* tensor = interpreter->tensor(index);
      all.emplace_back(tensor->data.uint8, tensor->data.uint8 + tensor->bytes);
    }
    return all;
  }

  Outputs Run(uint32_t seed) {
    Fill(seed);
    EXPECT_EQ(interpreter->Invoke(), kTfLiteOk) << errors.text;
    return Result();
  }

  // Counts the nodes that the delegate took over.
  int Delegated() const {
    int count = 0;
    for (int node : interpreter->execution_plan()) {
      count += interpreter->node_and_registration(node)->first.delegate != nullptr;
    }
    return count;
  }

  ErrorLog errors;
  std::string picture;

 private:
  std::vector<char> memory_;
  std::unique_ptr<tflite::FlatBufferModel> model_;

 public:
  std::unique_ptr<tflite::Interpreter> interpreter;
};

inline Delegate AnyDelegate() {
  return {edgetpu_create_delegate(EDGETPU_APEX_USB, nullptr, nullptr, 0), edgetpu_free_delegate};
}

// What a model wants to see, "" if noise will do: of noise, a segmentation makes nothing.
inline std::string PictureFor(const std::string& name) {
  const std::string path = DataFile(name + ".input");
  return std::ifstream(path) ? ReadFile(path) : "";
}

// What the plain model makes of the first kRuns seeds, one after the other (it may have state).
inline const std::vector<Outputs>& Expected(const std::string& name) {
  static auto* const known = new std::map<std::string, std::vector<Outputs>>;
  std::vector<Outputs>& outputs = (*known)[name];
  if (!outputs.empty()) return outputs;
  Runnable plain(ReadFile(DataFile(name + ".tflite")));
  EXPECT_EQ(plain.interpreter->AllocateTensors(), kTfLiteOk) << plain.errors.text;
  plain.picture = PictureFor(name);
  for (int seed = 0; seed < kRuns; ++seed) outputs.push_back(plain.Run(seed));
  return outputs;
}

inline std::string Compiled(const std::string& name) {
  return ReadFile(DataFile(name + "_edgetpu-sim.tflite"));
}

// Each test starts with two USB devices and a PCI one, and no control file.
class SimulatorTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("CORALFORGE_SIMULATED_DEVICES", "usb:2,pci:1", 1);
    unsetenv("CORALFORGE_SIMULATED_CONTROL");
  }

  // Makes `text` what the control file says.
  void SetControl(const std::string& text) {
    static const std::string path = testing::TempDir() + "control-" + std::to_string(getpid());
    std::ofstream(path, std::ios::trunc) << text;
    setenv("CORALFORGE_SIMULATED_CONTROL", path.c_str(), 1);
  }
};

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_TESTS_TESTING_H_
