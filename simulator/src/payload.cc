#include "payload.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace coralforge {
namespace {

constexpr size_t kFixed = 32;    // bytes before the note
constexpr size_t kCovered = 12;  // the checksum is of everything from here on
constexpr size_t kMaxHeader = 4096;
constexpr char kMagic[] = {'C', 'F', 'S', 'I', 'M', '1', '\0', '\0'};

// What Google's compiler makes is a flatbuffer with this identifier, inside a flexbuffer.
constexpr char kHardware[] = {'D', 'W', 'N', '1'};

// Byte by byte: the payload has no alignment and is little-endian on any machine.
template <typename Number>
Number Read(const char* at) {
  Number number = 0;
  for (size_t i = sizeof(Number); i-- > 0;) {
    number = static_cast<Number>(number << 8 | static_cast<unsigned char>(at[i]));
  }
  return number;
}

constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
    table[i] = value;
  }
  return table;
}

// zlib's crc32().
uint32_t Crc(const char* data, size_t size) {
  static constexpr std::array<uint32_t, 256> kTable = MakeCrcTable();
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < size; ++i) {
    crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(data[i])) & 0xFF];
  }
  return ~crc;
}

std::string NotOurs(const char* data, size_t size) {
  const char* end = data + size;
  if (std::search(data, end, std::begin(kHardware), std::end(kHardware)) != end) {
    return "This model is compiled for Edge TPU hardware, but this libedgetpu is the SIMULATED one and "
           "cannot "
           "run it. Use the direct or throttled library, or compile the model for the simulator.";
  }
  if (std::equal(kMagic, kMagic + 5, data)) {
    return "The model is compiled for another version of the SIMULATED libedgetpu. Compile it again.";
  }
  return "The Edge TPU operation holds no program that the SIMULATED libedgetpu knows. The file may be "
         "damaged.";
}

}  // namespace

std::string ReadPayload(const char* data, size_t size, SubModel* found) {
  const std::string damaged = "The program for the SIMULATED Edge TPU is damaged: ";
  if (data == nullptr || size < kFixed) return damaged + "it is cut off.";
  if (!std::equal(std::begin(kMagic), std::end(kMagic), data)) return NotOurs(data, size);

  const size_t header = Read<uint32_t>(data + 12);
  const uint64_t length = Read<uint64_t>(data + 16);
  const uint64_t trailer = Read<uint32_t>(data + 24);
  const uint64_t note = Read<uint32_t>(data + 28);
  if (header % 16 != 0 || header < kFixed || header > kMaxHeader || kFixed + note > header) {
    return damaged + "its header makes no sense.";
  }
  // Both sides of each comparison are small enough: header <= 4096, trailer < 2^32, and length is compared
  // before it is added to anything.
  if (size >= uint64_t{1} << 31 || length < 8 || length > size || header + length + trailer != size) {
    return damaged + "it has " + std::to_string(size) + " bytes, which is not what its header says.";
  }
  if (Crc(data + kCovered, size - kCovered) != Read<uint32_t>(data + 8)) {
    return damaged + "its checksum is wrong.";
  }
  if (std::memcmp(data + header + 4, "TFL3", 4) != 0) return damaged + "it holds no TensorFlow Lite model.";
  *found = {data + header, static_cast<size_t>(length)};
  return "";
}

}  // namespace coralforge
