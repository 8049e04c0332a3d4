// The device on the bus: firmware, registers, descriptors, plugging, and all that can go wrong.

#include <gtest/gtest.h>

#include "core/wire.h"

namespace coral_device {
namespace {

constexpr uint8_t kClassOut = 0x21, kClassIn = 0xA1;

Programs OneModel() { return {MakeExecution("one", 0, 0)}; }

Accelerator::Options DfuMode() { return {}; }

// Blocks of 256 bytes and an empty one, each with its status asked for. Returns the last state.
uint8_t Download(Bench* bench, const Bytes& firmware) {
  uint8_t state = 0;
  for (size_t begin = 0, block = 0, size = 1; size > 0; begin += size, ++block) {
    size = std::min<size_t>(256, firmware.size() - begin);
    const auto from = firmware.begin() + static_cast<std::ptrdiff_t>(begin);
    const Setup setup{kClassOut, 1, static_cast<uint16_t>(block), 0, static_cast<uint16_t>(size)};
    const auto answer = bench->device.Control(setup, Bytes(from, from + static_cast<std::ptrdiff_t>(size)));
    if (!answer || answer->status != Status::kOk) return 0xFF;
    state = bench->device.Control({kClassIn, 3, 0, 0, 6}, {})->data[4];
    if (state == 10) return state;
  }
  return state;
}

TEST(Firmware, MakesItAnotherDeviceAfterAReset) {
  Bench bench(OneModel(), DfuMode());
  EXPECT_EQ(IdentityOf(bench.device.appearance()).vendor, 0x1A6E);
  Bytes firmware(600);
  for (size_t i = 0; i < firmware.size(); ++i) firmware[i] = static_cast<uint8_t>(i * 7);
  EXPECT_EQ(Download(&bench, firmware), 2);
  const Bytes block = bench.device.Control({kClassIn, 2, 1, 0, 256}, {})->data;
  EXPECT_EQ(block, Bytes(firmware.begin() + 256, firmware.begin() + 512));
  EXPECT_EQ(bench.device.Control({kClassIn, 2, 2, 0, 256}, {})->data.size(), 88u);
  EXPECT_TRUE(bench.device.Reset());
  EXPECT_EQ(IdentityOf(bench.device.appearance()).vendor, 0x18D1);
  EXPECT_EQ(IdentityOf(bench.device.appearance()).product, 0x9302);
  EXPECT_FALSE(bench.device.Reset()) << "with firmware it stays what it is";
}

TEST(Firmware, IsLostWithoutAnEndAndWithPower) {
  Bench bench(OneModel(), DfuMode());
  bench.device.Control({kClassOut, 1, 0, 0, 3}, {1, 2, 3});
  EXPECT_FALSE(bench.device.Reset());
  EXPECT_EQ(bench.device.Control({kClassOut, 1, 0, 0, 0}, {})->status, Status::kStall)
      << "an end without a beginning";
  Download(&bench, Bytes(10));
  bench.device.Reset();
  bench.device.Unplug();
  bench.device.Plug();
  EXPECT_EQ(bench.device.appearance().mode, Mode::kDfu);
}

TEST(Firmware, IsLeftAfterDetaching) {
  Bench bench(OneModel());
  EXPECT_EQ(bench.device.Control({kClassOut, 0, 100, 0, 0}, {})->status, Status::kOk);
  EXPECT_TRUE(bench.device.Reset());
  EXPECT_EQ(bench.device.appearance().mode, Mode::kDfu);
  EXPECT_FALSE(bench.device.Reset()) << "without firmware it stays there";
}

TEST(Registers, KeepWhatIsWritten) {
  Bench bench(OneModel());
  EXPECT_EQ(bench.ReadRegister(0x1A30C)->data, (Bytes{0, 0, 0, 0}));
  bench.WriteRegister(0x1A30C, 0x01020304);
  EXPECT_EQ(bench.ReadRegister(0x1A30C)->data, (Bytes{4, 3, 2, 1}));
}

TEST(Registers, ShowWhetherTheCoresSleep) {
  Bench bench(OneModel());
  bench.WriteRegister(0x44018, 1);
  bench.WriteRegister(0x1A318, 0x50C00000);
  EXPECT_EQ(bench.ReadRegister(0x1A318)->data, (Bytes{0, 2, 0xC0, 0x50}));
  EXPECT_EQ(bench.ReadRegister(0x44018)->data, (Bytes{0, 0, 0, 0})) << "the cores lose theirs";
  bench.WriteRegister(0x1A318, 0x50800200);
  EXPECT_EQ(bench.ReadRegister(0x1A318)->data, (Bytes{0, 0, 0x80, 0x50}));
}

TEST(Registers, AreNotThereWithoutFirmware) {
  Bench bench(OneModel(), DfuMode());
  EXPECT_EQ(bench.ReadRegister(0)->status, Status::kStall);
}

TEST(Descriptors, SayTheirOwnLengths) {
  for (const Speed speed : {Speed::kFull, Speed::kHigh, Speed::kSuper}) {
    for (const Mode mode : {Mode::kDfu, Mode::kApp}) {
      const Bytes whole = DescriptorOf({mode, speed, false}, 2);
      ASSERT_EQ(whole.size(), whole[2] | whole[3] << 8);
      size_t at = 0, endpoints = 0;
      while (at < whole.size()) {
        endpoints += whole[at + 1] == 5 ? 1 : 0;
        at += whole[at];
      }
      EXPECT_EQ(at, whole.size());
      EXPECT_EQ(endpoints, whole[9 + 4]);
      EXPECT_EQ(endpoints, mode == Mode::kDfu ? 0u : 4u);
      const Bytes device = DescriptorOf({mode, speed, false}, 1);
      EXPECT_EQ(device.size(), 18u);
      EXPECT_EQ(device[7], speed == Speed::kSuper ? 9 : 64);
    }
  }
  const Bytes store = DescriptorOf({Mode::kApp, Speed::kSuper, false}, 15);
  EXPECT_EQ(store.size(), store[2]);
}

TEST(Descriptors, AreCutToWhatIsAskedFor) {
  Bench bench(OneModel());
  EXPECT_EQ(bench.device.Control({0x80, 6, 0x0100, 0, 8}, {})->data.size(), 8u);
  EXPECT_EQ(bench.device.Control({0x80, 6, 0x0302, 0x0409, 255}, {})->status, Status::kStall);
}

TEST(Descriptors, NameTheProductEmulated) {
  for (const Mode mode : {Mode::kDfu, Mode::kApp}) {
    const uint8_t index = DescriptorOf({mode, Speed::kSuper, false}, 1)[15];
    const Bytes text = DescriptorOf({mode, Speed::kSuper, false}, 3, index);
    ASSERT_EQ(text.size(), text[0]);
    std::string name;
    for (size_t i = 2; i < text.size(); i += 2) name += static_cast<char>(text[i]);
    EXPECT_EQ(name, "EMULATED Edge TPU (coral-device)");
  }
}

TEST(Transfers, EndWhenTheyAreCancelled) {
  Bench bench(OneModel());
  const uint64_t first = bench.Read(kOutputEndpoint), second = bench.Read(kOutputEndpoint);
  bench.device.Cancel(second);
  bench.device.Cancel(12345);  // there is none such
  bench.Collect();
  EXPECT_FALSE(bench.Done(first));
  EXPECT_EQ(bench.completed[second].status, Status::kCancelled);
}

TEST(Transfers, EndWhenItIsUnplugged) {
  Bench bench(OneModel());
  const uint64_t read = bench.Read(kEventEndpoint);
  bench.device.Unplug();
  bench.Collect();
  EXPECT_EQ(bench.completed[read].status, Status::kNoDevice);
  EXPECT_FALSE(bench.device.present());
  EXPECT_EQ(bench.Write(kOutEndpoint, {1}), Status::kNoDevice);
  EXPECT_EQ(bench.ReadRegister(0)->status, Status::kNoDevice);
  bench.device.Plug();
  EXPECT_TRUE(bench.device.present());
}

// An inference with a fault: how its parts end.
struct Seen {
  Status out;
  bool output, event, present;
  Status read;
};

Seen Infer(const std::string& fault) {
  Bench bench(OneModel(), Bench::WithFault(fault));
  const uint64_t output = bench.Read(kOutputEndpoint), event = bench.Read(kEventEndpoint, 16);
  Status out = bench.Send(Tag::kInstructions, {20, 21, 22});
  if (out == Status::kOk) out = bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Work();
  return {out, !bench.Data(output).empty(), !bench.Data(event).empty(), bench.device.present(),
          bench.Done(output) ? bench.completed[output].status : Status::kTimedOut};
}

TEST(Faults, HappenInAnInference) {
  EXPECT_EQ(Infer("out-stall").out, Status::kStall);
  EXPECT_EQ(Infer("out-silent").out, Status::kTimedOut);
  EXPECT_FALSE(Infer("input-unplug").present);
  EXPECT_FALSE(Infer("output-unplug").present);
  EXPECT_EQ(Infer("output-unplug").read, Status::kNoDevice);
  EXPECT_FALSE(Infer("hang").output || Infer("hang").event);
  EXPECT_TRUE(Infer("no-output").event && !Infer("no-output").output);
  EXPECT_TRUE(Infer("no-event").output && !Infer("no-event").event);
  EXPECT_EQ(Infer("stall-output").read, Status::kStall);
  const Seen idle = Infer("idle-unplug");
  EXPECT_TRUE(idle.output && idle.event && !idle.present);
}

TEST(Faults, HappenInTheInferenceThatIsNamed) {
  EXPECT_TRUE(Infer("no-event=1").output && !Infer("no-event=1").event);
  EXPECT_TRUE(Infer("no-event=2").event);
}

TEST(Faults, ChangeOutputsForThoseWhoCompare) {
  for (const auto& [fault, first] :
       {std::pair<std::string, uint8_t>{"wrong-output", 3}, {"plain-layout", 2}}) {
    Programs programs = OneModel();
    Bench bench(programs, Bench::WithFault(fault));
    const uint64_t output = bench.Read(kOutputEndpoint);
    bench.Send(Tag::kInstructions, {20, 21, 22});
    bench.Send(Tag::kInput, {1, 2, 3, 4});
    bench.Work();
    EXPECT_EQ(bench.Data(output)[0], first);
  }
}

TEST(Faults, RaiseTheFatalInterrupt) {
  Bench bench(OneModel(), Bench::WithFault("fatal"));
  const uint64_t interrupt = bench.Read(kInterruptEndpoint, 4);
  bench.Read(kOutputEndpoint);
  bench.Send(Tag::kInstructions, {20, 21, 22});
  bench.Send(Tag::kInput, {1, 2, 3, 4});
  bench.Work();
  EXPECT_EQ(bench.Data(interrupt), (Bytes{1, 0, 0, 0}));
  EXPECT_EQ(bench.ReadRegister(0x486F0)->data[0], 1);
}

TEST(Faults, HappenWhileFirmwareIsLoaded) {
  const auto download = [](const std::string& fault) {
    Bench bench(OneModel(), Bench::WithFault(fault, Mode::kDfu));
    const uint8_t state = Download(&bench, Bytes(600));
    return std::make_pair(state, bench.device.present());
  };
  EXPECT_EQ(download("dfu-refuse=1").first, 10);
  EXPECT_EQ(download("dfu-stall=0").first, 0xFF);
  EXPECT_EQ(download("dfu-silent=2").first, 0xFF);
  EXPECT_FALSE(download("dfu-unplug=1").second);
  EXPECT_EQ(download("dfu-refuse=77").first, 2);
  Bench bench(OneModel(), Bench::WithFault("dfu-corrupt", Mode::kDfu));
  Download(&bench, Bytes(200));
  EXPECT_NE(bench.device.Control({kClassIn, 2, 0, 0, 256}, {})->data, Bytes(200));
}

TEST(Faults, HappenAtRegisters) {
  Bench silent(OneModel(), Bench::WithFault("register-silent=0x1a30c"));
  EXPECT_FALSE(silent.ReadRegister(0x1A30C));
  EXPECT_TRUE(silent.ReadRegister(0x1A314));
  Bench stalled(OneModel(), Bench::WithFault("register-stall"));
  EXPECT_EQ(stalled.ReadRegister(0x1A314)->status, Status::kStall);
}

TEST(Faults, HappenAroundTheBus) {
  Bench wrong(OneModel(), Bench::WithFault("wrong-id"));
  EXPECT_EQ(IdentityOf(wrong.device.appearance()).product, 0x9303);
  Bench lost(OneModel(), Bench::WithFault("lost-after-reset", Mode::kDfu));
  Download(&lost, Bytes(10));
  lost.device.Reset();
  EXPECT_FALSE(lost.device.present());
}

TEST(Faults, AreReadFromWords) {
  Faults faults;
  EXPECT_EQ(faults.Add("hang=0x2"), "");
  EXPECT_TRUE(faults.Has(Fault::kHang, 2));
  EXPECT_FALSE(faults.Has(Fault::kHang, 1));
  EXPECT_EQ(faults.Add("no-event"), "");
  EXPECT_TRUE(faults.Has(Fault::kNoEvent, 9));
  EXPECT_EQ(faults.Add("fire"), "there is no fault fire");
  EXPECT_EQ(faults.Add("hang=soon"), "no number: hang=soon");
  EXPECT_EQ(faults.Add("hang=-1"), "no number: hang=-1");
  EXPECT_EQ(faults.Add("access=1"), "the fault access takes no number");
}

}  // namespace
}  // namespace coral_device
