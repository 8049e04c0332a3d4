// Running compiled models: in each way of attaching, the outputs are those of the plain model, byte for byte.
#include <algorithm>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/delegates/external/external_delegate.h"
#include "testing.h"

namespace coralforge {
namespace {

using edgetpu::DeviceType;
using edgetpu::EdgeTpuManager;

enum class Way { kDelegate, kPlugin, kExternalDelegate, kCustomOp, kSharedContext, kDelegateAndCustomOp };
constexpr Way kWays[] = {Way::kDelegate, Way::kPlugin,        Way::kExternalDelegate,
                         Way::kCustomOp, Way::kSharedContext, Way::kDelegateAndCustomOp};

std::string NameOf(Way way) {
  constexpr const char* kNames[] = {"Delegate", "Plugin",        "ExternalDelegate",
                                    "CustomOp", "SharedContext", "DelegateAndCustomOp"};
  return kNames[static_cast<int>(way)];
}

using DelegatePointer = std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)>;

DelegatePointer MakeDelegate(Way way) {
  switch (way) {
    case Way::kDelegate:
    case Way::kDelegateAndCustomOp:
      return {edgetpu_create_delegate(EDGETPU_APEX_USB, nullptr, nullptr, 0), edgetpu_free_delegate};
    case Way::kPlugin:
      return {tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr), tflite_plugin_destroy_delegate};
    case Way::kExternalDelegate: {  // what --external_delegate_path of TFLite's tools does
      auto options = TfLiteExternalDelegateOptionsDefault("libedgetpu.so.1");
      return {TfLiteExternalDelegateCreate(&options), TfLiteExternalDelegateDelete};
    }
    case Way::kCustomOp:
    case Way::kSharedContext:
      break;
  }
  return {nullptr, [](TfLiteDelegate*) {}};
}

bool HasCustomOp(Way way) {
  return way == Way::kCustomOp || way == Way::kSharedContext || way == Way::kDelegateAndCustomOp;
}

// A model on a device. What it is attached to is destroyed after its interpreter.
class Attached {
 public:
  Attached(const std::string& content, Way way, int threads = 1, size_t offset = 0)
      : delegate_(MakeDelegate(way)),
        model(content, HasCustomOp(way) ? With::kCustomOp : With::kNothing, threads, offset) {
    auto* manager = EdgeTpuManager::GetSingleton();
    if (way == Way::kCustomOp) context_ = manager->NewEdgeTpuContext(DeviceType::kApexUsb);
    if (way == Way::kSharedContext) context_ = manager->OpenDevice(DeviceType::kApexUsb);
    if (context_ != nullptr) model.interpreter->SetExternalContext(kTfLiteEdgeTpuContext, context_.get());
    if (delegate_ != nullptr) {
      EXPECT_EQ(model.interpreter->ModifyGraphWithDelegate(delegate_.get()), kTfLiteOk) << model.errors.text;
    }
    EXPECT_TRUE(context_ != nullptr || delegate_ != nullptr) << "nothing could be opened";
    EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk) << model.errors.text;
  }

 private:
  std::shared_ptr<edgetpu::EdgeTpuContext> context_;
  DelegatePointer delegate_;

 public:
  Runnable model;
};

// Runs seeds from 0 on; what came out must be `expected`.
void ExpectRuns(Attached* attached, const std::vector<Outputs>& expected) {
  for (size_t seed = 0; seed < expected.size(); ++seed) {
    EXPECT_EQ(attached->model.Run(seed), expected[seed]) << "run " << seed;
  }
}

class EachModelInEachWay : public SimulatorTest,
                           public testing::WithParamInterface<std::tuple<std::string, Way>> {};

TEST_P(EachModelInEachWay, GivesTheOutputsOfThePlainModel) {
  const auto& [name, way] = GetParam();
  const auto& expected = Expected(name);
  EXPECT_NE(expected[0], expected[1]) << "the model makes the same of everything";
  Attached attached(Compiled(name), way);
  attached.model.picture = PictureFor(name);
  ExpectRuns(&attached, expected);
  if (way != Way::kCustomOp && way != Way::kSharedContext) EXPECT_EQ(attached.model.Delegated(), 1);
}

INSTANTIATE_TEST_SUITE_P(All, EachModelInEachWay,
                         testing::Combine(testing::ValuesIn(ModelPairs()), testing::ValuesIn(kWays)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param) + "_" + NameOf(std::get<1>(info.param));
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

using Execution = SimulatorTest;

// A program in C, which sees nothing but opaque pointers.
TEST_F(Execution, ByTheCInterface) {
  const std::string content = Compiled(kClassifier);
  const Delegate delegate = AnyDelegate();
  const std::unique_ptr<TfLiteModel, decltype(&TfLiteModelDelete)> model(
      TfLiteModelCreate(content.data(), content.size()), TfLiteModelDelete);
  const std::unique_ptr<TfLiteInterpreterOptions, decltype(&TfLiteInterpreterOptionsDelete)> options(
      TfLiteInterpreterOptionsCreate(), TfLiteInterpreterOptionsDelete);
  TfLiteInterpreterOptionsAddDelegate(options.get(), delegate.get());
  const std::unique_ptr<TfLiteInterpreter, decltype(&TfLiteInterpreterDelete)> interpreter(
      TfLiteInterpreterCreate(model.get(), options.get()), TfLiteInterpreterDelete);
  ASSERT_NE(interpreter, nullptr);
  ASSERT_EQ(TfLiteInterpreterAllocateTensors(interpreter.get()), kTfLiteOk);

  Runnable noise(ReadFile(DataFile(kClassifier + std::string(".tflite"))));
  ASSERT_EQ(noise.interpreter->AllocateTensors(), kTfLiteOk);
  for (int seed = 0; seed < kRuns; ++seed) {
    noise.Fill(seed);
    const TfLiteTensor& filled = *noise.interpreter->input_tensor(0);
    TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter.get(), 0);
    ASSERT_EQ(TfLiteTensorCopyFromBuffer(input, filled.data.raw, filled.bytes), kTfLiteOk);
    ASSERT_EQ(TfLiteInterpreterInvoke(interpreter.get()), kTfLiteOk);
    const TfLiteTensor* output = TfLiteInterpreterGetOutputTensor(interpreter.get(), 0);
    Bytes got(TfLiteTensorByteSize(output));
    ASSERT_EQ(TfLiteTensorCopyToBuffer(output, got.data(), got.size()), kTfLiteOk);
    EXPECT_EQ(got, Expected(kClassifier)[seed][0]);
  }
}

TEST_F(Execution, HasModelsToRun) { EXPECT_GE(ModelPairs().size(), 5u); }

TEST_F(Execution, OfSeveralInterpretersOnOneDevice) {
  const auto &first = Expected(kClassifier), &second = Expected(kMixed);
  Attached a(Compiled(kClassifier), Way::kDelegate), b(Compiled(kMixed), Way::kSharedContext),
      c(Compiled(kClassifier), Way::kDelegateAndCustomOp);
  EXPECT_EQ(EdgeTpuManager::GetSingleton()->GetOpenedDevices().size(), 1u);
  for (int seed = 0; seed < kRuns; ++seed) {
    EXPECT_EQ(a.model.Run(seed), first[seed]);
    EXPECT_EQ(b.model.Run(seed), second[seed]);
    EXPECT_EQ(c.model.Run(seed), first[seed]);
  }
}

TEST_F(Execution, OfOneDelegateInSeveralInterpreters) {
  const Delegate delegate = AnyDelegate();
  const auto& expected = Expected(kClassifier);
  std::vector<std::unique_ptr<Runnable>> models;
  for (int i = 0; i < 3; ++i) {
    models.push_back(std::make_unique<Runnable>(Compiled(kClassifier)));
    ASSERT_EQ(models[i]->interpreter->ModifyGraphWithDelegate(delegate.get()), kTfLiteOk);
    ASSERT_EQ(models[i]->interpreter->AllocateTensors(), kTfLiteOk);
  }
  for (int seed = 0; seed < kRuns; ++seed) {
    for (auto& model : models) EXPECT_EQ(model->Run(seed), expected[seed]);
  }
}

TEST_F(Execution, WithADelegateThatTheInterpreterOwns) {
  Runnable model(Compiled(kClassifier));
  ASSERT_EQ(model.interpreter->ModifyGraphWithDelegate(AnyDelegate()), kTfLiteOk);
  ASSERT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(model.Run(0), Expected(kClassifier)[0]);
  model.interpreter.reset();
  EXPECT_TRUE(EdgeTpuManager::GetSingleton()->GetOpenedDevices().empty());
}

// One interpreter per thread, all devices, shared and not, and other models besides.
TEST_F(Execution, InManyThreadsOnManyDevices) {
  setenv("CORALFORGE_SIMULATED_DEVICES", "usb:4,pci:1", 1);
  const auto &first = Expected(kClassifier), &second = Expected(kMixed);
  const std::string classifier = Compiled(kClassifier), mixed = Compiled(kMixed);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const Way way = kWays[i % 2 == 0 ? static_cast<int>(Way::kCustomOp) : static_cast<int>(Way::kPlugin)];
      for (int round = 0; round < 5; ++round) {
        Attached attached(i % 3 == 0 ? mixed : classifier, way, 1 + i % 2);
        ExpectRuns(&attached, i % 3 == 0 ? second : first);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(EdgeTpuManager::GetSingleton()->GetOpenedDevices().empty());
}

TEST_F(Execution, WithAnyNumberOfThreadsInside) {
  const auto& expected = Expected(kMobileNet);
  Attached attached(Compiled(kMobileNet), Way::kDelegate, 2);
  for (int threads : {2, 1, 4, -1}) {
    ASSERT_EQ(attached.model.interpreter->SetNumThreads(threads), kTfLiteOk);
    ExpectRuns(&attached, expected);
  }
}

// Variable tensors are inside of the program, out of the application's sight.
class State : public SimulatorTest, public testing::WithParamInterface<Way> {};

TEST_P(State, LastsFromRunToRunUntilItIsReset) {
  Runnable plain(ReadFile(DataFile(kStateful + std::string(".tflite"))));
  ASSERT_EQ(plain.interpreter->AllocateTensors(), kTfLiteOk);
  Attached attached(Compiled(kStateful), GetParam());
  tflite::Interpreter* interpreter = attached.model.interpreter.get();
  const Outputs fresh = plain.Run(1);
  EXPECT_EQ(attached.model.Run(1), fresh);
  const Outputs stale = plain.Run(1);
  ASSERT_NE(stale, fresh) << "this model has no state";
  EXPECT_EQ(attached.model.Run(1), stale);

  ASSERT_EQ(interpreter->ResetVariableTensors(), kTfLiteOk) << attached.model.errors.text;
  EXPECT_EQ(attached.model.Run(1), fresh);
  EXPECT_EQ(attached.model.Run(1), stale);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(interpreter->ResetVariableTensors(), kTfLiteOk);
  EXPECT_EQ(attached.model.Run(1), fresh);

  // Allocating again does nothing, as in the plain model, unless something was resized.
  ASSERT_EQ(interpreter->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(attached.model.Run(1), stale);
}

INSTANTIATE_TEST_SUITE_P(All, State, testing::ValuesIn(kWays),
                         [](const auto& info) { return NameOf(info.param); });

// The custom op was ready to run when a delegate took its place.
TEST_F(Execution, ResetsTheStateOfADelegateThatCameLater) {
  const auto context = EdgeTpuManager::GetSingleton()->OpenDevice(DeviceType::kApexUsb);
  const Delegate delegate = AnyDelegate();
  Runnable model(Compiled(kStateful), With::kCustomOp);
  model.interpreter->SetExternalContext(kTfLiteEdgeTpuContext, context.get());
  ASSERT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(model.Run(0), Expected(kStateful)[0]);
  ASSERT_EQ(model.interpreter->ModifyGraphWithDelegate(delegate.get()), kTfLiteOk) << model.errors.text;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(model.Delegated(), 1);
    EXPECT_EQ(model.Run(0), Expected(kStateful)[0]);
    EXPECT_EQ(model.Run(1), Expected(kStateful)[1]);
    ASSERT_EQ(model.interpreter->ResetVariableTensors(), kTfLiteOk) << model.errors.text;
  }
}

TEST_F(Execution, KeepsTheStateOfEachInterpreterApart) {
  const auto& expected = Expected(kStateful);
  const Delegate delegate = AnyDelegate();
  Runnable first(Compiled(kStateful)), second(Compiled(kStateful));
  for (Runnable* model : {&first, &second}) {
    ASSERT_EQ(model->interpreter->ModifyGraphWithDelegate(delegate.get()), kTfLiteOk);
    ASSERT_EQ(model->interpreter->AllocateTensors(), kTfLiteOk);
  }
  for (int seed = 0; seed < kRuns; ++seed) {
    EXPECT_EQ(first.Run(seed), expected[seed]);
    EXPECT_EQ(second.Run(seed), expected[seed]);
  }
}

std::vector<int> ShapeOf(const TfLiteTensor& tensor) {
  return {tensor.dims->data, tensor.dims->data + tensor.dims->size};
}

// As the real library does: it runs the program once for each.
TEST_F(Execution, OfSeveralPicturesAtOnce) {
  Attached attached(Compiled(kClassifier), Way::kDelegate);
  Runnable plain(ReadFile(DataFile(kClassifier + std::string(".tflite"))));
  ASSERT_EQ(plain.interpreter->AllocateTensors(), kTfLiteOk);
  tflite::Interpreter* interpreter = attached.model.interpreter.get();
  for (int batches : {3, 1, 2}) {
    std::vector<int> shape = ShapeOf(*interpreter->input_tensor(0));
    shape[0] = batches;
    ASSERT_EQ(interpreter->ResizeInputTensor(interpreter->inputs()[0], shape), kTfLiteOk);
    ASSERT_EQ(interpreter->AllocateTensors(), kTfLiteOk) << attached.model.errors.text;
    EXPECT_EQ(interpreter->output_tensor(0)->dims->data[0], batches);
    const Bytes together = attached.model.Run(7)[0];

    const TfLiteTensor& pictures = *interpreter->input_tensor(0);
    const size_t size = plain.interpreter->input_tensor(0)->bytes;
    Bytes apart;
    for (int i = 0; i < batches; ++i) {
      std::memcpy(plain.interpreter->input_tensor(0)->data.raw, pictures.data.raw + i * size, size);
      ASSERT_EQ(plain.interpreter->Invoke(), kTfLiteOk);
      const Bytes one = plain.Result()[0];
      apart.insert(apart.end(), one.begin(), one.end());
    }
    EXPECT_EQ(together, apart) << batches;
  }
}

// A tool that writes a .tflite file again may lose the alignment, and a program may read it to anywhere.
TEST_F(Execution, OfAFileAtAnyAddress) {
  for (const char* name : {kClassifier, kStateful}) {
    const auto& expected = Expected(name);
    for (size_t offset : {1, 4, 8, 13}) {
      Attached attached(Compiled(name), Way::kDelegate, 1, offset);
      ExpectRuns(&attached, expected);
    }
  }
}

TEST_F(Execution, OnMemoryOfTheApplication) {
  Attached attached(Compiled(kClassifier), Way::kDelegate);
  tflite::Interpreter* interpreter = attached.model.interpreter.get();
  alignas(64) static uint8_t input[1 << 16], output[1 << 12];
  ASSERT_LE(interpreter->input_tensor(0)->bytes, sizeof(input));
  for (const auto& [tensor, memory, size] : {std::tuple{interpreter->inputs()[0], input, sizeof(input)},
                                             std::tuple{interpreter->outputs()[0], output, sizeof(output)}}) {
    ASSERT_EQ(interpreter->SetCustomAllocationForTensor(tensor, {memory, size}), kTfLiteOk);
  }
  ASSERT_EQ(interpreter->AllocateTensors(), kTfLiteOk) << attached.model.errors.text;
  ExpectRuns(&attached, Expected(kClassifier));
  EXPECT_EQ(interpreter->output_tensor(0)->data.raw, reinterpret_cast<char*>(output));
}

// Tensors that the application's interpreter allocates while it runs.
TEST_F(Execution, BetweenTensorsThatComeAndGo) {
  const std::string content = Compiled(kMixed);
  const auto model = tflite::FlatBufferModel::BuildFromBuffer(content.data(), content.size());
  tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
  tflite::InterpreterOptions options;
  options.OptimizeMemoryForLargeTensors(1);
  Runnable expected(ReadFile(DataFile(kMixed + std::string(".tflite")))), attached(content);
  ASSERT_EQ(tflite::InterpreterBuilder(*model, resolver, &options)(&attached.interpreter), kTfLiteOk);
  ASSERT_EQ(attached.interpreter->ModifyGraphWithDelegate(AnyDelegate()), kTfLiteOk);
  ASSERT_EQ(attached.interpreter->AllocateTensors(), kTfLiteOk);
  ASSERT_EQ(expected.interpreter->AllocateTensors(), kTfLiteOk);
  for (int seed = 0; seed < kRuns; ++seed) EXPECT_EQ(attached.Run(seed), expected.Run(seed));
  attached.interpreter.reset();  // before the model that it was built of
}

// An operation on the CPU gives it a tensor whose size is known only then: the picture, so often in each
// direction.
TEST_F(Execution, AfterATensorOfUnknownSize) {
  Attached attached(ReadFile(DataFile("dynamic.tflite")), Way::kDelegate);
  tflite::Interpreter* interpreter = attached.model.interpreter.get();
  attached.model.Fill(3);
  Runnable plain(ReadFile(DataFile(kClassifier + std::string(".tflite"))));
  ASSERT_EQ(plain.interpreter->AllocateTensors(), kTfLiteOk);
  ASSERT_EQ(plain.interpreter->input_tensor(0)->bytes, interpreter->input_tensor(0)->bytes);
  std::memcpy(plain.interpreter->input_tensor(0)->data.raw, interpreter->input_tensor(0)->data.raw,
              interpreter->input_tensor(0)->bytes);
  ASSERT_EQ(plain.interpreter->Invoke(), kTfLiteOk);
  const Bytes once = plain.Result()[0];
  Bytes twice = once;
  twice.insert(twice.end(), once.begin(), once.end());

  const auto tile = [&](std::vector<int32_t> multiples) {
    std::copy(multiples.begin(), multiples.end(), interpreter->typed_input_tensor<int32_t>(1));
    return interpreter->Invoke();
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(tile({1, 1, 1, 1}), kTfLiteOk) << attached.model.errors.text;
    EXPECT_EQ(attached.model.Result()[0], once);
    EXPECT_EQ(tile({2, 1, 1, 1}), kTfLiteOk) << attached.model.errors.text;
    EXPECT_EQ(attached.model.Result()[0], twice);
    attached.model.errors.text.clear();
    EXPECT_EQ(tile({1, 2, 1, 1}), kTfLiteError);
    EXPECT_NE(attached.model.errors.text.find("384 and 192 bytes"), std::string::npos)
        << attached.model.errors.text;
  }
}

TEST_F(Execution, AfterTheDeviceWasClosedAndOpenedAgain) {
  const auto& expected = Expected(kClassifier);
  for (int round = 0; round < 3; ++round) {
    Attached attached(Compiled(kClassifier), Way::kCustomOp);
    ExpectRuns(&attached, expected);
  }
}

TEST_F(Execution, SurvivesBeingAllocatedAgainAndAgain) {
  const auto& expected = Expected(kMixed);
  for (Way way : kWays) {
    Attached attached(Compiled(kMixed), way);
    tflite::Interpreter* interpreter = attached.model.interpreter.get();
    for (int round = 0; round < 3; ++round) {
      const int input = interpreter->inputs()[0];
      ASSERT_EQ(interpreter->ResizeInputTensor(input, ShapeOf(*interpreter->tensor(input))), kTfLiteOk);
      ASSERT_EQ(interpreter->ReleaseNonPersistentMemory(), kTfLiteOk);
      ASSERT_EQ(interpreter->AllocateTensors(), kTfLiteOk) << attached.model.errors.text;
      ExpectRuns(&attached, expected);
    }
  }
}

TEST_F(Execution, LeavesAPlainModelAlone) {
  Runnable plain(ReadFile(DataFile(kClassifier + std::string(".tflite"))));
  ASSERT_EQ(plain.interpreter->ModifyGraphWithDelegate(AnyDelegate()), kTfLiteOk);
  ASSERT_EQ(plain.interpreter->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(plain.Delegated(), 0);
  EXPECT_EQ(plain.Run(0), Expected(kClassifier)[0]);
}

}  // namespace
}  // namespace coralforge
