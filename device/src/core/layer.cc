#include "core/layer.h"

#include <cstring>

namespace coral_device {
namespace {

constexpr uint8_t kPadding = 0xEE;
constexpr uint8_t kHighestBit = 0x80;

void FlipSigns(const Layer& layer, Bytes* tensor) {
  for (size_t i = layer.element_bytes - 1; i < tensor->size(); i += layer.element_bytes) {
    (*tensor)[i] ^= kHighestBit;
  }
}

}  // namespace

Bytes ToTensor(const Layer& layer, const uint8_t* wire) {
  Bytes tensor(wire, wire + layer.tensor_bytes());
  if (layer.flip_sign) FlipSigns(layer, &tensor);
  return tensor;
}

Bytes ToWire(const Layer& layer, const Bytes& tensor, bool in_order) {
  Bytes values = tensor;
  if (layer.flip_sign) FlipSigns(layer, &values);
  Bytes wire(layer.wire_bytes, kPadding);
  const size_t size = layer.element_bytes;
  if (layer.places.empty() || in_order) {
    std::memcpy(wire.data(), values.data(), values.size());
    return wire;
  }
  for (size_t i = 0; i < layer.places.size(); ++i) {
    std::memcpy(&wire[layer.places[i] * size], &values[i * size], size);
  }
  return wire;
}

}  // namespace coral_device
