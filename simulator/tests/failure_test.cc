// What goes wrong, and what a program gets to see of it: a status, and a sentence through its error reporter.
#include <algorithm>
#include <string>
#include <vector>

#include "testing.h"

namespace coralforge {
namespace {

using edgetpu::DeviceType;
using edgetpu::EdgeTpuManager;

testing::AssertionResult Says(const Runnable& model, const std::string& part) {
  if (model.errors.text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << model.errors.text << "' does not say '" << part << "'";
}

std::shared_ptr<edgetpu::EdgeTpuContext> Usb(int index) {
  return EdgeTpuManager::GetSingleton()->OpenDevice(DeviceType::kApexUsb,
                                                    "SIMULATED:usb:" + std::to_string(index));
}

Delegate DelegateOn(const char* path) {
  return {edgetpu_create_delegate(EDGETPU_APEX_USB, path, nullptr, 0), edgetpu_free_delegate};
}

void Bind(Runnable* model, const std::shared_ptr<edgetpu::EdgeTpuContext>& context) {
  model->interpreter->SetExternalContext(kTfLiteEdgeTpuContext, context.get());
}

// The status of preparing it on a device: by the delegate, and by the custom op.
TfLiteStatus PrepareWithDelegate(Runnable* model, const Delegate& delegate) {
  if (model->interpreter->ModifyGraphWithDelegate(delegate.get()) != kTfLiteOk) return kTfLiteError;
  return model->interpreter->AllocateTensors();
}

void ExpectRefused(const std::string& content, const std::string& sentence) {
  const Delegate delegate = AnyDelegate();
  Runnable delegated(content);
  ASSERT_NE(delegated.interpreter, nullptr) << delegated.errors.text;
  EXPECT_EQ(PrepareWithDelegate(&delegated, delegate), kTfLiteError);
  EXPECT_TRUE(Says(delegated, sentence));
  EXPECT_TRUE(Says(delegated, "Failed to prepare for TPU. "));

  const auto context = Usb(1);
  Runnable model(content, With::kCustomOp);
  Bind(&model, context);
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteError);
  EXPECT_TRUE(Says(model, sentence));
  EXPECT_TRUE(Says(model, "failed to prepare"));
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
}

using Attaching = SimulatorTest;

TEST_F(Attaching, IsNecessary) {
  Runnable model(Compiled(kClassifier));
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteUnresolvedOps);
  EXPECT_TRUE(Says(model, "Encountered unresolved custom op: edgetpu-custom-op."));
}

TEST_F(Attaching, WantsADeviceForTheCustomOp) {
  Runnable model(Compiled(kClassifier), With::kCustomOp);
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteError);
  EXPECT_TRUE(Says(model, "Failed to retrieve TPU context."));
  EXPECT_TRUE(Says(model, "Node number 0 (edgetpu-custom-op) failed to prepare."));
}

TEST_F(Attaching, CanComeAfterAFailure) {
  Runnable model(Compiled(kClassifier), With::kCustomOp);
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteError);
  const auto context = Usb(0);
  Bind(&model, context);
  ASSERT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk) << model.errors.text;
  EXPECT_EQ(model.Run(0), Expected(kClassifier)[0]);
}

TEST_F(Attaching, CanBeTakenBack) {
  Runnable model(Compiled(kClassifier), With::kCustomOp);
  const auto context = Usb(0);
  Bind(&model, context);
  ASSERT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
  Bind(&model, nullptr);
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
  EXPECT_TRUE(Says(model, "Failed to retrieve TPU context."));
  Bind(&model, context);
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteOk);
}

// A program is loaded into one device and stays there.
TEST_F(Attaching, ToAnotherDeviceIsRefused) {
  Runnable model(Compiled(kClassifier), With::kCustomOp);
  const auto first = Usb(0), second = Usb(1);
  Bind(&model, first);
  ASSERT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
  Bind(&model, second);
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
  EXPECT_TRUE(Says(model, "Failed to execute request. The program is not loaded into SIMULATED:usb:1"));

  const int input = model.interpreter->inputs()[0];
  ASSERT_EQ(model.interpreter->ResizeInputTensor(input, {2, 8, 8, 3}), kTfLiteOk);
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteError);
  EXPECT_TRUE(
      Says(model,
           "Failed to prepare for TPU. Failed precondition: Custom op already assigned to a different TPU."));
  Bind(&model, first);
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteOk);
}

TEST_F(Attaching, EndsWhenTheDeviceIsClosed) {
  Runnable model(Compiled(kClassifier), With::kCustomOp);
  auto context = Usb(0);
  Bind(&model, context);
  ASSERT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
  context.reset();
  context = Usb(0);
  Bind(&model, context);
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError)
      << "in the real library the program went with the device";
  EXPECT_TRUE(Says(model, "The program is not loaded into SIMULATED:usb:0"));
}

TEST_F(Attaching, ASecondDelegateDoesNotMoveTheModel) {
  const Delegate first = AnyDelegate();
  const Delegate second(edgetpu_create_delegate(EDGETPU_APEX_PCI, nullptr, nullptr, 0),
                        edgetpu_free_delegate);
  Runnable model(Compiled(kClassifier));
  ASSERT_EQ(PrepareWithDelegate(&model, first), kTfLiteOk);
  EXPECT_EQ(PrepareWithDelegate(&model, second), kTfLiteError);
  EXPECT_TRUE(Says(model, "Custom op already assigned to a different TPU. (It is SIMULATED:usb:0"));
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
}

using Unplugging = SimulatorTest;

TEST_F(Unplugging, WhileAProgramRunsGivesErrorsAndNothingWorse) {
  Runnable model(Compiled(kClassifier)), other(Compiled(kClassifier), With::kCustomOp);
  const auto& expected = Expected(kClassifier);
  const auto elsewhere = Usb(1);
  Bind(&other, elsewhere);
  ASSERT_EQ(other.interpreter->AllocateTensors(), kTfLiteOk);
  {
    const Delegate delegate = DelegateOn("SIMULATED:usb:0");
    ASSERT_EQ(PrepareWithDelegate(&model, delegate), kTfLiteOk);
    EXPECT_EQ(model.Run(0), expected[0]);

    SetControl("unplug usb:0\n");
    EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
    EXPECT_TRUE(
        Says(model, "Failed to execute request. Edge TPU is not ready. (SIMULATED:usb:0 was unplugged.)"));
    EXPECT_EQ(other.Run(1), expected[1]) << "the other device is still there";

    SetControl("");
    EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError) << "it has to be opened again";
    model.interpreter.reset();
  }
  const Delegate delegate = DelegateOn("SIMULATED:usb:0");
  Runnable again(Compiled(kClassifier));
  ASSERT_EQ(PrepareWithDelegate(&again, delegate), kTfLiteOk);
  EXPECT_EQ(again.Run(1), expected[1]);
}

// Like the real library, which talks to the device when it runs and not before.
TEST_F(Unplugging, IsNotNoticedWhenAModelIsPrepared) {
  const Delegate delegate = AnyDelegate();
  SetControl("unplug usb:0\n");
  Runnable model(Compiled(kClassifier));
  EXPECT_EQ(PrepareWithDelegate(&model, delegate), kTfLiteOk);
  EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
  EXPECT_TRUE(Says(model, "Edge TPU is not ready."));
}

// Sharing what is unplugged would not help: like the real library, OpenDevice() gives it out all the same.
TEST_F(Unplugging, IsForGoodWhileSomebodyHasTheDevice) {
  const auto first = Usb(0);
  SetControl("unplug usb:0\n");
  const auto second = EdgeTpuManager::GetSingleton()->OpenDevice(DeviceType::kApexUsb);
  ASSERT_NE(second, nullptr);
  EXPECT_FALSE(second->IsReady());
}

using Resizing = SimulatorTest;

TEST_F(Resizing, OfOtherDimensionsIsRefused) {
  for (const auto& [shape, bytes] :
       {std::pair<std::vector<int>, std::string>{{1, 4, 8, 3}, "96 and 192 bytes"},
        {{1, 9, 8, 3}, "216 and 192 bytes"},
        {{3, 8, 8, 1}, "192"}}) {
    const Delegate delegate = AnyDelegate();
    Runnable model(Compiled(kClassifier));
    ASSERT_EQ(PrepareWithDelegate(&model, delegate), kTfLiteOk);
    ASSERT_EQ(model.interpreter->ResizeInputTensor(model.interpreter->inputs()[0], shape), kTfLiteOk);
    if (bytes == "192") {  // as many bytes: like the real library, which compares no more than that
      EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteOk);
      continue;
    }
    EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteError);
    EXPECT_TRUE(Says(model, "have different inputs (number 0): " + bytes));
    EXPECT_EQ(model.interpreter->Invoke(), kTfLiteError);
  }
}

TEST_F(Resizing, OfOneOfTwoInputsIsRefused) {
  const Delegate delegate = AnyDelegate();
  Runnable model(ReadFile(DataFile("sum_edgetpu-sim.tflite")));
  ASSERT_EQ(PrepareWithDelegate(&model, delegate), kTfLiteOk);
  ASSERT_EQ(model.interpreter->ResizeInputTensor(model.interpreter->inputs()[0], {2, 4, 4, 3}), kTfLiteOk);
  EXPECT_EQ(model.interpreter->AllocateTensors(), kTfLiteError);
  EXPECT_TRUE(Says(model, "which has to be the same everywhere"));
}

// Files that a compiler did not make, each with the sentence that it must be refused with beside it.
std::vector<std::string> BrokenModels() { return NamesIn(DataFile("broken"), ".tflite"); }

class Broken : public SimulatorTest, public testing::WithParamInterface<std::string> {};

TEST_P(Broken, ModelIsRefusedWithASentence) {
  const std::string path = DataFile("broken/" + GetParam());
  ExpectRefused(ReadFile(path + ".tflite"), ReadFile(path + ".txt"));
}

INSTANTIATE_TEST_SUITE_P(All, Broken, testing::ValuesIn(BrokenModels()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST(Broken, ModelsAreThere) { EXPECT_GE(BrokenModels().size(), 15u); }

using Damage = SimulatorTest;

// In each part of the payload: magic, checksum, header, note, sub-model, trailer.
TEST_F(Damage, OfAPayloadIsNeverRun) {
  const std::string whole = Compiled(kClassifier);
  const size_t payload = whole.find(std::string("CFSIM1\0\0", 8));
  ASSERT_NE(payload, std::string::npos);
  const auto number = [&](size_t offset) {
    uint32_t value;  // little-endian, as every machine that this runs on
    std::memcpy(&value, whole.data() + payload + offset, sizeof(value));
    return value;
  };
  const size_t size = number(12) + number(16) + number(24);
  ASSERT_LE(payload + size, whole.size());
  for (size_t offset = 0; offset < size; offset += offset < 100 ? 1 : 37) {
    std::string damaged = whole;
    damaged[payload + offset] = static_cast<char>(damaged[payload + offset] ^ 0x40);
    SCOPED_TRACE("byte " + std::to_string(offset));
    ExpectRefused(damaged, "SIMULATED");
  }
}

}  // namespace
}  // namespace coralforge
