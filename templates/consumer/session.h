// A model made ready to run: on the Edge TPU when it was compiled for one, else on the CPU. Never the CPU
// instead of an Edge TPU.
#ifndef CORAL_SESSION_H_
#define CORAL_SESSION_H_

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "cli.h"
#include "crash_guard.h"
#include "edgetpu_c.h"
#include "files.h"
#include "model_check.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"
#include "versions.h"

namespace coral {

// Where the model runs, for people and programs to read.
struct Placement {
  bool edge_tpu = false;   // through the delegate; the device may be simulated
  bool simulated = false;  // the delegate is the simulated one
  std::string type;        // "usb" or "pci"; "cpu" without a delegate
  std::string path;        // of the device; empty on the CPU
  int delegated = 0;       // operations that the delegate took
  int operations = 0;      // operations that are run in all

  const char* Name() const { return !edge_tpu ? "cpu" : simulated ? "simulated" : "edgetpu"; }

  std::string Describe() const {
    if (!edge_tpu) return "on the CPU (the model is not compiled for the Edge TPU)";
    return std::string(simulated ? "SIMULATED, not on an Edge TPU (" : "on the Edge TPU (") + type + " " +
           path + "; " + std::to_string(delegated) + " of " + std::to_string(operations) + " operations)";
  }
};

// Collects what TensorFlow Lite reports, so that a failure is one sentence instead of a page.
class ErrorLog : public tflite::ErrorReporter {
 public:
  int Report(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof(line), format, arguments);
    std::string message = Printable(line);
    while (!message.empty() && (message.back() == '?' || message.back() == ' ')) message.pop_back();
    if (text_.find(message) == std::string::npos && text_.size() < 2000) {
      text_ += (text_.empty() ? "" : "; ") + message;
    }
    return 0;
  }
  std::string Text() const { return text_.empty() ? "TensorFlow Lite gave no reason" : text_; }

 private:
  std::string text_;
};

class Session {
 public:
  // Loads and prepares the model file. `device` is an index into the list that lstpu shows. Throws Failure.
  Session(const std::string& path, int device, int threads) : path_(Printable(path)), guard_(path_) {
    Load(path);
    // No default delegates: what runs on the Edge TPU and what on the CPU must not depend on how TFLite was
    // built.
    const tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
    if (tflite::InterpreterBuilder(*model_, resolver)(&interpreter_, threads) != kTfLiteOk) {
      Fail("is not a model that TensorFlow Lite can use");
    }
    if (NeedsEdgeTpu(*model_->GetModel())) Attach(device);
    if (interpreter_->AllocateTensors() != kTfLiteOk) Fail("cannot be prepared");
    CountOperations();
  }

  void Run() {
    if (interpreter_->Invoke() != kTfLiteOk) Fail("failed while it ran");
  }

  tflite::Interpreter& interpreter() { return *interpreter_; }
  const Placement& placement() const { return placement_; }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw Failure(kCannotRun, path_ + " " + what + ": " + log_.Text());
  }

  void Load(const std::string& path) {
    CheckFile(path, size_t{1} << 30);
    // The verifying variant: the plain one follows offsets in the file wherever they lead.
    model_ = tflite::FlatBufferModel::VerifyAndBuildFromFile(path.c_str(), nullptr, &log_);
    if (model_ == nullptr) {
      throw Failure(kBadInput, path_ + " is not a TensorFlow Lite model, or is damaged: " + log_.Text());
    }
    CheckModel(path_, *model_->GetModel());
  }

  // Hands the compiled operations to an Edge TPU.
  void Attach(int device) {
    CheckCommits();
    size_t count = 0;
    const std::unique_ptr<edgetpu_device, decltype(&edgetpu_free_devices)> devices(
        edgetpu_list_devices(&count), edgetpu_free_devices);
    if (static_cast<size_t>(device) >= count) {
      throw Failure(kNoEdgeTpu,
                    path_ + " is compiled for the Edge TPU, but " +
                        (count == 0 ? "there is none here" : "there is no device " + std::to_string(device)) +
                        "; it cannot run on the CPU instead (lstpu shows the devices)");
    }
    const edgetpu_device& chosen = devices.get()[device];
    placement_.type = chosen.type == EDGETPU_APEX_PCI ? "pci" : "usb";
    placement_.path = Printable(chosen.path);
    delegate_.reset(edgetpu_create_delegate(chosen.type, chosen.path, nullptr, 0));
    if (delegate_ == nullptr) {
      throw Failure(kNoEdgeTpu,
                    "the Edge TPU " + placement_.path +
                        " cannot be opened: another program may use it, or you may lack the right to "
                        "(see the udev rules in the bundle)");
    }
    // Creating a delegate changes nothing by itself: this is the line that puts the model on the Edge TPU.
    if (interpreter_->ModifyGraphWithDelegate(delegate_.get()) != kTfLiteOk) {
      Fail("was refused by the Edge TPU delegate");
    }
    placement_.edge_tpu = true;
    placement_.simulated = IsSimulated();
  }

  // A library built against another TensorFlow Lite reads our structures wrongly and crashes, so refuse
  // before it can.
  void CheckCommits() const {
    const std::string ours = TfliteCommit();
    const std::string theirs = EdgeTpuCommit();
    if (ours != theirs && ours != "unknown" && theirs != "unknown") {
      throw Failure(kCannotRun, "TensorFlow Lite (commit " + ours + ") and libedgetpu (built for commit " +
                                    theirs + ") do not belong together");
    }
  }

  void CountOperations() {
    placement_.operations = static_cast<int>(interpreter_->execution_plan().size());
    if (!placement_.edge_tpu) {
      placement_.type = "cpu";
      return;
    }
    for (const int node : interpreter_->execution_plan()) {
      const auto* pair = interpreter_->node_and_registration(node);
      if (pair->first.delegate != nullptr) ++placement_.delegated;
    }
    if (placement_.delegated == 0) {
      throw Failure(kCannotRun, path_ + ": the Edge TPU delegate took no operation of the model");
    }
  }

  const std::string path_;
  const CrashGuard guard_;
  Placement placement_;
  ErrorLog log_;
  // The order matters: members are destroyed from the last to the first, the interpreter uses the delegate
  // until it is gone, and both use the model's bytes.
  std::unique_ptr<tflite::FlatBufferModel> model_;
  std::unique_ptr<TfLiteDelegate, decltype(&edgetpu_free_delegate)> delegate_{nullptr, edgetpu_free_delegate};
  std::unique_ptr<tflite::Interpreter> interpreter_;
};

}  // namespace coral

#endif  // CORAL_SESSION_H_
