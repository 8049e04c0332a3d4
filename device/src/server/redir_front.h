// Plugs the first device into a virtual machine: the usbredir protocol, which QEMU's usb-redir speaks.
#pragma once

#include <array>
#include <memory>
#include <set>
#include <string>

#include "server/bus.h"
#include "server/loop.h"
#include "server/stream.h"

namespace coral_device {

class RedirFront : public Source, private User {
 public:
  // `path` is a Unix socket where QEMU listens, now or later: it is looked for again and again.
  RedirFront(std::string path, Bus* bus, Listener* log);
  ~RedirFront() override;

  int descriptor() const override { return stream_ == nullptr ? -1 : stream_->descriptor(); }
  bool WantsToWrite() const override { return stream_ != nullptr && stream_->WantsToWrite(); }
  bool OnReady() override;
  bool OnTick() override;

 private:
  struct Packet {
    uint32_t type;
    uint64_t id;
    Bytes body;
  };

  bool TakePacket();
  void Serve(const Packet& packet);
  void Hello(const Packet& packet);
  void Reset();
  void Configuration(const Packet& packet);
  void Control(const Packet& packet);
  void Bulk(const Packet& packet);
  void Interrupts(const Packet& packet);
  void WaitForInterrupt(uint8_t endpoint);

  void ShowPresence();
  void SendTables();
  void SendConnect();
  void Send(uint32_t type, uint64_t id, const Bytes& body);
  void SendBulk(uint64_t id, uint8_t endpoint, uint8_t status, uint32_t length, const Bytes& data);
  void OnCompletion(uint64_t id, const Completion& completion) override;
  void OnMessage(const std::string&) override {}

  const std::string path_;
  Bus* const bus_;
  Listener* const log_;
  std::unique_ptr<Stream> stream_;
  bool greeted_ = false;
  bool wide_ids_ = false;   // 64 bits, once both sides can
  bool connected_ = false;  // the guest was told of the device
  uint8_t configuration_ = 0;
  std::set<uint8_t> interrupts_;  // endpoints that the guest listens to
};

}  // namespace coral_device
