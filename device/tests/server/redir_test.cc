// The device as a virtual machine meets it: the other side of usbredir, packet by packet.

#include <gtest/gtest.h>

#include <deque>

#include "core/bytes.h"
#include "server/far_side.h"
#include "server/redir_front.h"

namespace coral_device {
namespace {

struct Packet {
  uint32_t type;
  uint64_t id;
  Bytes body;
};

// QEMU's side.
class Guest {
 public:
  explicit Guest(Accelerator::Options options = {})
      : programs_{MakeExecution("one", 0, 0)},
        listener_(Listen(folder_.At("s"))),
        bus_({options}, &programs_, AddOne, &heard_) {
    loop_.Add(std::make_unique<Computed>(&bus_));
    loop_.Add(std::make_unique<RedirFront>(folder_.At("s"), &bus_, &heard_));
    int socket = -1;
    TurnUntil(&loop_, [&] { return (socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0; });
    stream_ = std::make_unique<Stream>(socket);
    Expect(0);
    Bytes hello(64);
    Put(&hello, 0xFF, 4);
    Send(0, 0, hello);
    wide_ = true;
  }
  ~Guest() { close(listener_); }

  void Send(uint32_t type, uint64_t id, const Bytes& body) {
    Bytes packet;
    Put(&packet, type, 4);
    Put(&packet, body.size(), 4);
    Put(&packet, id, wide_ ? 8 : 4);
    packet.insert(packet.end(), body.begin(), body.end());
    stream_->Write(packet.data(), packet.size());
    stream_->Send();
  }

  // The next packet, which must be of this type.
  Packet Expect(uint32_t type) {
    TurnUntil(&loop_, [&] { return Take(); });
    const Packet packet = packets_.front();
    packets_.pop_front();
    EXPECT_EQ(packet.type, type);
    return packet;
  }

  Packet Control(uint8_t type, uint8_t request, uint16_t value, uint16_t index, uint16_t length,
                 const Bytes& data) {
    Bytes body = {static_cast<uint8_t>(type & 0x80), request, type, 0};
    for (const uint16_t word : {value, index, length}) Put(&body, word, 2);
    body.insert(body.end(), data.begin(), data.end());
    Send(100, 50, body);
    return Expect(100);
  }

  void Bulk(uint64_t id, uint8_t endpoint, uint32_t length, const Bytes& data) {
    Bytes body = {endpoint, 0};
    Put(&body, length & 0xFFFF, 2);
    Put(&body, 0, 4);
    Put(&body, length >> 16, 2);
    body.insert(body.end(), data.begin(), data.end());
    Send(101, id, body);
  }

  Accelerator& device() { return bus_.device(0); }

 private:
  bool Take() {
    stream_->Receive();
    const Bytes& received = stream_->received();
    const size_t id = wide_ ? 8 : 4;
    if (received.size() < 8 + id) return !packets_.empty();
    const size_t size = Number(&received[4], 4);
    if (received.size() < 8 + id + size) return !packets_.empty();
    const auto body = received.begin() + static_cast<std::ptrdiff_t>(8 + id);
    packets_.push_back({static_cast<uint32_t>(Number(&received[0], 4)), Number(&received[8], id),
                        Bytes(body, body + static_cast<std::ptrdiff_t>(size))});
    stream_->Drop(8 + id + size);
    return true;
  }

  Folder folder_;
  Heard heard_;
  Programs programs_;
  const int listener_;
  Bus bus_;
  Loop loop_;
  std::unique_ptr<Stream> stream_;
  bool wide_ = false;
  std::deque<Packet> packets_;
};

void ExpectPluggedIn(Guest* guest, uint8_t speed, uint16_t vendor, uint16_t product) {
  EXPECT_EQ(guest->Expect(5).body.size(), 160u);
  EXPECT_EQ(guest->Expect(4).body.size(), 132u);
  const Bytes connect = guest->Expect(1).body;
  ASSERT_EQ(connect.size(), 10u);
  EXPECT_EQ(connect[0], speed);
  EXPECT_EQ(Number(&connect[4], 2), vendor);
  EXPECT_EQ(Number(&connect[6], 2), product);
}

TEST(Redir, PlugsItIn) {
  Guest guest;
  ExpectPluggedIn(&guest, 3, 0x1A6E, 0x089A);
  const Packet descriptor = guest.Control(0x80, 6, 0x0100, 0, 18, {});
  EXPECT_EQ(descriptor.body.size(), 10u + 18u);
  EXPECT_EQ(descriptor.body[3], 0);
  EXPECT_EQ(guest.Control(0x80, 6, 0x0302, 0, 255, {}).body[3], 4) << "a stall";
}

TEST(Redir, ShowsAnotherDeviceAfterFirmwareAndReset) {
  Guest guest;
  ExpectPluggedIn(&guest, 3, 0x1A6E, 0x089A);
  const Packet taken = guest.Control(0x21, 1, 0, 0, 3, {1, 2, 3});
  EXPECT_EQ(Number(&taken.body[8], 2), 3u);
  guest.Control(0x21, 1, 1, 0, 0, {});
  guest.Send(3, 0, {});
  const Bytes endpoints = guest.Expect(5).body;
  EXPECT_EQ(endpoints[1], 2) << "bulk OUT on endpoint 1";
  EXPECT_EQ(endpoints[16 + 3], 3) << "interrupts on endpoint 0x83";
  EXPECT_EQ(Number(&endpoints[96 + 2], 2), 1024u);
  EXPECT_EQ(guest.Expect(4).body[4 + 32], 0xFF);
  guest.Send(3, 0, {});  // a second one changes nothing, and is not answered
  guest.Send(6, 9, {1});
  guest.Expect(5);
  guest.Expect(4);
  const Packet configured = guest.Expect(8);
  EXPECT_EQ(configured.id, 9u);
  EXPECT_EQ(configured.body, (Bytes{0, 1}));
}

TEST(Redir, CarriesAnInference) {
  Guest guest(Bench::AppMode());
  ExpectPluggedIn(&guest, 3, 0x18D1, 0x9302);
  guest.Bulk(1, 0x81, 1024, {});
  guest.Bulk(2, 0x82, 16, {});
  const auto out = [&](uint64_t id, const Bytes& data) {
    guest.Bulk(id, 0x01, static_cast<uint32_t>(data.size()), data);
    const Packet packet = guest.Expect(101);
    EXPECT_EQ(packet.id, id);
    EXPECT_EQ(Number(&packet.body[2], 2), data.size());
  };
  out(3, {3, 0, 0, 0, 0, 0, 0, 0});
  out(4, {20, 21, 22});
  out(5, {4, 0, 0, 0, 1, 0, 0, 0});
  out(6, {1, 2, 3, 4});
  const Packet output = guest.Expect(101);
  EXPECT_EQ(output.id, 1u);
  EXPECT_EQ(Bytes(output.body.begin() + 10, output.body.begin() + 14), (Bytes{2, 3, 4, 5}));
  EXPECT_EQ(guest.Expect(101).id, 2u);
}

TEST(Redir, AnswersACancelledTransfer) {
  Guest guest(Bench::AppMode());
  ExpectPluggedIn(&guest, 3, 0x18D1, 0x9302);
  guest.Bulk(7, 0x81, 1024, {});
  guest.Send(21, 7, {});
  const Packet cancelled = guest.Expect(101);
  EXPECT_EQ(cancelled.id, 7u);
  EXPECT_EQ(cancelled.body[1], 1);
}

TEST(Redir, PushesInterrupts) {
  Guest guest(Bench::WithFault("fatal"));
  ExpectPluggedIn(&guest, 3, 0x18D1, 0x9302);
  guest.Send(15, 1, {0x83});
  EXPECT_EQ(guest.Expect(17).body, (Bytes{0, 0x83}));
  for (const Bytes& data :
       {Bytes{3, 0, 0, 0, 0, 0, 0, 0}, {20, 21, 22}, {4, 0, 0, 0, 1, 0, 0, 0}, {1, 2, 3, 4}}) {
    guest.Bulk(9, 0x01, static_cast<uint32_t>(data.size()), data);
    guest.Expect(101);
  }
  const Bytes interrupt = guest.Expect(103).body;
  EXPECT_EQ(interrupt, (Bytes{0x83, 0, 4, 0, 1, 0, 0, 0}));
  guest.Send(16, 2, {0x83});
  EXPECT_EQ(guest.Expect(17).body, (Bytes{0, 0x83}));
}

TEST(Redir, PullsItOutAndPlugsItInAgain) {
  Guest guest(Bench::AppMode());
  ExpectPluggedIn(&guest, 3, 0x18D1, 0x9302);
  guest.Bulk(7, 0x81, 1024, {});
  EXPECT_EQ(guest.Control(0x80, 0, 0, 0, 2, {}).body.size(), 12u);
  guest.device().Unplug();
  EXPECT_EQ(guest.Expect(101).body[1], 1) << "what was pending ends";
  EXPECT_EQ(guest.Expect(2).body.size(), 0u);
  guest.device().SetSpeed(Speed::kHigh);
  guest.device().Plug();
  ExpectPluggedIn(&guest, 2, 0x18D1, 0x9302);
}

}  // namespace
}  // namespace coral_device
