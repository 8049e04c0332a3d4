// What passes between a front (libusb stand-in, usbredir) and the device: USB's own terms, none of a front's
// protocol.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coral_device {

using Bytes = std::vector<uint8_t>;

// In the order of libusb's transfer statuses; fronts map them.
enum class Status : uint8_t {
  kOk = 0,
  kError = 1,
  kTimedOut = 2,
  kCancelled = 3,
  kStall = 4,
  kNoDevice = 5,
  kOverflow = 6,
};

// The numbers are libusb's.
enum class Speed : uint8_t { kFull = 2, kHigh = 3, kSuper = 4 };

// A Coral USB Accelerator comes up as a boot loader that wants firmware; with it, it is another USB device.
enum class Mode : uint8_t { kDfu, kApp };

struct Setup {
  uint8_t request_type;
  uint8_t request;
  uint16_t value;
  uint16_t index;
  uint16_t length;

  bool in() const { return (request_type & 0x80) != 0; }
  // 0 standard, 1 class, 2 vendor.
  int kind() const { return request_type >> 5 & 3; }
};

// Of a control transfer. `data` is what an IN transfer returns; `taken` what an OUT transfer took, in bytes.
struct Answer {
  Status status = Status::kOk;
  Bytes data = {};
  uint16_t taken = 0;
};

// Endpoint addresses of the application's firmware.
constexpr uint8_t kOutEndpoint = 0x01;  // 0x01 to 0x03 with the firmware for several endpoints
constexpr uint8_t kLastOutEndpoint = 0x03;
constexpr uint8_t kOutputEndpoint = 0x81;
constexpr uint8_t kEventEndpoint = 0x82;
constexpr uint8_t kInterruptEndpoint = 0x83;

// A bulk or interrupt transfer. The front chooses `id`, which is unique among the transfers of one device.
struct Transfer {
  uint64_t id;
  uint8_t endpoint;
  Bytes data;           // OUT
  uint32_t length = 0;  // IN: the room there is, in bytes
};

struct Completion {
  uint64_t id;
  uint8_t endpoint;
  Status status;
  Bytes data;          // IN
  uint32_t taken = 0;  // OUT, in bytes
};

enum class Level : uint8_t {
  kTrace,  // every transfer
  kInfo,
  kError,  // what the user must know: also told to the program that runs
};

// Where the device says what it does.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void Say(Level level, const std::string& text) = 0;
};

}  // namespace coral_device
