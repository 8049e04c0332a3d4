#include "program.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "payload.h"
#include "tensorflow/lite/core/tools/verifier.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/logger.h"
#include "tensorflow/lite/schema/schema_utils.h"

namespace coralforge {
namespace {

constexpr size_t kAlignment = 16;
constexpr size_t kLongestError = 2000;

// The copy of TensorFlow Lite in this library must not talk for itself: it would announce a second runtime,
// and not say that it is a simulated one. Errors come through Errors.
void Silence() {
  static const tflite::LogSeverity once =
      tflite::LoggerOptions::SetMinimumLogSeverity(tflite::TFLITE_LOG_SILENT);
  static_cast<void>(once);
}

// What a sub-model must not have: other operators than TensorFlow Lite's own, and those that would call
// another subgraph (or, damaged, their own without end).
std::string CheckOperators(const tflite::Model& model) {
  const std::string program = "The program for the SIMULATED Edge TPU ";
  const auto* operators = model.subgraphs()->Get(0)->operators();
  const auto* codes = model.operator_codes();
  if (operators == nullptr || operators->size() == 0 || codes == nullptr)
    return program + "has no operations.";
  for (const tflite::Operator* op : *operators) {
    if (op->opcode_index() >= codes->size()) return program + "has an operation that is not in its list.";
    const tflite::BuiltinOperator code = tflite::GetBuiltinCode(codes->Get(op->opcode_index()));
    switch (code) {
      case tflite::BuiltinOperator_CUSTOM:
      case tflite::BuiltinOperator_DELEGATE:
      case tflite::BuiltinOperator_CALL:
      case tflite::BuiltinOperator_CALL_ONCE:
      case tflite::BuiltinOperator_IF:
      case tflite::BuiltinOperator_WHILE:
        return program + "has the operation " + tflite::EnumNameBuiltinOperator(code) +
               ", which it must not have.";
      default:
        break;
    }
  }
  return "";
}

// Tensors are written and read byte by byte, so what has no fixed size in bytes cannot be one of them.
bool HasFixedSize(const TfLiteTensor& tensor) {
  return tensor.type != kTfLiteString && tensor.type != kTfLiteResource && tensor.type != kTfLiteVariant &&
         tensor.sparsity == nullptr;
}

// The tensors of one side of a node, and those of the sub-model.
struct Side {
  const char* name;
  const std::vector<int>& outer;
  const std::vector<int>& inner;

  std::string Wrong(const std::string& how) const {
    return std::string("The Edge TPU operation and its SIMULATED program have different ") + name + how;
  }
  std::string Wrong(size_t which, const std::string& how) const {
    return Wrong(" (number " + std::to_string(which) + "): " + how);
  }
};

// Compares number and types.
std::string CheckTypes(const Side& side, const TfLiteContext* context,
                       const tflite::Interpreter& interpreter) {
  if (side.outer.size() != side.inner.size()) {
    return side.Wrong(": " + std::to_string(side.outer.size()) + " and " + std::to_string(side.inner.size()) +
                      ".");
  }
  for (size_t i = 0; i < side.inner.size(); ++i) {
    if (side.outer[i] == kTfLiteOptionalTensor || side.inner[i] == kTfLiteOptionalTensor) {
      return side.Wrong(i, "one is left out.");
    }
    const TfLiteTensor& ours = *interpreter.tensor(side.inner[i]);
    const TfLiteTensor& theirs = context->tensors[side.outer[i]];
    if (theirs.type != ours.type || !HasFixedSize(ours) || !HasFixedSize(theirs)) {
      return side.Wrong(i, std::string("types ") + TfLiteTypeGetName(theirs.type) + " and " +
                               TfLiteTypeGetName(ours.type) + ".");
    }
  }
  return "";
}

std::string WrongSize(const Side& side, size_t which, const TfLiteTensor& theirs, const TfLiteTensor& ours) {
  return side.Wrong(which, std::to_string(theirs.bytes) + " and " + std::to_string(ours.bytes) +
                               " bytes. A compiled model has fixed sizes: only the first dimension can be "
                               "resized, to the number of runs, which has to be the same everywhere.");
}

bool HasBatches(const TfLiteTensor& outer, const TfLiteTensor& inner) {
  return outer.dims->size > 0 && inner.bytes > 0 &&
         outer.bytes == inner.bytes * static_cast<size_t>(outer.dims->data[0]);
}

// How many runs the application's tensor is for; 0 when it does not fit.
int CountBatches(const TfLiteTensor& outer, const TfLiteTensor& inner) {
  if (HasBatches(outer, inner)) return outer.dims->data[0];
  return outer.bytes == inner.bytes ? 1 : 0;
}

TfLiteStatus SetBatches(TfLiteContext* context, TfLiteTensor* tensor, int batches) {
  TfLiteIntArray* shape = TfLiteIntArrayCopy(tensor->dims);
  shape->data[0] = batches;
  return context->ResizeTensor(context, tensor, shape);
}

// After preparation: data goes straight into inputs, so a constant (in the file's memory) must not be one,
// and pointers of tensors whose size is found while running do not stay.
bool HavePlace(const tflite::Interpreter& interpreter, const std::vector<int>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [&](int index) {
    const TfLiteTensor& tensor = *interpreter.tensor(index);
    return tensor.allocation_type == kTfLiteArenaRw && (tensor.data.raw != nullptr || tensor.bytes == 0);
  });
}

// While running: an application may have large tensors allocated as they are needed, or give its own memory.
bool HaveData(const TfLiteContext* context, const std::vector<int>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [&](int index) {
    const TfLiteTensor& tensor = context->tensors[index];
    return tensor.data.raw != nullptr || tensor.bytes == 0;
  });
}

}  // namespace

int Program::Errors::Report(const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof(line), format, arguments);
  if (text_.size() < kLongestError) text_ += (text_.empty() ? "" : " ") + std::string(line);
  return 0;
}

std::string Program::Errors::Take(const std::string& what) {
  const std::string said = std::exchange(text_, "");
  return "The program for the SIMULATED Edge TPU " + what + (said.empty() ? "." : ": " + said);
}

Program::Program(const char* payload, size_t size) : unusable_(Load(payload, size)) {}

std::string Program::Load(const char* payload, size_t size) {
  SubModel found;
  std::string error = ReadPayload(payload, size, &found);
  if (!error.empty()) return error;
  if (reinterpret_cast<uintptr_t>(found.data) % kAlignment != 0) {
    // Some tool wrote the file again and lost the alignment. operator new gives 16 bytes.
    aligned_ = std::make_unique<char[]>(found.size);
    std::memcpy(aligned_.get(), found.data, found.size);
    found.data = aligned_.get();
  }
  Silence();
  if (!tflite::Verify(found.data, found.size, &errors_)) return errors_.Take("is damaged");
  const tflite::Model& model = *tflite::GetModel(found.data);
  if (model.subgraphs()->size() != 1) return errors_.Take("has more than one graph");
  error = CheckOperators(model);
  if (!error.empty()) return error;
  model_ = tflite::FlatBufferModel::BuildFromBuffer(found.data, found.size, &errors_);
  return model_ == nullptr ? errors_.Take("cannot be read") : "";
}

bool Program::HasState() const {
  if (model_ == nullptr) return false;
  const auto* tensors = model_->GetModel()->subgraphs()->Get(0)->tensors();
  return tensors != nullptr &&
         std::any_of(tensors->begin(), tensors->end(),
                     [](const tflite::Tensor* tensor) { return tensor->is_variable(); });
}

std::string Program::Prepare(TfLiteContext* context, const Ends& ends) {
  if (!unusable_.empty()) return unusable_;
  if (interpreter_ == nullptr) {
    std::string error = Build(context->recommended_num_threads);
    if (!error.empty()) {
      interpreter_.reset();
      return error;
    }
  }
  ends_ = ends;
  return Fit(context);
}

std::string Program::Build(int threads) {
  const tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
  if (tflite::InterpreterBuilder(*model_, resolver)(&interpreter_, threads) != kTfLiteOk) {
    return errors_.Take("cannot be built");
  }
  if (interpreter_->AllocateTensors() != kTfLiteOk) return errors_.Take("cannot be prepared");
  if (!HavePlace(*interpreter_, interpreter_->inputs()) ||
      !HavePlace(*interpreter_, interpreter_->outputs())) {
    return errors_.Take("has inputs or outputs that are constant, or whose size is only known while it runs");
  }
  return "";
}

std::string Program::Fit(TfLiteContext* context) {
  const Side inputs{"inputs", ends_.inputs, interpreter_->inputs()};
  const Side outputs{"outputs", ends_.outputs, interpreter_->outputs()};
  for (const Side* side : {&inputs, &outputs}) {
    std::string error = CheckTypes(*side, context, *interpreter_);
    if (!error.empty()) return error;
  }
  int batches = 0;
  for (size_t i = 0; i < ends_.inputs.size(); ++i) {
    const TfLiteTensor& theirs = context->tensors[ends_.inputs[i]];
    const TfLiteTensor& ours = *interpreter_->input_tensor(i);
    const int count = CountBatches(theirs, ours);
    if (count == 0 || (batches != 0 && count != batches)) return WrongSize(inputs, i, theirs, ours);
    batches = count;
  }
  batches_ = std::max(batches, 1);
  for (size_t i = 0; i < ends_.outputs.size(); ++i) {
    TfLiteTensor* theirs = &context->tensors[ends_.outputs[i]];
    const TfLiteTensor& ours = *interpreter_->output_tensor(i);
    if (CountBatches(*theirs, ours) == batches_) continue;
    if (!HasBatches(*theirs, ours) || SetBatches(context, theirs, batches_) != kTfLiteOk) {
      return WrongSize(outputs, i, *theirs, ours);
    }
  }
  return "";
}

std::string Program::Run(TfLiteContext* context) {
  if (interpreter_ == nullptr) return "The SIMULATED Edge TPU operation was never prepared.";
  const int threads = context->recommended_num_threads;
  if (threads != interpreter_->subgraph(0)->context()->recommended_num_threads &&
      interpreter_->SetNumThreads(threads) != kTfLiteOk) {
    return errors_.Take("cannot use " + std::to_string(threads) + " threads");
  }
  if (!HaveData(context, ends_.inputs) || !HaveData(context, ends_.outputs)) {
    return "The SIMULATED Edge TPU operation has inputs or outputs without memory.";
  }
  // Copies, rather than tensors in the application's memory: they are 0.01 % of the time of a model, and the
  // application may move its tensors, or give them an alignment that our kernels do not expect.
  for (int batch = 0; batch < batches_; ++batch) {
    for (size_t i = 0; i < ends_.inputs.size(); ++i) {
      const TfLiteTensor& to = *interpreter_->input_tensor(i);
      const char* from = context->tensors[ends_.inputs[i]].data.raw_const;
      if (to.bytes > 0) std::memcpy(to.data.raw, from + batch * to.bytes, to.bytes);
    }
    if (interpreter_->Invoke() != kTfLiteOk) return errors_.Take("failed");
    for (size_t i = 0; i < ends_.outputs.size(); ++i) {
      const TfLiteTensor& from = *interpreter_->output_tensor(i);
      char* to = context->tensors[ends_.outputs[i]].data.raw;
      if (from.bytes > 0) std::memcpy(to + batch * from.bytes, from.data.raw_const, from.bytes);
    }
  }
  return "";
}

std::string Program::Reset() {
  const bool done = interpreter_ != nullptr && interpreter_->ResetVariableTensors() == kTfLiteOk;
  return done ? "" : errors_.Take("cannot be reset");
}

}  // namespace coralforge
