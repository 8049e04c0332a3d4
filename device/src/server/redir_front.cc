#include "server/redir_front.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/bytes.h"

namespace coral_device {
namespace {

// Packet types and numbers of the usbredir protocol, version 0.7.
enum Type : uint32_t {
  kHello = 0,
  kDeviceConnect = 1,
  kDeviceDisconnect = 2,
  kReset = 3,
  kInterfaceInfo = 4,
  kEndpointInfo = 5,
  kSetConfiguration = 6,
  kGetConfiguration = 7,
  kConfigurationStatus = 8,
  kSetAlternate = 9,
  kGetAlternate = 10,
  kAlternateStatus = 11,
  kStartInterrupts = 15,
  kStopInterrupts = 16,
  kInterruptStatus = 17,
  kCancel = 21,
  kDisconnectAck = 24,
  kControlPacket = 100,
  kBulkPacket = 101,
  kInterruptPacket = 103,
};

// Capabilities: the device's version, an answer to disconnection, packet sizes (without them xhci refuses),
// 64-bit ids, 32-bit lengths.
constexpr uint32_t kWideIds = 1 << 5;
constexpr uint32_t kCapabilities = 1 << 1 | 1 << 3 | 1 << 4 | kWideIds | 1 << 6;

constexpr uint8_t kOk = 0, kCancelled = 1, kInvalid = 2, kIoError = 3, kStalled = 4, kTimedOut = 5,
                  kBabble = 6;
constexpr size_t kEndpoints = 32;
constexpr uint8_t kNoEndpoint = 255, kControlType = 0, kBulkType = 2, kInterruptType = 3;
constexpr size_t kMaxBody = 128 << 20;
constexpr size_t kControlHead = 10, kBulkHead = 10;
// Ids of the transfers that wait for interrupts, apart from the guest's.
constexpr uint64_t kOwnIds = uint64_t{1} << 63;

// The index of an endpoint in the tables: 0 to 15 OUT, 16 to 31 IN.
size_t Slot(uint8_t address) { return (address & 15u) + ((address & 0x80) != 0 ? 16 : 0); }

uint8_t StatusOf(Status status) {
  switch (status) {
    case Status::kOk:
      return kOk;
    case Status::kTimedOut:
      return kTimedOut;
    case Status::kCancelled:
    case Status::kNoDevice:
      return kCancelled;
    case Status::kStall:
      return kStalled;
    case Status::kOverflow:
      return kBabble;
    case Status::kError:
      return kIoError;
  }
  return kIoError;
}

}  // namespace

RedirFront::RedirFront(std::string path, Bus* bus, Listener* log)
    : path_(std::move(path)), bus_(bus), log_(log) {}

RedirFront::~RedirFront() { bus_->Forget(this); }

bool RedirFront::OnTick() {
  if (stream_ == nullptr) {
    const int socket = Connect(path_);
    if (socket < 0) return true;
    stream_ = std::make_unique<Stream>(socket);
    Bytes hello(64);
    const std::string name = "coral-device (emulated)";
    std::copy(name.begin(), name.end(), hello.begin());
    Put(&hello, kCapabilities, 4);
    Send(kHello, 0, hello);
    log_->Say(Level::kInfo, "connected to a virtual machine");
  }
  ShowPresence();
  return true;
}

bool RedirFront::OnReady() {
  if (stream_->Receive()) {
    while (TakePacket()) {
    }
    if (stream_->Send()) return true;
  }
  log_->Say(Level::kInfo, "the virtual machine is gone");
  bus_->Forget(this);
  stream_.reset();
  greeted_ = wide_ids_ = connected_ = false;
  interrupts_.clear();
  return true;
}

bool RedirFront::TakePacket() {
  const Bytes& received = stream_->received();
  const size_t id_bytes = wide_ids_ ? 8 : 4, head = 8 + id_bytes;
  if (received.size() < head) return false;
  const size_t length = Number(&received[4], 4);
  if (length > kMaxBody || received.size() < head + length) return false;
  const auto body = received.begin() + static_cast<std::ptrdiff_t>(head);
  const Packet packet{static_cast<uint32_t>(Number(&received[0], 4)), Number(&received[8], id_bytes),
                      Bytes(body, body + static_cast<std::ptrdiff_t>(length))};
  stream_->Drop(head + length);
  Serve(packet);
  bus_->Pump();
  ShowPresence();
  return true;
}

void RedirFront::Serve(const Packet& packet) {
  switch (packet.type) {
    case kHello:
      return Hello(packet);
    case kReset:
      return Reset();
    case kSetConfiguration:
    case kGetConfiguration:
    case kSetAlternate:
    case kGetAlternate:
      return Configuration(packet);
    case kStartInterrupts:
    case kStopInterrupts:
      return Interrupts(packet);
    case kCancel:
      bus_->Cancel(this, packet.id);
      return;
    case kControlPacket:
      return Control(packet);
    case kBulkPacket:
      return Bulk(packet);
    default:
      return;  // nothing that a device without isochronous endpoints must answer
  }
}

void RedirFront::Hello(const Packet& packet) {
  wide_ids_ = packet.body.size() >= 68 && (Number(&packet.body[64], 4) & kWideIds) != 0;
  greeted_ = true;
}

// Tells the guest what has changed: plugged in, pulled out.
void RedirFront::ShowPresence() {
  if (stream_ == nullptr || !greeted_) return;
  const bool present = bus_->device(0).present();
  if (present == connected_) return;
  connected_ = present;
  if (present) {
    bus_->Open(this, 0);
    SendTables();
    SendConnect();
  } else {
    bus_->Pump();  // what was pending ends first
    bus_->Close(this, 0);
    interrupts_.clear();
    Send(kDeviceDisconnect, 0, {});
  }
}

void RedirFront::SendTables() {
  std::array<uint8_t, kEndpoints> types{}, intervals{};
  std::array<uint16_t, kEndpoints> packets{};
  types.fill(kNoEndpoint);
  const Appearance appearance = bus_->device(0).appearance();
  for (const size_t zero : {size_t{0}, size_t{16}}) {
    types[zero] = kControlType;
    packets[zero] = appearance.speed == Speed::kSuper ? 512 : 64;
  }
  for (const Endpoint& endpoint : EndpointsOf(appearance)) {
    const size_t slot = Slot(endpoint.address);
    types[slot] = endpoint.interrupt ? kInterruptType : kBulkType;
    intervals[slot] = endpoint.interval;
    packets[slot] = endpoint.packet_bytes;
  }
  Bytes endpoints(types.begin(), types.end());
  endpoints.insert(endpoints.end(), intervals.begin(), intervals.end());
  endpoints.resize(endpoints.size() + kEndpoints);  // all belong to interface 0
  for (const uint16_t size : packets) Put(&endpoints, size, 2);
  Send(kEndpointInfo, 0, endpoints);

  const InterfaceClass interface = InterfaceClassOf(appearance.mode);
  Bytes interfaces;
  Put(&interfaces, 1, 4);
  for (const uint8_t first : {uint8_t{0}, interface.device_class, interface.subclass, interface.protocol}) {
    interfaces.push_back(first);
    interfaces.resize(interfaces.size() + 31);
  }
  Send(kInterfaceInfo, 0, interfaces);
}

void RedirFront::SendConnect() {
  const Appearance appearance = bus_->device(0).appearance();
  const Identity identity = IdentityOf(appearance);
  // usbredir counts speeds from low, libusb from unknown.
  Bytes connect = {static_cast<uint8_t>(static_cast<uint8_t>(appearance.speed) - 1), 0, 0, 0};
  Put(&connect, identity.vendor, 2);
  Put(&connect, identity.product, 2);
  Put(&connect, 0x0100, 2);
  Send(kDeviceConnect, 0, connect);
}

// The guest finds other descriptors after a reset, says "firmware changed", and takes it for another device.
void RedirFront::Reset() {
  interrupts_.clear();
  configuration_ = 0;
  if (bus_->Reset(this, 0) != 0 && bus_->device(0).present()) SendTables();
}

void RedirFront::Configuration(const Packet& packet) {
  const uint8_t first = packet.body.empty() ? 0 : packet.body[0];
  if (packet.type == kSetConfiguration) {
    configuration_ = first;
    SendTables();
  }
  if (packet.type == kSetConfiguration || packet.type == kGetConfiguration) {
    return Send(kConfigurationStatus, packet.id, {kOk, configuration_});
  }
  const uint8_t alternate = packet.type == kSetAlternate && packet.body.size() > 1 ? packet.body[1] : 0;
  Send(kAlternateStatus, packet.id, {alternate == 0 ? kOk : kInvalid, first, 0});
}

void RedirFront::Control(const Packet& packet) {
  if (packet.body.size() < kControlHead) return;
  const uint8_t* at = packet.body.data();
  const auto word = [&](size_t where) { return static_cast<uint16_t>(Number(at + where, 2)); };
  const Setup setup{at[2], at[1], word(4), word(6), word(8)};
  const auto answer =
      bus_->device(0).Control(setup, Bytes(packet.body.begin() + kControlHead, packet.body.end()));
  if (!answer) return;
  const size_t length = setup.in() ? answer->data.size() : answer->taken;
  Bytes reply(at, at + 8);
  reply[3] = StatusOf(answer->status);
  Put(&reply, length, 2);
  reply.insert(reply.end(), answer->data.begin(), answer->data.end());
  Send(kControlPacket, packet.id, reply);
}

void RedirFront::Bulk(const Packet& packet) {
  if (packet.body.size() < kBulkHead) return;
  const uint8_t* at = packet.body.data();
  const uint32_t length = static_cast<uint32_t>(Number(at + 2, 2) | Number(at + 8, 2) << 16);
  bus_->Submit(this, 0, packet.id,
               {0, at[0], Bytes(packet.body.begin() + kBulkHead, packet.body.end()), length});
}

void RedirFront::Interrupts(const Packet& packet) {
  const uint8_t endpoint = packet.body.empty() ? 0 : packet.body[0];
  const bool start = packet.type == kStartInterrupts;
  if (start && interrupts_.insert(endpoint).second) WaitForInterrupt(endpoint);
  if (!start && interrupts_.erase(endpoint) != 0) bus_->Cancel(this, kOwnIds | endpoint);
  Send(kInterruptStatus, packet.id, {kOk, endpoint});
}

void RedirFront::WaitForInterrupt(uint8_t endpoint) {
  bus_->Submit(this, 0, kOwnIds | endpoint, {0, endpoint, {}, 64});
}

void RedirFront::OnCompletion(uint64_t id, const Completion& completion) {
  const bool in = (completion.endpoint & 0x80) != 0;
  const auto length = in ? static_cast<uint32_t>(completion.data.size()) : completion.taken;
  if ((id & kOwnIds) == 0)
    return SendBulk(id, completion.endpoint, StatusOf(completion.status), length, completion.data);
  if (completion.status != Status::kOk) return;
  Bytes packet = {completion.endpoint, kOk};
  Put(&packet, length, 2);
  packet.insert(packet.end(), completion.data.begin(), completion.data.end());
  Send(kInterruptPacket, 0, packet);
  if (interrupts_.count(completion.endpoint) != 0) WaitForInterrupt(completion.endpoint);
}

void RedirFront::SendBulk(uint64_t id, uint8_t endpoint, uint8_t status, uint32_t length, const Bytes& data) {
  Bytes packet = {endpoint, status};
  Put(&packet, length & 0xFFFF, 2);
  Put(&packet, 0, 4);  // no streams
  Put(&packet, length >> 16, 2);
  packet.insert(packet.end(), data.begin(), data.end());
  Send(kBulkPacket, id, packet);
}

void RedirFront::Send(uint32_t type, uint64_t id, const Bytes& body) {
  if (stream_ == nullptr) return;
  Bytes packet;
  Put(&packet, type, 4);
  Put(&packet, body.size(), 4);
  Put(&packet, id, wide_ids_ ? 8 : 4);
  packet.insert(packet.end(), body.begin(), body.end());
  stream_->Write(packet.data(), packet.size());
}

}  // namespace coral_device
