// Compiled models as the device reads them.

#include "models/package.h"

#include <gtest/gtest.h>

#include "server/package_maker.h"

namespace coral_device {
namespace {

Result<DraftPrograms> Read(const Bytes& options) {
  return ReadPackage("model", 3, options.data(), options.size());
}

Result<DraftPrograms> Read(const Draft& draft) { return Read(MakeOptions({draft})); }

TEST(Package, IsRead) {
  Draft caching;
  caching.kind = package::Kind::PARAMETER_CACHING;
  Result<DraftPrograms> read = Read(MakeOptions({caching, Draft()}));
  ASSERT_TRUE(read.ok()) << read.wrong();
  ASSERT_EQ(read.value().size(), 2u);
  EXPECT_EQ(read.value()[0]->kind, ProgramKind::kParameterCaching);
  const Program& program = *read.value()[1];
  EXPECT_EQ(program.model, "model");
  EXPECT_EQ(program.package, 3u);
  EXPECT_EQ(program.caching_token, 5u);
  EXPECT_EQ(program.parameters, (Bytes{7, 8, 9}));
  ASSERT_EQ(program.steps.size(), 5u);
  EXPECT_EQ(program.steps[1].kind, StepKind::kInput);
  EXPECT_EQ(program.steps[3].kind, StepKind::kOutput);
  EXPECT_EQ(program.steps[3].size, 8u);
}

TEST(Package, SaysWhatTheDriverMayChange) {
  Result<DraftPrograms> read = Read(Draft());
  ASSERT_TRUE(read.ok()) << read.wrong();
  const Chunk& chunk = read.value()[0]->chunks[0];
  const Bytes changed = {1, 2, 99, 99, 99, 99, 7, 8, 9}, other = {1, 99, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_TRUE(chunk.Matches(changed.data()));
  EXPECT_FALSE(chunk.Matches(other.data()));
  Draft odd;
  odd.field_bit = 20;  // not at the beginning of a byte: it reaches into a fifth one
  read = Read(odd);
  const Bytes fifth = {1, 2, 99, 99, 99, 99, 99, 8, 9};
  EXPECT_TRUE(read.value()[0]->chunks[0].Matches(fifth.data()));
}

TEST(Package, SaysWhereOutputsLie) {
  Result<DraftPrograms> tiles = Read(Draft());
  ASSERT_TRUE(tiles.ok()) << tiles.wrong();
  EXPECT_EQ(tiles.value()[0]->outputs[0].places, (std::vector<uint32_t>{0, 1, 4, 5}));
  EXPECT_TRUE(tiles.value()[0]->outputs[0].flip_sign);
  Draft sliced;
  sliced.slices = true;
  Result<DraftPrograms> slices = Read(sliced);
  ASSERT_TRUE(slices.ok()) << slices.wrong();
  EXPECT_EQ(slices.value()[0]->outputs[0].places, (std::vector<uint32_t>{4, 5, 0, 1}));
}

TEST(Package, IsRefusedWhereItMakesNoSense) {
  const auto wrong = [](const std::function<void(Draft*)>& change) {
    Draft draft;
    change(&draft);
    Result<DraftPrograms> read = Read(draft);
    return read.ok() ? std::string("nothing") : read.wrong();
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->executions = 2; }), "several times in one inference");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->input_of_hint = "other"; }), "unknown layer other");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->input_size_of_hint = 5; }), "beyond the layer in");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->chunk_of_hint = 1; }), "instructions that are not there");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->parameters = {1}; }), "beyond the parameters");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->output_bytes = 5; }), "outside of its buffer");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->batch_size = 0; }), "batch size");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->deterministic = false; }), "as with recurrent models");
  EXPECT_PRED2(has, wrong([](Draft* draft) { draft->z = 5; }), "larger than its buffer");
}

TEST(Package, IsRefusedWhereItIsDamaged) {
  const Bytes options = MakeOptions({Draft()});
  for (size_t cut = 0; cut < options.size(); cut += 3) {
    Result<DraftPrograms> read = ReadPackage("model", 0, options.data(), cut);
    EXPECT_FALSE(read.ok()) << cut;
  }
  // Each byte by itself: refused, or read as something else, but nothing is touched that is not there.
  for (size_t i = 0; i < options.size(); ++i) {
    Bytes changed = options;
    changed[i] ^= 0xFF;
    Read(changed);
  }
}

}  // namespace
}  // namespace coral_device
