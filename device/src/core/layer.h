// An input or output of an executable, and how its elements lie in what goes over USB.
#pragma once

#include <string>

#include "core/usb.h"

namespace coral_device {

struct Layer {
  std::string name;      // that of a tensor of the plain model
  size_t wire_bytes;     // with padding, for one of a batch
  size_t elements;       // of the tensor, for one of a batch
  size_t element_bytes;  // 1, 2 or 4
  // The chip knows no signed integers: the driver flips the highest bit of each element, both ways.
  bool flip_sign;
  // Where each element of the tensor lies on the wire, counted in elements. Empty: in order, from the
  // beginning.
  std::vector<uint32_t> places;

  size_t tensor_bytes() const { return elements * element_bytes; }
};

// The tensor's bytes; `wire` holds at least tensor_bytes().
Bytes ToTensor(const Layer& layer, const uint8_t* wire);

// Bytes on the wire, wire_bytes of them; padding is 0xEE, so that none who reads it can take it for data.
// `in_order` ignores the places: for tests that must see the difference.
Bytes ToWire(const Layer& layer, const Bytes& tensor, bool in_order);

}  // namespace coral_device
