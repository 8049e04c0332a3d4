// A test double of libedgetpu: it does what the real library does when a device fails, on demand. Only for tests.
//
// DOUBLE_PATH    the USB device that it lists; unset: none
// DOUBLE_OPEN    how opening ends: ok (the default), null, hang, abort
// DOUBLE_INVOKE  how an inference ends: ok (the default; zeros), fail, hang, abort
// DOUBLE_TAKE    operations that the delegate takes: custom (the default: all that are custom), nothing
// DOUBLE_UNPLUG  a folder and a node, with a colon between them, that go away before an inference ends
//
// It says OPENED on stderr when it is asked to open a device.
#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "edgetpu_c.h"
#include "tensorflow/lite/builtin_ops.h"
#include "tensorflow/lite/c/common.h"

namespace {

bool Is(const char* variable, const char* value) {
  const char* const found = getenv(variable);
  return found != nullptr && strcmp(found, value) == 0;
}

void HangOrAbort(const char* variable) {
  while (Is(variable, "hang")) pause();
  if (Is(variable, "abort")) abort();
}

void Unplug() {
  const char* const both = getenv("DOUBLE_UNPLUG");
  if (both == nullptr) return;
  const std::string text = both, folder = text.substr(0, text.find(':'));
  for (const char* name : {"idVendor", "idProduct"}) unlink((folder + "/" + name).c_str());
  unlink(text.substr(text.find(':') + 1).c_str());
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  Unplug();
  HangOrAbort("DOUBLE_INVOKE");
  for (int i = 0; i < node->outputs->size; ++i) {
    TfLiteTensor& tensor = context->tensors[node->outputs->data[i]];
    memset(tensor.data.raw, 0, tensor.bytes);
  }
  return Is("DOUBLE_INVOKE", "fail") ? kTfLiteError : kTfLiteOk;
}

// Takes every custom operation of the model, and nothing else.
TfLiteStatus Prepare(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  if (Is("DOUBLE_TAKE", "nothing")) return kTfLiteOk;
  std::vector<int> taken = {0};
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    context->GetNodeAndRegistration(context, plan->data[i], &node, &registration);
    if (registration->builtin_code == kTfLiteBuiltinCustom) taken.push_back(plan->data[i]);
  }
  taken[0] = static_cast<int>(taken.size()) - 1;
  TfLiteRegistration kernel{};
  kernel.invoke = Invoke;
  kernel.custom_name = "double";
  kernel.builtin_code = kTfLiteBuiltinDelegate;
  // A TfLiteIntArray is a size and then so many numbers.
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, reinterpret_cast<TfLiteIntArray*>(taken.data()),
                                                        delegate);
}

}  // namespace

extern "C" {

edgetpu_device* edgetpu_list_devices(size_t* count) {
  const char* const path = getenv("DOUBLE_PATH");
  *count = path == nullptr ? 0 : 1;
  return path == nullptr ? nullptr : new edgetpu_device{EDGETPU_APEX_USB, path};
}

void edgetpu_free_devices(edgetpu_device* devices) { delete devices; }

TfLiteDelegate* edgetpu_create_delegate(edgetpu_device_type, const char*, const edgetpu_option*, size_t) {
  fprintf(stderr, "OPENED\n");
  HangOrAbort("DOUBLE_OPEN");
  if (Is("DOUBLE_OPEN", "null")) return nullptr;
  auto* const delegate = new TfLiteDelegate();
  delegate->Prepare = Prepare;
  // As the real one: else TensorFlow Lite prepares the graph first, in which nobody knows the custom operation.
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

void edgetpu_free_delegate(TfLiteDelegate* delegate) { delete delegate; }
void edgetpu_verbosity(int) {}
const char* edgetpu_version() { return "test double"; }
}
