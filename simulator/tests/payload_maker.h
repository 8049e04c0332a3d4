// Writes payloads, whole ones and others, as docs/models.md describes them.
#ifndef CORALFORGE_SIMULATOR_TESTS_PAYLOAD_MAKER_H_
#define CORALFORGE_SIMULATOR_TESTS_PAYLOAD_MAKER_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace coralforge {

// Bit by bit, so that it has nothing in common with the one that is tested.
inline uint32_t Crc32(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

inline std::string LittleEndian(uint64_t number, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(number >> 8 * i);
  return text;
}

// What stands in a payload. Fields of the header are what belongs there unless they are set.
struct PayloadParts {
  std::string magic = std::string("CFSIM1\0\0", 8);
  std::string note = "made by a test";
  std::string model = std::string("\x10\0\0\0TFL3 and so on", 18);
  std::string trailer = "trailer";
  int64_t header = -1;
  int64_t length = -1;
  int64_t trailer_length = -1;
  int64_t note_length = -1;
};

// Gives the payload the checksum that fits the rest of it. At least 12 bytes.
inline std::string WithChecksum(std::string payload) {
  return payload.replace(8, 4, LittleEndian(Crc32(payload.substr(12)), 4));
}

inline std::string MakePayload(const PayloadParts& parts = {}) {
  const auto either = [](int64_t set, size_t otherwise) {
    return set < 0 ? static_cast<uint64_t>(otherwise) : static_cast<uint64_t>(set);
  };
  const size_t header = (32 + parts.note.size() + 15) / 16 * 16;
  std::string payload = parts.magic + LittleEndian(0, 4) + LittleEndian(either(parts.header, header), 4) +
                        LittleEndian(either(parts.length, parts.model.size()), 8) +
                        LittleEndian(either(parts.trailer_length, parts.trailer.size()), 4) +
                        LittleEndian(either(parts.note_length, parts.note.size()), 4) + parts.note;
  payload.resize(header, '\0');
  return WithChecksum(payload + parts.model + parts.trailer);
}

}  // namespace coralforge

#endif  // CORALFORGE_SIMULATOR_TESTS_PAYLOAD_MAKER_H_
