// What the stand-in for libusb and coral-device say to each other on a Unix socket. Both run on one machine,
// under the same emulator or none, so numbers are as they lie in memory.
#pragma once

#include <cstdint>

namespace coral_device {

constexpr uint32_t kProtocolVersion = 1;
constexpr uint32_t kMaxPayload = 64u << 20;
constexpr char kSocketVariable[] = "CORAL_DEVICE_SOCKET";

// Each request gets one answer with its id, in the order in which things happen; so does what a cancel is
// for.
enum class Request : uint32_t {
  kHello = 1,         // words[0]: version
  kList,              // answer: ListEntry, one for each device on the bus
  kOpen,              // words[0]: ListEntry::device; the answer's status is the handle or an error
  kClose,             // of `handle`, as all below
  kReset,             //
  kClaim,             // words[0]: interface
  kRelease,           // words[0]: interface
  kSetConfiguration,  //
  kControl,           // payload: Setup's 8 bytes, then what is sent; answer: status, or bytes
  kSubmit,            // words[0]: endpoint; words[1]: room for IN; payload for OUT
  kCancel,            // words[0]: id (32 bits) of the transfer, control or submit, that is to end
  kTell,              // payload: a command for the device, as text; answer: text
};

struct RequestHead {
  Request request;
  uint32_t id;
  uint32_t handle;
  uint32_t words[2];
  uint32_t size;  // of the payload that follows, in bytes
};

enum class AnswerKind : uint32_t {
  kAnswer = 1,  // status: 0 or more, or one of libusb's errors
  kCompletion,  // of a transfer; status: libusb's transfer status
  kMessage,     // text for the user
};

struct AnswerHead {
  AnswerKind kind;
  uint32_t id;
  int32_t status;
  uint32_t taken;  // of an OUT transfer, in bytes
  uint32_t size;   // of the payload that follows, in bytes
};

struct ListEntry {
  uint32_t device;
  uint8_t bus, port, speed, address;
  uint8_t descriptor[18];
  uint8_t unused[2];
};

// libusb's errors, as far as they are used.
constexpr int32_t kIoError = -1, kAccessError = -3, kNoDeviceError = -4, kNotFoundError = -5, kBusyError = -6,
                  kTimeoutError = -7, kOverflowError = -8, kPipeError = -9, kNotSupportedError = -12;

}  // namespace coral_device
