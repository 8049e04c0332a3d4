// Numbers as USB and its protocols write them: the lowest byte first.
#pragma once

#include <cstddef>

#include "core/usb.h"

namespace coral_device {

// Of `count` bytes, 8 at most.
inline uint64_t Number(const uint8_t* bytes, size_t count) {
  uint64_t number = 0;
  for (size_t i = count < 8 ? count : 8; i-- > 0;) number = number << 8 | bytes[i];
  return number;
}

// Appends `count` bytes; those beyond the eighth are 0.
inline void Put(Bytes* to, uint64_t number, size_t count) {
  for (size_t i = 0; i < count; ++i)
    to->push_back(i < 8 ? static_cast<uint8_t>(number >> 8 * i) : uint8_t{0});
}

}  // namespace coral_device
