// USB descriptors, as a Coral USB Accelerator has them as far as they are known: see ../../README.md.
#pragma once

#include "core/usb.h"

namespace coral_device {

// Bytes of a block of firmware.
constexpr uint16_t kDfuTransferSize = 256;

struct Identity {
  uint16_t vendor;
  uint16_t product;
};

// What shows on the bus.
struct Appearance {
  Mode mode;
  Speed speed;
  bool wrong_id;
};

Identity IdentityOf(const Appearance& appearance);

struct Endpoint {
  uint8_t address;
  bool interrupt;
  uint16_t packet_bytes;
  uint8_t interval;
};

// Without endpoint 0; none in DFU mode.
std::vector<Endpoint> EndpointsOf(const Appearance& appearance);

// Class, subclass and protocol of the only interface.
struct InterfaceClass {
  uint8_t device_class, subclass, protocol;
};

InterfaceClass InterfaceClassOf(Mode mode);

// By the descriptor's type (1 device, 2 configuration, 3 string, 6 qualifier, 15 BOS), and a string's index;
// empty if the device has none such.
Bytes DescriptorOf(const Appearance& appearance, uint8_t type, uint8_t index = 0);

}  // namespace coral_device
