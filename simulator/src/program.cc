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
  if (operators == nullptr || codes == nullptr) return program + "has no operations.";
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
        return program + "has the operation " + tflite::EnumNameBuiltinOperator(code) + ", which it must not have.";
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

// Compares the tensors of one side of a node with those of the sub-model.
std::string CheckTensors(const char* side, const TfLiteContext* context, const TfLiteIntArray* outer,
                         const tflite::Interpreter& interpreter, const std::vector<int>& inner) {
  const std::string where =
      std::string("The Edge TPU operation and its SIMULATED program have different ") + side;
  if (outer->size != static_cast<int>(inner.size())) {
    return where + ": " + std::to_string(outer->size) + " and " + std::to_string(inner.size()) + ".";
  }
  for (size_t i = 0; i < inner.size(); ++i) {
    const std::string which = where + " (number " + std::to_string(i) + "): ";
    if (outer->data[i] == kTfLiteOptionalTensor || inner[i] == kTfLiteOptionalTensor) {
      return which + "one is left out.";
    }
    const TfLiteTensor& ours = *interpreter.tensor(inner[i]);
    const TfLiteTensor& theirs = context->tensors[outer->data[i]];
    if (theirs.type != ours.type || !HasFixedSize(ours) || !HasFixedSize(theirs)) {
      return which + "types " + TfLiteTypeGetName(theirs.type) + " and " + TfLiteTypeGetName(ours.type) + ".";
    }
    if (theirs.bytes != ours.bytes || theirs.allocation_type == kTfLiteDynamic) {
      return which + std::to_string(theirs.bytes) + " and " + std::to_string(ours.bytes) +
             " bytes. A compiled model has fixed sizes: its inputs cannot be resized.";
    }
  }
  return "";
}

// After preparation: data goes straight into inputs, so a constant (in the file's memory) must not be one,
// and pointers of tensors whose size is found while running do not stay.
bool HavePlace(const tflite::Interpreter& interpreter, const std::vector<int>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [&](int index) {
    const TfLiteTensor& tensor = *interpreter.tensor(index);
    return tensor.allocation_type == kTfLiteArenaRw && (tensor.data.raw != nullptr || tensor.bytes == 0);
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

std::string Program::Prepare(TfLiteContext* context, const TfLiteNode* node) {
  if (!unusable_.empty()) return unusable_;
  if (interpreter_ == nullptr) {
    std::string error = Build(context, node);
    if (!error.empty()) interpreter_.reset();
    return error;
  }
  // Prepared before: only the application's side can have changed.
  std::string error = CheckTensors("inputs", context, node->inputs, *interpreter_, interpreter_->inputs());
  if (error.empty()) {
    error = CheckTensors("outputs", context, node->outputs, *interpreter_, interpreter_->outputs());
  }
  return error;
}

std::string Program::Build(TfLiteContext* context, const TfLiteNode* node) {
  const tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
  if (tflite::InterpreterBuilder(*model_, resolver)(&interpreter_, context->recommended_num_threads) !=
      kTfLiteOk) {
    return errors_.Take("cannot be built");
  }
  const tflite::Interpreter& built = *interpreter_;
  for (const auto& error : {CheckTensors("inputs", context, node->inputs, built, built.inputs()),
                            CheckTensors("outputs", context, node->outputs, built, built.outputs())}) {
    if (!error.empty()) return error;
  }
  if (interpreter_->AllocateTensors() != kTfLiteOk) return errors_.Take("cannot be prepared");
  if (!HavePlace(built, built.inputs()) || !HavePlace(built, built.outputs())) {
    return errors_.Take("has inputs or outputs that are constant, or whose size is only known while it runs");
  }
  return "";
}

std::string Program::Run(TfLiteContext* context, const TfLiteNode* node) {
  if (interpreter_ == nullptr) return "The SIMULATED Edge TPU operation was never prepared.";
  const int threads = context->recommended_num_threads;
  if (threads != interpreter_->subgraph(0)->context()->recommended_num_threads &&
      interpreter_->SetNumThreads(threads) != kTfLiteOk) {
    return errors_.Take("cannot use " + std::to_string(threads) + " threads");
  }
  // Copies, rather than tensors in the application's memory: they are 0.01 % of the time of a model, and the
  // application may move its tensors, or give them an alignment that our kernels do not expect.
  for (int i = 0; i < node->inputs->size; ++i) {
    const TfLiteTensor& from = context->tensors[node->inputs->data[i]];
    if (from.bytes > 0) std::memcpy(interpreter_->input_tensor(i)->data.raw, from.data.raw_const, from.bytes);
  }
  if (interpreter_->Invoke() != kTfLiteOk) return errors_.Take("failed");
  for (int i = 0; i < node->outputs->size; ++i) {
    const TfLiteTensor& to = context->tensors[node->outputs->data[i]];
    if (to.bytes > 0) std::memcpy(to.data.raw, interpreter_->output_tensor(i)->data.raw_const, to.bytes);
  }
  return "";
}

std::string Program::Reset() {
  const bool done = interpreter_ != nullptr && interpreter_->ResetVariableTensors() == kTfLiteOk;
  return done ? "" : errors_.Take("cannot be reset");
}

}  // namespace coralforge
