// A model made ready to run: on the Edge TPU when it was compiled for one, else on the CPU. Never the CPU
// instead of an Edge TPU.
#ifndef CORAL_SESSION_H_
#define CORAL_SESSION_H_

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cli.h"
#include "crash_guard.h"
#include "device.h"
#include "device_access.h"
#include "device_owner.h"
#include "edgetpu_c.h"
#include "files.h"
#include "kernels.h"
#include "model_check.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/model_builder.h"
#include "unlisted.h"
#include "versions.h"
#include "watchdog.h"

namespace coral {

// Where the model runs, for people and programs to read.
struct Placement {
  bool edge_tpu = false;   // through the delegate; the device may be simulated
  bool simulated = false;  // the delegate is the simulated one
  bool emulated = false;   // the delegate is the real one, and the device no hardware
  std::string type;        // "usb" or "pci"; "cpu" without a delegate
  std::string path;        // of the device; empty on the CPU
  double megabits = 0;     // a second, of a USB device; 0 where the system does not say
  int delegated = 0;       // operations that the delegate took
  int operations = 0;      // operations that are run in all
  int xnnpack = 0;         // of those on the CPU, the ones that XNNPACK took

  const char* Name() const {
    return !edge_tpu ? "cpu" : simulated ? "simulated" : emulated ? "emulated" : "edgetpu";
  }
  // What no figure may be shown without; empty for real hardware and the CPU.
  const char* Mark() const { return simulated ? "SIMULATED" : emulated ? "EMULATED" : ""; }

  std::string Describe() const {
    if (!edge_tpu) return "on the CPU (the model is not compiled for the Edge TPU" + WithXnnpack() + ")";
    const std::string mark = Mark();
    return (mark.empty() ? "on the Edge TPU (" : mark + ", not on an Edge TPU (") + type + " " + path + "; " +
           std::to_string(delegated) + " of " + std::to_string(operations) + " operations" + WithXnnpack() +
           ")";
  }
  std::string WithXnnpack() const {
    return xnnpack == 0 ? "" : "; XNNPACK runs " + std::to_string(xnnpack) + " operations";
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
  // Loads and prepares the model file. `device` is an index into the list that lstpu shows. No step, from
  // loading to closing, may take longer than `timeout` seconds (0: no limit). Throws Failure.
  Session(const std::string& path, int device, int threads, int timeout, Kernels kernels = Kernels::kBuiltin)
      : path_(Printable(path)), watchdog_(timeout), guard_(path_) {
    watchdog_.Start("loading " + path_, kMoreTime);
    Load(path);
    // No default delegates: what runs on the Edge TPU and what on the CPU must not depend on how TFLite was
    // built.
    const tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
    if (tflite::InterpreterBuilder(*model_, resolver)(&interpreter_, threads) != kTfLiteOk) {
      Fail("is not a model that TensorFlow Lite can use");
    }
    if (NeedsEdgeTpu(*model_->GetModel())) Attach(device);
    if (kernels == Kernels::kXnnpack) AttachXnnpack(threads);
    if (interpreter_->AllocateTensors() != kTfLiteOk) Fail("cannot be prepared");
    CountOperations();
    watchdog_.Describe(
        "running " + path_ + (placement_.edge_tpu ? " on the Edge TPU " + device_.name : " on the CPU"),
        placement_.edge_tpu ? device_.Remedy() : kMoreTime);
  }
  ~Session() {
    // What follows is the destructors of the members, and libedgetpu waits for the device in its own.
    if (placement_.edge_tpu) watchdog_.Start("closing the Edge TPU " + device_.name, device_.Remedy());
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Run() {
    watchdog_.Start();
    const bool done = interpreter_->Invoke() == kTfLiteOk;
    watchdog_.Stop();
    if (!done) FailRunning();
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
  void Attach(int index) {
    CheckCommits();
    device_ = Choose(index);
    placement_.type = device_.usb ? "usb" : "pci";
    placement_.path = Printable(device_.path);
    const Finding obstacle = FindObstacle(device_);
    if (obstacle.code != kOk) throw Failure(obstacle.code, obstacle.Text());
    if (device_.Known()) claim_ = DeviceClaim::Take(device_);
    Open();
    // Creating a delegate changes nothing by itself: this is the line that puts the model on the Edge TPU.
    if (interpreter_->ModifyGraphWithDelegate(delegate_.get()) != kTfLiteOk) {
      Fail("was refused by the Edge TPU delegate");
    }
    placement_.edge_tpu = true;
    placement_.simulated = IsSimulated();
    placement_.emulated = !placement_.simulated && device_.emulated;
    placement_.megabits = device_.megabits;
    watchdog_.Start("loading " + path_ + " onto the Edge TPU " + device_.name, device_.Remedy());
  }

  // After the Edge TPU's delegate, which finds its operations by their names: XNNPACK gets what is left.
  void AttachXnnpack(int threads) {
    xnnpack_ = CreateXnnpack(threads);
    // An error may have taken the Edge TPU's delegate away too, so there is no way on.
    if (interpreter_->ModifyGraphWithDelegate(xnnpack_.get()) != kTfLiteOk) {
      Fail("cannot run with XNNPACK; leave out --cpu xnnpack");
    }
  }

  Device Choose(int index) const {
    const std::vector<Device> devices = ListDevices();
    const size_t count = devices.size();
    if (static_cast<size_t>(index) < count) return devices[static_cast<size_t>(index)];
    const std::vector<Finding> unlisted = IsSimulated() ? std::vector<Finding>() : Unlisted(devices);
    const bool hidden = count == 0 && !unlisted.empty();
    throw Failure(hidden ? unlisted[0].code : kNoEdgeTpu,
                  path_ + " is compiled for the Edge TPU, but " +
                      (hidden       ? unlisted[0].Text()
                       : count != 0 ? "there is no device " + std::to_string(index)
                                    : "there is none here") +
                      "; it cannot run on the CPU instead (lstpu --diagnose says more)");
  }

  void Open() {
    watchdog_.Start("opening the Edge TPU " + device_.name, device_.Remedy());
    // While it is opened, a USB device restarts with another node: that this one goes away means nothing yet.
    if (!IsSimulated()) guard_.UseDevice(device_.name, "", device_.Remedy());
    const auto type = device_.usb ? EDGETPU_APEX_USB : EDGETPU_APEX_PCI;
    delegate_.reset(edgetpu_create_delegate(type, device_.path.c_str(), nullptr, 0));
    if (delegate_ == nullptr) FailOpening();
    if (device_.Known()) {
      device_ = LookUpAgain(device_);
      guard_.UseDevice(device_.name, device_.node, device_.Remedy());
    }
  }

  [[noreturn]] void FailOpening() const {
    const std::string name = "the Edge TPU " + device_.name;
    if (!device_.Known()) throw Failure(kNoEdgeTpu, name + " cannot be opened; libedgetpu gives no reason");
    const Device now = LookUpAgain(device_);
    if (!now.Known()) throw Failure(kLost, name + " went away while it was opened; " + device_.Remedy());
    // With its firmware it has another id and another node, and udev rules or a container may forbid that
    // one.
    const Finding obstacle = FindObstacle(now);
    if (obstacle.code != kOk) throw Failure(obstacle.code, obstacle.Text());
    throw Failure(kLost, name + (now.firmware ? " does not answer" : " did not take its firmware") +
                             ", or a program of another user has it; " + device_.Remedy());
  }

  [[noreturn]] void FailRunning() const {
    if (placement_.edge_tpu && IsGone()) {
      throw Failure(kLost, "the Edge TPU " + device_.name + " went away while " + path_ + " ran: " +
                               log_.Text() + (placement_.simulated ? "" : "; " + device_.Remedy()));
    }
    Fail("failed while it ran");
  }

  // Whether the device is no longer the one that was opened.
  bool IsGone() const {
    if (device_.Known()) return LookUpAgain(device_).node != device_.node;
    const std::vector<Device> devices = ListDevices();
    const auto same = [&](const Device& other) { return device_.path == other.path; };
    return std::none_of(devices.begin(), devices.end(), same);
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
    for (const int index : interpreter_->execution_plan()) {
      const TfLiteNode& node = interpreter_->node_and_registration(index)->first;
      ++placement_.operations;
      if (node.delegate == nullptr) continue;
      if (node.delegate != xnnpack_.get()) {
        ++placement_.delegated;
        continue;
      }
      // One node stands for all that XNNPACK took at once.
      const auto* replaced = static_cast<const TfLiteDelegateParams*>(node.builtin_data)->nodes_to_replace;
      placement_.xnnpack += replaced->size;
      placement_.operations += replaced->size - 1;
    }
    if (!placement_.edge_tpu) {
      placement_.type = "cpu";
    } else if (placement_.delegated == 0) {
      throw Failure(kCannotRun, path_ + ": the Edge TPU delegate took no operation of the model");
    }
  }

  static constexpr char kMoreTime[] = "give it more with --timeout SECONDS";

  const std::string path_;
  // The order matters: members are destroyed from the last to the first. What watches goes last, and the
  // claim to the device only when the device is closed.
  Watchdog watchdog_;
  CrashGuard guard_;
  Device device_;
  std::shared_ptr<DeviceClaim> claim_;
  Placement placement_;
  ErrorLog log_;
  // The interpreter uses the delegates until it is gone, and all use the model's bytes.
  std::unique_ptr<tflite::FlatBufferModel> model_;
  OwnedDelegate xnnpack_{nullptr, nullptr};
  std::unique_ptr<TfLiteDelegate, decltype(&edgetpu_free_delegate)> delegate_{nullptr, edgetpu_free_delegate};
  std::unique_ptr<tflite::Interpreter> interpreter_;
};

}  // namespace coral

#endif  // CORAL_SESSION_H_
