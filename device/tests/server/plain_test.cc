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

}  // namespace
}  // namespace coral_device
