// The reader of payloads: whole ones are taken, and no damage goes unseen.
#include "payload.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "payload_maker.h"
#include "program.h"

namespace coralforge {
namespace {

// Reads from memory of exactly that size, so that AddressSanitizer sees a byte too many.
std::string Read(const std::string& payload, SubModel* found) {
  const std::unique_ptr<char[]> exact(new char[payload.size()]);
  std::memcpy(exact.get(), payload.data(), payload.size());
  const std::string error = ReadPayload(exact.get(), payload.size(), found);
  if (error.empty()) {
    EXPECT_GE(found->data, exact.get());
    EXPECT_LE(found->data + found->size, exact.get() + payload.size());
  }
  return error;
}

std::string Error(const std::string& payload) {
  SubModel found;
  return Read(payload, &found);
}

std::string ErrorOf(const PayloadParts& parts) { return Error(MakePayload(parts)); }

testing::AssertionResult Says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << text << "' does not say '" << part << "'";
}

TEST(Crc32, IsTheUsualOne) { EXPECT_EQ(Crc32("123456789"), 0xCBF43926u); }

TEST(ReadPayload, FindsTheSubModel) {
  const std::string payload = MakePayload();
  SubModel found;
  ASSERT_EQ(ReadPayload(payload.data(), payload.size(), &found), "");
  EXPECT_EQ(std::string(found.data, found.size), PayloadParts().model);
  EXPECT_EQ(found.data, payload.data() + 48);
}

TEST(ReadPayload, NeedsNoTrailerAndNoNote) {
  PayloadParts parts;
  parts.trailer = parts.note = "";
  EXPECT_EQ(ErrorOf(parts), "");
}

TEST(ReadPayload, TakesAHeaderUpToItsLimit) {
  PayloadParts parts;
  parts.note = std::string(4096 - 32, 'n');
  EXPECT_EQ(ErrorOf(parts), "");
  parts.note += 'n';
  EXPECT_TRUE(Says(ErrorOf(parts), "its header makes no sense"));
}

TEST(ReadPayload, SeesEachByteThatChanged) {
  const std::string whole = MakePayload();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 1 << bit);
      EXPECT_NE(Error(damaged), "") << "bit " << bit << " of byte " << at;
    }
  }
}

TEST(ReadPayload, SeesEachCut) {
  const std::string whole = MakePayload();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(Error(whole.substr(0, size)), "") << size;
    EXPECT_NE(Error(whole.substr(whole.size() - size)), "") << size;
  }
  EXPECT_NE(Error(whole + '\0'), "");
}

TEST(ReadPayload, WantsBytes) {
  SubModel found;
  EXPECT_TRUE(Says(ReadPayload(nullptr, 0, &found), "it is cut off"));
  EXPECT_TRUE(Says(ReadPayload(nullptr, 100, &found), "it is cut off"));
}

TEST(ReadPayload, KnowsWhoseItIs) {
  PayloadParts parts;
  parts.magic = std::string("CFSIM2\0\0", 8);
  EXPECT_TRUE(Says(ErrorOf(parts), "another version of the SIMULATED libedgetpu"));
  parts.magic = "whatever";
  EXPECT_TRUE(Says(ErrorOf(parts), "no program that the SIMULATED libedgetpu knows"));
  parts.trailer = "....DWN1....";
  EXPECT_TRUE(Says(ErrorOf(parts), "compiled for Edge TPU hardware"));
}

// Checksums fit in what follows: it is what somebody else's compiler may write.
TEST(ReadPayload, WantsAHeaderThatMakesSense) {
  for (int64_t header : std::vector<int64_t>{0, 16, 31, 33, 40, 4112, 0x7FFFFFF0, 0xFFFFFFF0}) {
    PayloadParts parts;
    parts.header = header;
    EXPECT_TRUE(Says(ErrorOf(parts), "its header makes no sense")) << header;
  }
  for (int64_t note : std::vector<int64_t>{17, 4096, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFE0}) {
    PayloadParts parts;
    parts.note_length = note;
    EXPECT_TRUE(Says(ErrorOf(parts), "its header makes no sense")) << note;
  }
}

TEST(ReadPayload, AddsUpLengthsWithoutOverflow) {
  const auto model = static_cast<int64_t>(PayloadParts().model.size());
  const auto trailer = static_cast<int64_t>(PayloadParts().trailer.size());
  for (int64_t length : std::vector<int64_t>{0, 7, model - 1, model + 1, int64_t{1} << 32, INT64_MAX}) {
    PayloadParts parts;
    parts.length = length;
    EXPECT_TRUE(Says(ErrorOf(parts), "which is not what its header says")) << length;
  }
  for (int64_t length : std::vector<int64_t>{0, trailer - 1, trailer + 1, 0xFFFFFFFF}) {
    PayloadParts parts;
    parts.trailer_length = length;
    EXPECT_TRUE(Says(ErrorOf(parts), "which is not what its header says")) << length;
  }
  // Both are wrong, and their sum is right but for 2^64.
  PayloadParts parts;
  std::string payload = MakePayload(parts);
  payload.replace(16, 8, LittleEndian(static_cast<uint64_t>(-1), 8));
  payload.replace(24, 4, LittleEndian(model + trailer + 1, 4));
  EXPECT_TRUE(Says(Error(WithChecksum(payload)), "which is not what its header says"));
}

TEST(ReadPayload, WantsATensorFlowLiteModel) {
  PayloadParts parts;
  parts.model = std::string("\x10\0\0\0TFL2", 8);
  EXPECT_TRUE(Says(ErrorOf(parts), "it holds no TensorFlow Lite model"));
}

TEST(ReadPayload, NeedsNoAlignment) {
  const std::string payload = MakePayload();
  for (size_t offset = 0; offset < 16; ++offset) {
    const std::string moved = std::string(offset, ' ') + payload;
    SubModel found;
    EXPECT_EQ(ReadPayload(moved.data() + offset, payload.size(), &found), "") << offset;
  }
}

TEST(Program, SaysWhatIsWrongWhenItIsPrepared) {
  const std::string payload = MakePayload();  // its model is none
  Program program(payload.data(), payload.size());
  EXPECT_FALSE(program.HasState());
  EXPECT_TRUE(Says(program.Prepare(nullptr, {}), "The program for the SIMULATED Edge TPU is damaged"));
  EXPECT_TRUE(Says(program.Run(nullptr), "was never prepared"));
  EXPECT_NE(program.Reset(), "");
}

}  // namespace
}  // namespace coralforge
