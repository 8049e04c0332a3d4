// The plain model between the tensors that the chip sees.

#include "models/plain.h"

#include <gtest/gtest.h>

#include "tensorflow/lite/schema/schema_generated.h"

namespace coral_device {
namespace {

// first -> ABS -> middle -> NEG -> last, two floats each; "other" + "last" is added to "sum".
Bytes MakeModel() {
  tflite::ModelT model;
  model.version = 3;
  model.buffers.push_back(std::make_unique<tflite::BufferT>());
  auto graph = std::make_unique<tflite::SubGraphT>();
  for (const char* name : {"first", "middle", "last", "other", "sum"}) {
    auto tensor = std::make_unique<tflite::TensorT>();
    tensor->name = name;
    tensor->shape = {2};
    tensor->type = tflite::TensorType_FLOAT32;
    graph->tensors.push_back(std::move(tensor));
  }
  const auto add = [&](tflite::BuiltinOperator kind, std::vector<int32_t> inputs, int32_t output) {
    auto code = std::make_unique<tflite::OperatorCodeT>();
    code->builtin_code = kind;
    code->deprecated_builtin_code = static_cast<int8_t>(kind);
    auto one = std::make_unique<tflite::OperatorT>();
    one->opcode_index = static_cast<uint32_t>(model.operator_codes.size());
    one->inputs = std::move(inputs);
    one->outputs = {output};
    model.operator_codes.push_back(std::move(code));
    graph->operators.push_back(std::move(one));
  };
  add(tflite::BuiltinOperator_ABS, {0}, 1);
  add(tflite::BuiltinOperator_NEG, {1}, 2);
  add(tflite::BuiltinOperator_ADD, {2, 3}, 4);
  graph->operators.back()->builtin_options.Set(tflite::AddOptionsT());
  graph->inputs = {0, 3};
  graph->outputs = {4};
  model.subgraphs.push_back(std::move(graph));
  flatbuffers::FlatBufferBuilder builder;
  tflite::FinishModelBuffer(builder, tflite::Model::Pack(builder, &model));
  return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
}

// A convolution, a depthwise one and a fully connected layer: 1x4x4x3 -> 1x4x4x8 -> 1x4x4x8 -> 5.
Bytes MakeNetwork() {
  tflite::ModelT model;
  model.version = 3;
  model.buffers.push_back(std::make_unique<tflite::BufferT>());
  auto graph = std::make_unique<tflite::SubGraphT>();
  const auto add = [&](const char* name, std::vector<int32_t> shape, size_t constants) {
    auto tensor = std::make_unique<tflite::TensorT>();
    tensor->name = name;
    tensor->shape = std::move(shape);
    tensor->type = tflite::TensorType_FLOAT32;
    if (constants > 0) {
      tensor->buffer = static_cast<uint32_t>(model.buffers.size());
      model.buffers.push_back(std::make_unique<tflite::BufferT>());
      model.buffers.back()->data.resize(constants * sizeof(float));
    }
    graph->tensors.push_back(std::move(tensor));
  };
  add("in", {1, 4, 4, 3}, 0);
  add("w1", {8, 3, 3, 3}, 216);
  add("b1", {8}, 8);
  add("a", {1, 4, 4, 8}, 0);
  add("w2", {1, 3, 3, 8}, 72);
  add("b2", {8}, 8);
  add("b", {1, 4, 4, 8}, 0);
  add("w3", {5, 128}, 640);
  add("b3", {5}, 5);
  add("out", {1, 5}, 0);
  const auto use = [&](tflite::BuiltinOperator kind, int32_t from, auto options) {
    auto code = std::make_unique<tflite::OperatorCodeT>();
    code->builtin_code = kind;
    code->deprecated_builtin_code = static_cast<int8_t>(kind);
    auto one = std::make_unique<tflite::OperatorT>();
    one->opcode_index = static_cast<uint32_t>(model.operator_codes.size());
    one->inputs = {from, from + 1, from + 2};
    one->outputs = {from + 3};
    one->builtin_options.Set(std::move(options));
    model.operator_codes.push_back(std::move(code));
    graph->operators.push_back(std::move(one));
  };
  tflite::Conv2DOptionsT strides;
  strides.stride_w = strides.stride_h = 1;
  tflite::DepthwiseConv2DOptionsT depthwise;
  depthwise.stride_w = depthwise.stride_h = depthwise.depth_multiplier = 1;
  use(tflite::BuiltinOperator_CONV_2D, 0, strides);
  use(tflite::BuiltinOperator_DEPTHWISE_CONV_2D, 3, depthwise);
  use(tflite::BuiltinOperator_FULLY_CONNECTED, 6, tflite::FullyConnectedOptionsT());
  graph->inputs = {0};
  graph->outputs = {9};
  model.subgraphs.push_back(std::move(graph));
  flatbuffers::FlatBufferBuilder builder;
  tflite::FinishModelBuffer(builder, tflite::Model::Pack(builder, &model));
  return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
}

Bytes Floats(std::vector<float> values) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  return Bytes(bytes, bytes + values.size() * sizeof(float));
}

TEST(PlainPart, RunsBetweenTensors) {
  auto part = PlainPart::Make(MakeModel(), {"middle"}, {"last"});
  ASSERT_TRUE(part.ok()) << part.wrong();
  std::vector<Bytes> outputs;
  EXPECT_EQ(part.value()->Run({Floats({-1, 2})}, &outputs), "");
  EXPECT_EQ(outputs, std::vector<Bytes>{Floats({1, -2})}) << "without the operation before";
}

TEST(PlainPart, GivesSeveralOutputs) {
  auto part = PlainPart::Make(MakeModel(), {"first"}, {"last", "middle"});
  ASSERT_TRUE(part.ok()) << part.wrong();
  std::vector<Bytes> outputs;
  EXPECT_EQ(part.value()->Run({Floats({-1, 2})}, &outputs), "");
  EXPECT_EQ(outputs, (std::vector<Bytes>{Floats({-1, -2}), Floats({1, 2})}));
}

TEST(PlainPart, RefusesAnotherModel) {
  EXPECT_EQ(PlainPart::Make(MakeModel(), {"first"}, {"end"}).wrong(), "it has no tensor end");
  EXPECT_EQ(PlainPart::Make(MakeModel(), {"first"}, {"sum"}).wrong(),
            "its tensor other is needed and is not among those that the compiled model sends");
  EXPECT_EQ(PlainPart::Make({1, 2, 3}, {"first"}, {"sum"}).wrong(),
            "it is no TensorFlow Lite model, or damaged");
}

TEST(PlainPart, CountsMultiplications) {
  auto whole = PlainPart::Make(MakeNetwork(), {"in"}, {"out"});
  ASSERT_TRUE(whole.ok()) << whole.wrong();
  EXPECT_EQ(whole.value()->Count().dense, 128u * 27 + 640u);
  EXPECT_EQ(whole.value()->Count().depthwise, 128u * 9);
  auto part = PlainPart::Make(MakeNetwork(), {"a"}, {"b"});
  ASSERT_TRUE(part.ok()) << part.wrong();
  EXPECT_EQ(part.value()->Count().dense, 0u);
  EXPECT_EQ(part.value()->Count().depthwise, 128u * 9);
  auto none = PlainPart::Make(MakeModel(), {"first"}, {"last"});
  EXPECT_EQ(none.value()->Count().dense + none.value()->Count().depthwise, 0u);
}

}  // namespace
}  // namespace coral_device
