// Checks of a model file beyond the flatbuffer's own: what would otherwise crash or exhaust the machine.
#ifndef CORAL_MODEL_CHECK_H_
#define CORAL_MODEL_CHECK_H_

#include <cstdint>
#include <string>

#include "cli.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace coral {

constexpr char kEdgeTpuOperation[] = "edgetpu-custom-op";
constexpr int64_t kMaxTensorBytes = int64_t{1} << 30;

// True when the Edge TPU compiler made this file.
inline bool NeedsEdgeTpu(const tflite::Model& model) {
  for (const auto* code : *model.operator_codes()) {
    if (code->custom_code() != nullptr && code->custom_code()->str() == kEdgeTpuOperation) return true;
  }
  return false;
}

// The number of elements, or -1 when the shape makes no sense or the product is too large.
inline int64_t CountElements(const flatbuffers::Vector<int32_t>* shape) {
  int64_t count = 1;
  if (shape == nullptr) return count;
  if (shape->size() > 8) return -1;
  for (const int32_t dimension : *shape) {
    if (dimension < 0 || (count *= dimension) > kMaxTensorBytes) return -1;
  }
  return count;
}

// Throws unless every index in `list` is below `limit`; -1 stands for an optional tensor where it may.
inline void CheckIndices(const std::string& path, const flatbuffers::Vector<int32_t>* list, uint32_t limit,
                         bool optional) {
  if (list == nullptr) return;
  for (const int32_t index : *list) {
    if (index == -1 && optional) continue;
    if (index < 0 || static_cast<uint32_t>(index) >= limit) {
      throw Failure(kBadInput, path + " is damaged: it refers to a tensor that is not there");
    }
  }
}

inline void CheckSubgraph(const std::string& path, const tflite::Model& model,
                          const tflite::SubGraph& graph) {
  const uint32_t tensors = graph.tensors() == nullptr ? 0 : graph.tensors()->size();
  int64_t total = 0;
  for (uint32_t i = 0; i < tensors; ++i) {
    const tflite::Tensor* tensor = graph.tensors()->Get(i);
    const int64_t count = CountElements(tensor->shape());
    if (count < 0 || (total += count) > kMaxTensorBytes) {
      throw Failure(kBadInput, path + " is damaged, or its tensors are too large for this program");
    }
    if (tensor->buffer() >= model.buffers()->size()) {
      throw Failure(kBadInput, path + " is damaged: a tensor refers to data that is not there");
    }
  }
  CheckIndices(path, graph.inputs(), tensors, false);
  CheckIndices(path, graph.outputs(), tensors, false);
  if (graph.operators() == nullptr) return;
  for (const tflite::Operator* operation : *graph.operators()) {
    if (operation->opcode_index() >= model.operator_codes()->size()) {
      throw Failure(kBadInput, path + " is damaged: it refers to an operation that is not there");
    }
    CheckIndices(path, operation->inputs(), tensors, true);
    CheckIndices(path, operation->outputs(), tensors, false);
    CheckIndices(path, operation->intermediates(), tensors, false);
  }
}

// Throws Failure(kBadInput) for a file that is a valid flatbuffer but no usable model.
inline void CheckModel(const std::string& path, const tflite::Model& model) {
  if (model.subgraphs() == nullptr || model.subgraphs()->size() == 0 || model.buffers() == nullptr ||
      model.operator_codes() == nullptr) {
    throw Failure(kBadInput, path + " is damaged: it holds no graph");
  }
  for (const tflite::SubGraph* graph : *model.subgraphs()) CheckSubgraph(path, model, *graph);
}

}  // namespace coral

#endif  // CORAL_MODEL_CHECK_H_
