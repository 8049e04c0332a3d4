#include "models/plain.h"

#include <cstring>
#include <set>
#include <utility>

#include "flatbuffers/flatbuffers.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/kernel_util.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace coral_device {
namespace {

// Which of the first graph's tensors have these names, the first of each; or a name that is not there.
Result<std::vector<int32_t>> Find(const tflite::SubGraphT& graph, const std::vector<std::string>& names) {
  std::vector<int32_t> found;
  for (const std::string& name : names) {
    size_t i = 0;
    while (i < graph.tensors.size() && graph.tensors[i]->name != name) ++i;
    if (i == graph.tensors.size()) return Wrong{"it has no tensor " + name};
    found.push_back(static_cast<int32_t>(i));
  }
  return found;
}

bool Constant(const tflite::ModelT& model, const tflite::TensorT& tensor) {
  return tensor.buffer < model.buffers.size() && !model.buffers[tensor.buffer]->data.empty();
}

// Keeps what leads from inputs to outputs: backwards, since operations stand in the order in which they run.
std::string Cut(tflite::ModelT* model, const std::vector<int32_t>& inputs,
                const std::vector<int32_t>& outputs) {
  tflite::SubGraphT& graph = *model->subgraphs[0];
  const std::set<int32_t> given(inputs.begin(), inputs.end());
  std::set<int32_t> wanted(outputs.begin(), outputs.end());
  std::vector<std::unique_ptr<tflite::OperatorT>> kept;
  for (size_t i = graph.operators.size(); i-- > 0;) {
    bool needed = false;
    for (const int32_t output : graph.operators[i]->outputs) {
      needed = needed || (wanted.count(output) != 0 && given.count(output) == 0);
    }
    if (!needed) continue;
    for (const int32_t output : graph.operators[i]->outputs) wanted.erase(output);
    wanted.insert(graph.operators[i]->inputs.begin(), graph.operators[i]->inputs.end());
    kept.insert(kept.begin(), std::move(graph.operators[i]));
  }
  for (const int32_t index : wanted) {
    if (index < 0 || given.count(index) != 0) continue;
    const tflite::TensorT& tensor = *graph.tensors[static_cast<size_t>(index)];
    if (!Constant(*model, tensor) && !tensor.is_variable) {
      return "its tensor " + tensor.name + " is needed and is not among those that the compiled model sends";
    }
  }
  graph.operators = std::move(kept);
  graph.inputs = inputs;
  graph.outputs = outputs;
  model->subgraphs.resize(1);
  model->signature_defs.clear();
  return "";
}

uint64_t Elements(const TfLiteTensor* tensor) { return static_cast<uint64_t>(tflite::NumElements(tensor)); }

// A node with weights: of the shape out, y, x, in, or of a depthwise convolution 1, y, x, out.
uint64_t CountOf(const tflite::Interpreter& interpreter, const TfLiteNode& node, int kind) {
  const auto tensor = [&](const TfLiteIntArray& list, int i) { return interpreter.tensor(list.data[i]); };
  const TfLiteTensor* weights = tensor(*node.inputs, 1);
  const TfLiteIntArray& shape = *weights->dims;
  if (Elements(weights) == 0) return 0;
  if (kind == tflite::BuiltinOperator_TRANSPOSE_CONV) {
    return Elements(tensor(*node.inputs, 2)) * Elements(weights) /
           static_cast<uint64_t>(shape.data[shape.size - 1]);
  }
  const bool depthwise = kind == tflite::BuiltinOperator_DEPTHWISE_CONV_2D;
  return Elements(tensor(*node.outputs, 0)) * Elements(weights) /
         static_cast<uint64_t>(shape.data[depthwise ? shape.size - 1 : 0]);
}

}  // namespace

Multiplications PlainPart::Count() const {
  Multiplications count;
  for (const int index : interpreter_->execution_plan()) {
    const auto& [node, registration] = *interpreter_->node_and_registration(index);
    switch (registration.builtin_code) {
      case tflite::BuiltinOperator_DEPTHWISE_CONV_2D:
        count.depthwise += CountOf(*interpreter_, node, registration.builtin_code);
        break;
      case tflite::BuiltinOperator_CONV_2D:
      case tflite::BuiltinOperator_FULLY_CONNECTED:
      case tflite::BuiltinOperator_TRANSPOSE_CONV:
        count.dense += CountOf(*interpreter_, node, registration.builtin_code);
        break;
      default:
        break;
    }
  }
  return count;
}

Result<std::unique_ptr<PlainPart>> PlainPart::Make(const Bytes& file, const std::vector<std::string>& inputs,
                                                   const std::vector<std::string>& outputs) {
  flatbuffers::Verifier verifier(file.data(), file.size());
  if (!tflite::VerifyModelBuffer(verifier)) return Wrong{"it is no TensorFlow Lite model, or damaged"};
  const std::unique_ptr<tflite::ModelT> model = tflite::UnPackModel(file.data());
  if (model->subgraphs.empty()) return Wrong{"it has no graph"};
  Result<std::vector<int32_t>> from = Find(*model->subgraphs[0], inputs);
  Result<std::vector<int32_t>> to = Find(*model->subgraphs[0], outputs);
  if (!from.ok()) return Wrong{from.wrong()};
  if (!to.ok()) return Wrong{to.wrong()};
  std::string wrong = Cut(model.get(), from.value(), to.value());
  if (!wrong.empty()) return Wrong{wrong};
  flatbuffers::FlatBufferBuilder builder(file.size());
  tflite::FinishModelBuffer(builder, tflite::Model::Pack(builder, model.get()));

  auto part = std::make_unique<PlainPart>();
  part->file_.assign(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
  part->model_ = tflite::FlatBufferModel::BuildFromBuffer(reinterpret_cast<const char*>(part->file_.data()),
                                                          part->file_.size());
  const tflite::ops::builtin::BuiltinOpResolverWithoutDefaultDelegates resolver;
  if (part->model_ == nullptr ||
      tflite::InterpreterBuilder(*part->model_, resolver)(&part->interpreter_) != kTfLiteOk ||
      part->interpreter_->AllocateTensors() != kTfLiteOk) {
    return Wrong{"TensorFlow Lite cannot run it"};
  }
  return part;
}

std::string PlainPart::Run(const std::vector<Bytes>& inputs, std::vector<Bytes>* outputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(interpreter_->input_tensor(i)->data.raw, inputs[i].data(), inputs[i].size());
  }
  if (interpreter_->Invoke() != kTfLiteOk) return "TensorFlow Lite failed";
  for (size_t i = 0; i < interpreter_->outputs().size(); ++i) {
    const TfLiteTensor* tensor = interpreter_->output_tensor(i);
    const uint8_t* data = reinterpret_cast<const uint8_t*>(tensor->data.raw);
    outputs->emplace_back(data, data + tensor->bytes);
  }
  return "";
}

}  // namespace coral_device
