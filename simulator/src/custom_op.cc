// The handler of "edgetpu-custom-op" nodes, for a program that puts it into its resolver and for the
// delegate.
#include "custom_op.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "edgetpu.h"
#include "manager.h"
#include "program.h"

namespace coralforge {
namespace {

using edgetpu::EdgeTpuContext;

// What belongs to a node.
struct Operation {
  Operation(const char* payload, size_t size) : program(payload, size) {}

  Program program;
  std::optional<Ends> ends;  // where the node's own are in another order
  // Index of the mark, a variable tensor of one byte among the application's: Run() sets it, and when the
  // application resets its interpreter's variables, the mark goes too. Nothing else tells an operator that
  // its state is to be forgotten. -1: the program has no state.
  int mark = -1;
  int opening = 0;  // the device that it was prepared for; 0: none yet
  std::string path;
};

std::vector<int> Numbers(const TfLiteIntArray& array) { return {array.data, array.data + array.size}; }

Ends EndsOf(const TfLiteNode& node) { return {Numbers(*node.inputs), Numbers(*node.outputs)}; }

TfLiteStatus Fail(TfLiteContext* context, const char* what, const std::string& why) {
  context->ReportError(context, "%s%s", what, why.c_str());
  return kTfLiteError;
}

// The device that the application, or the delegate, gave to the interpreter; null when none.
EdgeTpuContext* GetDevice(TfLiteContext* context) {
  return static_cast<EdgeTpuContext*>(context->GetExternalContext(context, kTfLiteEdgeTpuContext));
}

// Like the real library, where a program is loaded into one device and stays there.
std::string Bind(const EdgeTpuContext& device, Operation* operation) {
  const int opening = Manager::Opening(device);
  if (operation->opening != 0 && operation->opening != opening) {
    return "Failed precondition: Custom op already assigned to a different TPU. (It is " + operation->path +
           ", which may have been closed since.)";
  }
  operation->opening = opening;
  operation->path = device.GetDeviceEnumRecord().path;
  return "";
}

std::string CheckDevice(const EdgeTpuContext& device, const Operation& operation) {
  const std::string& path = device.GetDeviceEnumRecord().path;
  if (Manager::Opening(device) != operation.opening) {
    return "The program is not loaded into " + path + ", but was into " + operation.path +
           ", which may have been closed since.";
  }
  return device.IsReady() ? "" : "Edge TPU is not ready. (" + path + " was unplugged.)";
}

TfLiteStatus PrepareMark(TfLiteContext* context, TfLiteNode* node, int index) {
  TfLiteIntArrayFree(node->temporaries);
  node->temporaries = TfLiteIntArrayCreate(1);
  node->temporaries->data[0] = index;
  TfLiteTensor* mark = &context->tensors[index];
  mark->name = "SIMULATED Edge TPU has state";
  mark->type = kTfLiteUInt8;
  mark->allocation_type = kTfLiteArenaRwPersistent;
  mark->is_variable = true;
  TfLiteIntArray* shape = TfLiteIntArrayCreate(1);
  shape->data[0] = 1;
  return context->ResizeTensor(context, mark, shape);
}

void* Init(TfLiteContext* context, const char* buffer, size_t length) {
  auto operation = std::make_unique<Operation>(buffer, length);
  if (operation->program.HasState() && context->AddTensors(context, 1, &operation->mark) != kTfLiteOk) {
    return nullptr;
  }
  return operation.release();
}

void Free(TfLiteContext*, void* data) { delete static_cast<Operation*>(data); }

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  auto* operation = static_cast<Operation*>(node->user_data);
  if (operation == nullptr) return Fail(context, "Null custom op data.", "");
  const EdgeTpuContext* device = GetDevice(context);
  if (device == nullptr) return Fail(context, "Failed to retrieve TPU context.", "");

  std::string error = Bind(*device, operation);
  if (error.empty()) error = operation->program.Prepare(context, operation->ends.value_or(EndsOf(*node)));
  if (!error.empty()) return Fail(context, "Failed to prepare for TPU. ", error);
  return operation->mark < 0 ? kTfLiteOk : PrepareMark(context, node, operation->mark);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  auto* operation = static_cast<Operation*>(node->user_data);
  if (operation == nullptr) return Fail(context, "Null custom op data.", "");
  const EdgeTpuContext* device = GetDevice(context);
  if (device == nullptr) return Fail(context, "Failed to retrieve TPU context.", "");

  std::string error = CheckDevice(*device, *operation);
  if (error.empty() && operation->mark >= 0) {
    uint8_t* mark = context->tensors[operation->mark].data.uint8;
    if (*mark == 0) error = operation->program.Reset();
    *mark = 1;
  }
  if (error.empty()) error = operation->program.Run(context);
  return error.empty() ? kTfLiteOk : Fail(context, "Failed to execute request. ", error);
}

}  // namespace

void* InitInPlaceOf(TfLiteContext* context, const TfLiteNode& replaced) {
  Ends ends = EndsOf(replaced);
  void* made = Init(context, static_cast<const char*>(replaced.custom_initial_data),
                    replaced.custom_initial_data_size);
  if (made != nullptr) static_cast<Operation*>(made)->ends = std::move(ends);
  return made;
}

void Retire(TfLiteContext* context, const TfLiteNode& node, const TfLiteRegistration& registration) {
  const auto* operation = static_cast<const Operation*>(node.user_data);
  if (registration.invoke != Invoke || operation == nullptr || operation->mark < 0) return;
  context->tensors[operation->mark].is_variable = false;
}

}  // namespace coralforge

namespace edgetpu {

TfLiteRegistration* RegisterCustomOp() {
  static TfLiteRegistration registration = [] {
    TfLiteRegistration r{};
    r.init = coralforge::Init;
    r.free = coralforge::Free;
    r.prepare = coralforge::Prepare;
    r.invoke = coralforge::Invoke;
    return r;
  }();
  return &registration;
}

}  // namespace edgetpu
