#include "core/descriptors.h"

#include "core/bytes.h"

namespace coral_device {
namespace {

constexpr uint8_t kDevice = 1, kConfiguration = 2, kInterface = 4, kEndpoint = 5, kQualifier = 6, kBos = 15,
                  kCapability = 16, kString = 3, kDfuFunctional = 0x21, kCompanion = 0x30;

// A real one has no strings. By this one, programs that look (the bundle's do) know what they run on.
constexpr uint8_t kProductString = 1;
constexpr char kProduct[] = "EMULATED Edge TPU (coral-device)";

void Append(Bytes* to, const Bytes& more) { to->insert(to->end(), more.begin(), more.end()); }

Bytes Device(const Appearance& appearance) {
  const bool super = appearance.speed == Speed::kSuper;
  const Identity identity = IdentityOf(appearance);
  // SuperSpeed gives the size of endpoint 0's packets as a power of two.
  Bytes made = {18, kDevice, 0x10, static_cast<uint8_t>(super ? 3 : 2),
                0,  0,       0,    static_cast<uint8_t>(super ? 9 : 64)};
  Put(&made, identity.vendor, 2);
  Put(&made, identity.product, 2);
  Append(&made, {0x00, 0x01, 0, kProductString, 0, 1});
  return made;
}

Bytes Configuration(const Appearance& appearance) {
  const bool super = appearance.speed == Speed::kSuper;
  const std::vector<Endpoint> endpoints = EndpointsOf(appearance);
  const InterfaceClass interface = InterfaceClassOf(appearance.mode);
  Bytes body = {9,
                kInterface,
                0,
                0,
                static_cast<uint8_t>(endpoints.size()),
                interface.device_class,
                interface.subclass,
                interface.protocol,
                0};
  if (appearance.mode == Mode::kDfu) {
    // Attributes: detaches itself, tolerates manifestation, takes and gives firmware; 100 ms to detach.
    Append(&body, {9, kDfuFunctional, 0x0F, 100, 0});
    Put(&body, kDfuTransferSize, 2);
    Put(&body, 0x0101, 2);
  }
  for (const Endpoint& endpoint : endpoints) {
    Append(&body, {7, kEndpoint, endpoint.address, static_cast<uint8_t>(endpoint.interrupt ? 3 : 2)});
    Put(&body, endpoint.packet_bytes, 2);
    body.push_back(endpoint.interval);
    if (super) {
      Append(&body, {6, kCompanion, static_cast<uint8_t>(endpoint.interrupt ? 0 : 15), 0});
      Put(&body, endpoint.interrupt ? endpoint.packet_bytes : 0, 2);
    }
  }
  Bytes made = {9, kConfiguration};
  Put(&made, 9 + body.size(), 2);
  // One interface, configuration 1, powered by the bus: 896 mA in units of 8 mA, or 500 mA in units of 2 mA.
  Append(&made, {1, 1, 0, 0x80, static_cast<uint8_t>(super ? 112 : 250)});
  Append(&made, body);
  return made;
}

Bytes BinaryObjectStore() {
  return {5,  kBos,        22, 0, 2,                        //
          7,  kCapability, 2,  2, 0,    0, 0,               // USB 2 extension: link power management
          10, kCapability, 3,  0, 0x0E, 0, 1, 10, 100, 0};  // SuperSpeed: full, high, super
}

Bytes String(uint8_t index) {
  if (index == 0) return {4, kString, 0x09, 0x04};  // the languages that there are: American English
  if (index != kProductString) return {};
  Bytes made = {static_cast<uint8_t>(2 * sizeof(kProduct)), kString};
  for (const char* c = kProduct; *c != '\0'; ++c) Put(&made, static_cast<uint8_t>(*c), 2);
  return made;
}

}  // namespace

Identity IdentityOf(const Appearance& appearance) {
  Identity identity = appearance.mode == Mode::kDfu ? Identity{0x1A6E, 0x089A} : Identity{0x18D1, 0x9302};
  if (appearance.wrong_id) ++identity.product;
  return identity;
}

std::vector<Endpoint> EndpointsOf(const Appearance& appearance) {
  if (appearance.mode == Mode::kDfu) return {};
  const bool super = appearance.speed == Speed::kSuper;
  const uint16_t bulk = super ? 1024 : appearance.speed == Speed::kHigh ? 512 : 64;
  return {
      {kOutEndpoint, false, bulk, 0},
      {kOutputEndpoint, false, bulk, 0},
      {kEventEndpoint, false, bulk, 0},
      {kInterruptEndpoint, true, 64, static_cast<uint8_t>(super ? 4 : 1)},
  };
}

InterfaceClass InterfaceClassOf(Mode mode) {
  return mode == Mode::kDfu ? InterfaceClass{0xFE, 1, 2} : InterfaceClass{0xFF, 0xFF, 0xFF};
}

Bytes DescriptorOf(const Appearance& appearance, uint8_t type, uint8_t index) {
  switch (type) {
    case kDevice:
      return Device(appearance);
    case kConfiguration:
      return Configuration(appearance);
    case kString:
      return String(index);
    case kQualifier:
      if (appearance.speed == Speed::kSuper) return {};
      return {10, kQualifier, 0x10, 2, 0, 0, 0, 64, 1, 0};
    case kBos:
      return BinaryObjectStore();
    default:
      return {};
  }
}

}  // namespace coral_device
