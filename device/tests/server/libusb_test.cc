// Programs with the stand-in for libusb, as the server meets them: each in a connection of its own.

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>

#include "server/far_side.h"
#include "server/libusb_front.h"

namespace coral_device {
namespace {

struct Got {
  AnswerHead head;
  Bytes data;
};

class Bed {
 public:
  explicit Bed(std::vector<Accelerator::Options> devices)
      : programs{MakeExecution("one", 0, 0)}, bus(std::move(devices), &programs, AddOne, &heard) {
    loop.Add(std::make_unique<Computed>(&bus));
    loop.Add(std::make_unique<LibusbFront>(Listen(folder.At("s")), &bus, &loop,
                                           [](const std::string& command) { return "told " + command; }));
  }

  Folder folder;
  Heard heard;
  Programs programs;
  Bus bus;
  Loop loop;
};

class Client {
 public:
  explicit Client(Bed* bed) : bed_(bed), stream_(std::make_unique<Stream>(Connect(bed->folder.At("s")))) {}

  uint32_t Send(Request request, uint32_t handle, uint32_t first, const Bytes& data = {},
                uint32_t second = 0) {
    const RequestHead head = {request, next_, handle, {first, second}, static_cast<uint32_t>(data.size())};
    stream_->Write(&head, sizeof(head));
    stream_->Write(data.data(), data.size());
    stream_->Send();
    return next_++;
  }

  // What was answered, or how the transfer completed.
  Got Wait(uint32_t id) {
    TurnUntil(&bed_->loop, [&] {
      Take();
      return got_.count(id) != 0;
    });
    return got_[id];
  }

  int32_t Ask(Request request, uint32_t handle, uint32_t first = 0, const Bytes& data = {}) {
    return Wait(Send(request, handle, first, data)).head.status;
  }

  std::vector<std::string> messages;

  // Everything that came by now.
  void Take() {
    stream_->Receive();
    AnswerHead head;
    while (stream_->received().size() >= sizeof(head)) {
      std::memcpy(&head, stream_->received().data(), sizeof(head));
      if (stream_->received().size() < sizeof(head) + head.size) return;
      const auto begin = stream_->received().begin() + sizeof(head);
      const Bytes data(begin, begin + head.size);
      if (head.kind == AnswerKind::kMessage) {
        messages.emplace_back(data.begin(), data.end());
      } else {
        got_[head.id] = {head, data};
      }
      stream_->Drop(sizeof(head) + head.size);
    }
  }

 private:
  Bed* const bed_;
  std::unique_ptr<Stream> stream_;
  uint32_t next_ = 1;
  std::map<uint32_t, Got> got_;
};

Accelerator::Options App() { return Bench::AppMode(); }

Bytes ReadRegister(uint16_t low, uint16_t high) {
  return {0xC0,
          1,
          static_cast<uint8_t>(low),
          static_cast<uint8_t>(low >> 8),
          static_cast<uint8_t>(high),
          static_cast<uint8_t>(high >> 8),
          4,
          0};
}

TEST(Libusb, ListsAndOpensDevices) {
  Bed bed({App(), Accelerator::Options()});
  Client program(&bed);
  EXPECT_EQ(program.Ask(Request::kHello, 0, kProtocolVersion), 0);
  EXPECT_LT(program.Ask(Request::kHello, 0, 99), 0);
  const Bytes list = program.Wait(program.Send(Request::kList, 0, 0)).data;
  ASSERT_EQ(list.size(), 2 * sizeof(ListEntry));
  ListEntry entries[2];
  std::memcpy(entries, list.data(), list.size());
  EXPECT_EQ(entries[0].port, 1);
  EXPECT_EQ(entries[1].port, 2);
  EXPECT_EQ(entries[0].descriptor[8] | entries[0].descriptor[9] << 8, 0x18D1);
  EXPECT_EQ(entries[1].descriptor[8] | entries[1].descriptor[9] << 8, 0x1A6E);
  EXPECT_GT(program.Ask(Request::kOpen, 0, 1), 0);
  EXPECT_EQ(program.Ask(Request::kOpen, 0, 2), kNoDeviceError);
  EXPECT_EQ(program.Ask(Request::kClaim, 77, 0), kNotFoundError) << "of no handle";
}

TEST(Libusb, OneProgramClaimsAtATime) {
  Bed bed({App()});
  Client first(&bed), second(&bed);
  const auto one = static_cast<uint32_t>(first.Ask(Request::kOpen, 0)),
             two = static_cast<uint32_t>(second.Ask(Request::kOpen, 0));
  EXPECT_EQ(first.Ask(Request::kClaim, one), 0);
  EXPECT_EQ(second.Ask(Request::kClaim, two), kBusyError);
  EXPECT_EQ(first.Ask(Request::kClose, one), 0);
  EXPECT_EQ(second.Ask(Request::kClaim, two), 0);
}

TEST(Libusb, AProgramThatDiesLeavesNothingClaimed) {
  Bed bed({App()});
  auto first = std::make_unique<Client>(&bed);
  Client second(&bed);
  const auto one = static_cast<uint32_t>(first->Ask(Request::kOpen, 0)),
             two = static_cast<uint32_t>(second.Ask(Request::kOpen, 0));
  EXPECT_EQ(first->Ask(Request::kClaim, one), 0);
  first->Send(Request::kSubmit, one, 0x81, {}, 1024);
  first.reset();
  TurnUntil(&bed.loop, [&] { return second.Ask(Request::kClaim, two) == 0; });
}

TEST(Libusb, ASecondProgramTakesTheDeviceByAReset) {
  Bed bed({App()});
  Client first(&bed), second(&bed);
  const auto one = static_cast<uint32_t>(first.Ask(Request::kOpen, 0)),
             two = static_cast<uint32_t>(second.Ask(Request::kOpen, 0));
  first.Ask(Request::kClaim, one);
  const uint32_t read = first.Send(Request::kSubmit, one, 0x81, {}, 1024);
  first.Ask(Request::kControl, one, 0, ReadRegister(0, 0));  // the read has arrived
  EXPECT_EQ(second.Ask(Request::kReset, two), 0);
  EXPECT_EQ(first.Wait(read).head.status, static_cast<int32_t>(Status::kNoDevice));
  EXPECT_EQ(second.Ask(Request::kClaim, two), 0);
}

TEST(Libusb, ControlTransfersAnswerLikeLibusb) {
  Bed bed({App()});
  Client program(&bed);
  const auto handle = static_cast<uint32_t>(program.Ask(Request::kOpen, 0));
  EXPECT_EQ(program.Ask(Request::kControl, handle, 0, ReadRegister(0xA30C, 1)), 4);
  EXPECT_EQ(program.Ask(Request::kControl, handle, 0, {0x80, 6, 2, 3, 0, 0, 255, 0}), kPipeError);
  bed.bus.device(0).Unplug();
  EXPECT_EQ(program.Ask(Request::kControl, handle, 0, ReadRegister(0xA30C, 1)), kNoDeviceError);
  EXPECT_EQ(program.Ask(Request::kOpen, 0), kNoDeviceError);
}

TEST(Libusb, SilenceEndsByCancelling) {
  Bed bed({Bench::WithFault("register-silent")});
  Client program(&bed);
  const auto handle = static_cast<uint32_t>(program.Ask(Request::kOpen, 0));
  const uint32_t silent = program.Send(Request::kControl, handle, 0, ReadRegister(0xA30C, 1));
  const uint32_t read = program.Send(Request::kSubmit, handle, 0x81, {}, 1024);
  program.Send(Request::kCancel, handle, silent);
  program.Send(Request::kCancel, handle, read);
  EXPECT_EQ(program.Wait(silent).head.status, kTimeoutError);
  EXPECT_EQ(program.Wait(read).head.status, static_cast<int32_t>(Status::kCancelled));
}

TEST(Libusb, FaultsOfPermission) {
  Bed refused({Bench::WithFault("access")}), busy({Bench::WithFault("busy")});
  Client one(&refused), other(&busy);
  EXPECT_EQ(one.Ask(Request::kOpen, 0), kAccessError);
  const auto handle = static_cast<uint32_t>(other.Ask(Request::kOpen, 0));
  EXPECT_EQ(other.Ask(Request::kClaim, handle), kBusyError);
}

TEST(Libusb, TellsTheProgramWhatIsWrong) {
  Bed bed({App()});
  Client program(&bed);
  const auto handle = static_cast<uint32_t>(program.Ask(Request::kOpen, 0));
  program.Send(Request::kSubmit, handle, 0x01, {3, 0, 0, 0, 0, 0, 0, 0});
  const uint32_t unknown = program.Send(Request::kSubmit, handle, 0x01, {1, 2, 3});
  EXPECT_EQ(program.Wait(unknown).head.status, static_cast<int32_t>(Status::kStall));
  ASSERT_EQ(program.messages.size(), 1u);
  EXPECT_NE(program.messages[0].find("none of the models"), std::string::npos);
}

TEST(Libusb, ComputesAndObeys) {
  Bed bed({App()});
  Client program(&bed);
  const auto handle = static_cast<uint32_t>(program.Ask(Request::kOpen, 0));
  const uint32_t read = program.Send(Request::kSubmit, handle, 0x81, {}, 1024);
  for (const Bytes& data :
       {Bytes{3, 0, 0, 0, 0, 0, 0, 0}, {20, 21, 22}, {4, 0, 0, 0, 1, 0, 0, 0}, {1, 2, 3, 4}}) {
    const Got sent = program.Wait(program.Send(Request::kSubmit, handle, 0x01, data));
    EXPECT_EQ(sent.head.taken, data.size());
  }
  EXPECT_EQ(program.Wait(read).data[0], 2);
  const Bytes answer = program.Wait(program.Send(Request::kTell, 0, 0, {'h', 'i'})).data;
  EXPECT_EQ(std::string(answer.begin(), answer.end()), "told hi");
}

}  // namespace
}  // namespace coral_device
