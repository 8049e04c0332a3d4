// What goes in over the bulk endpoints, and what comes out.

#include <gtest/gtest.h>

#include "core/wire.h"

namespace coral_device {
namespace {

Programs OneModel() { return {MakeCaching("one", 0, 7, {1, 2}), MakeExecution("one", 0, 7)}; }

void Load(Bench* bench, const Bytes& parameters = {1, 2}) {
  const uint64_t event = bench->Read(kEventEndpoint, 16);
  ASSERT_EQ(bench->Send(Tag::kInstructions, {10, 11, 99}), Status::kOk);
  ASSERT_EQ(bench->Send(Tag::kParameters, parameters), Status::kOk);
  ASSERT_EQ(bench->Data(event), Event());
}

TEST(Inference, GivesOutputAndThenAnEvent) {
  Bench bench(OneModel());
  Load(&bench);
  const uint64_t output = bench.Read(kOutputEndpoint), event = bench.Read(kEventEndpoint, 16);
  EXPECT_EQ(bench.Send(Tag::kInstructions, {20, 21, 22}), Status::kOk);
  EXPECT_EQ(bench.Send(Tag::kInput, {1, 2, 3, 4}), Status::kOk);
  EXPECT_FALSE(bench.Done(output)) << "nothing comes before it is computed";
  bench.Work();
  EXPECT_EQ(bench.Data(output), (Bytes{2, 3, 4, 5, 0xEE, 0xEE, 0xEE, 0xEE}));
  EXPECT_EQ(bench.Data(event), Event());
}

TEST(Inference, ComesInPiecesAndGoesOutInPieces) {
  Bench bench(OneModel());
  Load(&bench);
  const uint64_t first = bench.Read(kOutputEndpoint, 6), second = bench.Read(kOutputEndpoint, 6);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  EXPECT_EQ(bench.Write(kOutEndpoint, {4, 0, 0, 0, 1, 0, 0, 0}), Status::kOk);
  EXPECT_EQ(bench.Write(kOutEndpoint, {1, 2}), Status::kOk);
  EXPECT_EQ(bench.Write(kOutEndpoint, {3, 4}), Status::kOk);
  bench.Work();
  EXPECT_EQ(bench.Data(first).size(), 6u);
  EXPECT_EQ(bench.Data(second), (Bytes{0xEE, 0xEE}));
}

TEST(Inference, ReadsPostedLaterGetWhatWaits) {
  Bench bench(OneModel());
  Load(&bench);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Work();
  const uint64_t output = bench.Read(kOutputEndpoint);
  bench.Collect();
  EXPECT_EQ(bench.Data(output).size(), 8u);
}

TEST(Inference, NeedsItsParameters) {
  Bench bench(OneModel());
  bench.Send(Tag::kInstructions, {20, 21, 22});
  EXPECT_EQ(bench.Send(Tag::kInput, {1, 2, 3, 4}), Status::kStall);
  ASSERT_EQ(bench.heard.errors.size(), 1u);
  EXPECT_NE(bench.heard.errors[0].find("parameters of one are not in the chip's memory"), std::string::npos);
}

TEST(Inference, LosesItsParametersInSleep) {
  Bench bench(OneModel());
  Load(&bench);
  bench.WriteRegister(0x1A318, 3 << 22);
  bench.WriteRegister(0x1A318, 0);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  EXPECT_EQ(bench.Send(Tag::kInput, {1, 2, 3, 4}), Status::kStall);
}

TEST(Inference, SharesTheMemoryUnderOneToken) {
  auto second = MakeExecution("two", 1, 7);
  second->chunks = {MakeChunk({30, 31, 32})};
  auto second_loading = MakeCaching("two", 1, 7, {3, 4});
  second_loading->chunks[0].code[0] = 12;
  Bench bench({MakeCaching("one", 0, 7, {1, 2}), MakeExecution("one", 0, 7), second_loading, second});
  Load(&bench);
  bench.Send(Tag::kInstructions, {12, 11, 0});
  bench.Send(Tag::kParameters, {3, 4});
  for (const Bytes& instructions : {Bytes{20, 21, 22}, Bytes{30, 31, 32}}) {
    bench.Send(Tag::kInstructions, instructions);
    EXPECT_EQ(bench.Send(Tag::kInput, {1, 2, 3, 4}), Status::kOk);
    bench.Work();
  }
  EXPECT_TRUE(bench.heard.errors.empty());
}

TEST(Inference, AnotherTokenTakesTheMemory) {
  auto second = MakeCaching("two", 1, 8, {3, 4});
  second->chunks[0].code[0] = 12;
  Bench bench({MakeCaching("one", 0, 7, {1, 2}), MakeExecution("one", 0, 7), second});
  Load(&bench);
  bench.Send(Tag::kInstructions, {12, 11, 0});
  bench.Send(Tag::kParameters, {3, 4});
  bench.Send(Tag::kInstructions, {20, 21, 22});
  EXPECT_EQ(bench.Send(Tag::kInput, {1, 2, 3, 4}), Status::kStall);
}

TEST(Inference, TellsModelsApartByTheirParameters) {
  Programs programs = OneModel();
  programs.push_back(MakeCaching("two", 1, 8, {3, 4}));
  programs.push_back(MakeExecution("two", 1, 8));
  Bench bench(programs);
  Load(&bench, {3, 4});
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  std::string ran;
  bench.Work([&](const Program& program, const Tensors& inputs, Tensors* outputs) {
    ran = program.model;
    return AddOne(program, inputs, outputs);
  });
  EXPECT_EQ(ran, "two");
}

TEST(Inference, RefusesWhatItDoesNotKnow) {
  for (const auto& [instructions, parameters, said] :
       {std::tuple<Bytes, Bytes, std::string>{{1, 2, 3}, {}, "belong to none of the models"},
        {{10, 12, 0}, {}, "belong to none of the models"},
        {{10, 11, 0}, {1, 3}, "parameters differ from those of one"}}) {
    Bench bench(OneModel());
    Status status = bench.Send(Tag::kInstructions, instructions);
    if (!parameters.empty()) status = bench.Send(Tag::kParameters, parameters);
    EXPECT_EQ(status, Status::kStall);
    ASSERT_EQ(bench.heard.errors.size(), 1u);
    EXPECT_NE(bench.heard.errors[0].find(said), std::string::npos) << bench.heard.errors[0];
  }
}

TEST(Inference, SaysWhatCannotBeComputed) {
  Bench bench(OneModel());
  Load(&bench);
  const uint64_t output = bench.Read(kOutputEndpoint);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Work([](const Program&, const Tensors&, Tensors*) { return std::string("no plain model"); });
  EXPECT_EQ(bench.completed[output].status, Status::kStall);
  EXPECT_EQ(bench.heard.errors, std::vector<std::string>{"no plain model"});
}

TEST(Inference, RunsBatchesOneAfterTheOther) {
  auto program = MakeExecution("one", 0, 0);
  program->batch_size = 2;
  program->steps = {{StepKind::kInstructions, 0, 0, 0, 0}, {StepKind::kInput, 0, 0, 0, 4},
                    {StepKind::kInput, 0, 1, 0, 4},        {StepKind::kOutput, 0, 0, 0, 8},
                    {StepKind::kOutput, 0, 1, 0, 4},       {StepKind::kInterrupt, 0, 0, 0, 0}};
  Bench bench({program});
  const uint64_t first = bench.Read(kOutputEndpoint), second = bench.Read(kOutputEndpoint);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Send(Tag::kInput, {5, 6, 7, 8});
  bench.Work();
  EXPECT_EQ(bench.Data(first), (Bytes{2, 3, 4, 5, 0xEE, 0xEE, 0xEE, 0xEE}));
  EXPECT_EQ(bench.Data(second), (Bytes{6, 7, 8, 9}));
}

TEST(Inference, KeepsWhatTheChipPutsAside) {
  auto program = MakeExecution("one", 0, 0);
  program->steps.insert(program->steps.begin() + 1, {StepKind::kScratchOut, 0, 0, 0, 3});
  program->steps.insert(program->steps.begin() + 2, {StepKind::kScratchIn, 0, 0, 0, 3});
  Bench bench({program});
  const uint64_t scratch = bench.Read(kOutputEndpoint), output = bench.Read(kOutputEndpoint);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  EXPECT_EQ(bench.Data(scratch).size(), 3u);
  bench.Send(Tag::kInput, {0, 0, 0});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Work();
  EXPECT_EQ(bench.Data(output)[0], 2);
}

TEST(Inference, TakesSeveralEndpointsWithoutHeaders) {
  Bench bench(OneModel());
  bench.WriteRegister(0x4C160, 1);
  const uint64_t loaded = bench.Read(kEventEndpoint, 16), output = bench.Read(kOutputEndpoint);
  bench.Write(0x01, {10, 11, 0});
  bench.Write(0x03, {1, 2});
  EXPECT_EQ(bench.Data(loaded), Event());
  bench.Write(0x01, {20, 21});  // an end is not told: it waits for more
  bench.Write(0x01, {22});
  bench.Write(0x02, {1, 2, 3, 4});
  bench.Work();
  EXPECT_EQ(bench.Data(output)[3], 5);
}

TEST(Inference, RefusesFramesThatMakeNoSense) {
  for (const Bytes& frame : {Bytes{1, 2, 3}, Bytes{4, 0, 0, 0, 9, 0, 0, 0}}) {
    Bench bench(OneModel());
    EXPECT_EQ(bench.Write(kOutEndpoint, frame), Status::kStall);
    EXPECT_EQ(bench.heard.errors.size(), 1u);
  }
  Bench bench(OneModel());
  bench.Write(kOutEndpoint, {2, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(bench.Write(kOutEndpoint, {10, 11, 0}), Status::kStall);
}

TEST(Inference, RefusesADriverThatWantsDescriptions) {
  Bench bench(OneModel());
  bench.WriteRegister(0x4C148, 0xFF);
  EXPECT_EQ(bench.Send(Tag::kInstructions, {20, 21, 22}), Status::kStall);
  Bench usual(OneModel());
  usual.WriteRegister(0x4C148, 0xF0);
  EXPECT_EQ(usual.Send(Tag::kInstructions, {20, 21, 22}), Status::kOk);
}

TEST(Inference, ForgetsWhatIsComputedWhenItIsReset) {
  Bench bench(OneModel());
  Load(&bench);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  const std::optional<Job> job = bench.device.TakeJob();
  ASSERT_TRUE(job);
  bench.device.Reset();
  bench.device.Finish(job->number, {{{9, 9, 9, 9}}});
  const uint64_t output = bench.Read(kOutputEndpoint);
  bench.Collect();
  EXPECT_FALSE(bench.Done(output));
}

TEST(Inference, CountsWhatItTakes) {
  Bench bench(OneModel());
  Load(&bench);
  bench.Read(kOutputEndpoint);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Work();
  const std::string json = bench.device.stats().Json();
  EXPECT_NE(
      json.find("\"bytes_per_run\": {\"instructions\": 3, \"parameters\": 2, \"inputs\": 0, \"outputs\": 0, "
                "\"events\": 16, \"headers\": 16}"),
      std::string::npos)
      << json;
  EXPECT_NE(
      json.find("\"bytes_per_run\": {\"instructions\": 3, \"parameters\": 0, \"inputs\": 4, \"outputs\": 8, "
                "\"events\": 16, \"headers\": 16}"),
      std::string::npos)
      << json;
}

TEST(Stats, ExpectMoreTimeForMoreWork) {
  Traffic traffic;
  traffic.inputs = 430'000;
  EXPECT_DOUBLE_EQ(TransferMilliseconds(traffic, true), 1);
  const double idle = InferenceMilliseconds(traffic, {}, true);
  EXPECT_GT(idle, 1);
  EXPECT_GT(InferenceMilliseconds(traffic, {4'000'000'000, 0}, true), idle + 1);
  const double busy = InferenceMilliseconds(traffic, {0, 400'000'000}, true);
  EXPECT_GT(busy, idle + 10) << "depthwise ones take longer";
  traffic.parameters = 430'000;
  EXPECT_DOUBLE_EQ(InferenceMilliseconds(traffic, {}, true), idle + 1);
  EXPECT_DOUBLE_EQ(InferenceMilliseconds(traffic, {0, 400'000'000}, true), busy) << "it computes meanwhile";
  EXPECT_GT(InferenceMilliseconds(traffic, {}, false), idle + 1);
}

TEST(Layer, GoesBetweenTensorAndWire) {
  Layer layer = MakeLayer("out", 3, 5);
  layer.places = {4, 0, 2};
  EXPECT_EQ(ToWire(layer, {1, 2, 3}, false), (Bytes{2, 0xEE, 3, 0xEE, 1}));
  EXPECT_EQ(ToWire(layer, {1, 2, 3}, true), (Bytes{1, 2, 3, 0xEE, 0xEE}));
  layer.flip_sign = true;
  EXPECT_EQ(ToWire(layer, {1, 0x82, 3}, false), (Bytes{2, 0xEE, 0x83, 0xEE, 0x81}));
}

TEST(Layer, FlipsTheHighestBitOfWideElements) {
  Layer layer = {"in", 8, 2, 2, true, {}};
  const Bytes wire = {1, 0x80, 2, 0x7F, 0, 0, 0, 0};
  EXPECT_EQ(ToTensor(layer, wire.data()), (Bytes{1, 0x00, 2, 0xFF}));
}

}  // namespace
}  // namespace coral_device
