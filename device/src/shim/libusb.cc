// A stand-in for libusb-1.0.so.0: the functions that libedgetpu uses, for the devices of a coral-device.
//
// It is put before the real one by LD_LIBRARY_PATH, so that an unmodified libedgetpu meets the emulated
// device.

#include "libusb-1.0/libusb.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "shim/connection.h"

using coral_device::Call;
using coral_device::Connection;
using coral_device::ListEntry;
using coral_device::Reply;
using coral_device::Request;

struct libusb_context {
  std::unique_ptr<Connection> connection;
};

struct libusb_device {
  libusb_context* context;
  ListEntry entry;
  std::atomic<int> references{1};
};

struct libusb_device_handle {
  libusb_device* device;
  uint32_t number;

  Connection& connection() const { return *device->context->connection; }
};

namespace {

void Unreference(libusb_device* device) {
  if (--device->references == 0) delete device;
}

// A call about an open device; what it needs besides comes in `call`.
int Ask(libusb_device_handle* handle, Call call) {
  call.handle = handle->number;
  return handle->connection().Ask(call).status;
}

int Number(libusb_device_handle* handle, Request request, int number) {
  Call call{request};
  call.words[0] = static_cast<uint32_t>(number);
  return Ask(handle, call);
}

// What a transfer's callback tells a caller that waits for it.
void LIBUSB_CALL SetDone(libusb_transfer* transfer) {
  *static_cast<std::atomic<bool>*>(transfer->user_data) = true;
}

int ErrorOf(libusb_transfer_status status) {
  switch (status) {
    case LIBUSB_TRANSFER_COMPLETED:
      return 0;
    case LIBUSB_TRANSFER_TIMED_OUT:
      return LIBUSB_ERROR_TIMEOUT;
    case LIBUSB_TRANSFER_STALL:
      return LIBUSB_ERROR_PIPE;
    case LIBUSB_TRANSFER_NO_DEVICE:
      return LIBUSB_ERROR_NO_DEVICE;
    case LIBUSB_TRANSFER_OVERFLOW:
      return LIBUSB_ERROR_OVERFLOW;
    case LIBUSB_TRANSFER_ERROR:
    case LIBUSB_TRANSFER_CANCELLED:
      break;
  }
  return LIBUSB_ERROR_IO;
}

}  // namespace

extern "C" {

// By its being there, programs know that what they drive is no hardware.
extern const char coral_emulated_device[] = "coral-device";

int libusb_init(libusb_context** context) {
  std::unique_ptr<Connection> connection(Connection::Make());
  if (connection == nullptr || context == nullptr) return LIBUSB_ERROR_OTHER;
  *context = new libusb_context{std::move(connection)};
  return 0;
}

void libusb_exit(libusb_context* context) { delete context; }

ssize_t libusb_get_device_list(libusb_context* context, libusb_device*** list) {
  const Reply reply = context->connection->Ask({Request::kList});
  const size_t count = reply.status < 0 ? 0 : reply.data.size() / sizeof(ListEntry);
  *list = static_cast<libusb_device**>(std::calloc(count + 1, sizeof(libusb_device*)));
  for (size_t i = 0; i < count; ++i) {
    (*list)[i] = new libusb_device{context, {}};
    std::memcpy(&(*list)[i]->entry, &reply.data[i * sizeof(ListEntry)], sizeof(ListEntry));
  }
  return static_cast<ssize_t>(count);
}

void libusb_free_device_list(libusb_device** list, int unreference) {
  if (list == nullptr) return;
  for (size_t i = 0; list[i] != nullptr; ++i) {
    if (unreference != 0) Unreference(list[i]);
  }
  std::free(list);
}

libusb_device* libusb_get_device(libusb_device_handle* handle) { return handle->device; }

uint8_t libusb_get_bus_number(libusb_device* device) { return device->entry.bus; }

uint8_t libusb_get_port_number(libusb_device* device) { return device->entry.port; }

int libusb_get_port_numbers(libusb_device* device, uint8_t* ports, int room) {
  if (room < 1) return LIBUSB_ERROR_OVERFLOW;
  ports[0] = device->entry.port;
  return 1;
}

int libusb_get_device_speed(libusb_device* device) { return device->entry.speed; }

int libusb_get_device_descriptor(libusb_device* device, libusb_device_descriptor* descriptor) {
  static_assert(sizeof(*descriptor) == sizeof(device->entry.descriptor), "USB's own layout");
  std::memcpy(descriptor, device->entry.descriptor, sizeof(*descriptor));
  return 0;
}

int libusb_open(libusb_device* device, libusb_device_handle** handle) {
  Call call{Request::kOpen};
  call.words[0] = device->entry.device;
  const int number = device->context->connection->Ask(call).status;
  if (number < 0) return number;
  ++device->references;
  *handle = new libusb_device_handle{device, static_cast<uint32_t>(number)};
  return 0;
}

void libusb_close(libusb_device_handle* handle) {
  Ask(handle, {Request::kClose});
  handle->connection().Wake();
  Unreference(handle->device);
  delete handle;
}

int libusb_reset_device(libusb_device_handle* handle) { return Ask(handle, {Request::kReset}); }

int libusb_set_configuration(libusb_device_handle* handle, int configuration) {
  return Number(handle, Request::kSetConfiguration, configuration);
}

int libusb_claim_interface(libusb_device_handle* handle, int interface) {
  return Number(handle, Request::kClaim, interface);
}

int libusb_release_interface(libusb_device_handle* handle, int interface) {
  return Number(handle, Request::kRelease, interface);
}

int libusb_control_transfer(libusb_device_handle* handle, uint8_t type, uint8_t request, uint16_t value,
                            uint16_t index, unsigned char* data, uint16_t length, unsigned int timeout) {
  const bool in = (type & LIBUSB_ENDPOINT_IN) != 0;
  const auto low = [](uint16_t number) { return static_cast<uint8_t>(number); };
  const auto high = [](uint16_t number) { return static_cast<uint8_t>(number >> 8); };
  const uint8_t setup[8] = {type,       request,     low(value),  high(value),
                            low(index), high(index), low(length), high(length)};
  Call call{Request::kControl, handle->number};
  call.data = setup;
  call.size = sizeof(setup);
  call.more = data;
  call.more_size = in ? 0 : length;
  call.timeout_ms = timeout;
  const Reply reply = handle->connection().Ask(call);
  if (in && reply.status > 0)
    std::memcpy(data, reply.data.data(), std::min<size_t>(reply.data.size(), length));
  return reply.status;
}

int libusb_bulk_transfer(libusb_device_handle* handle, unsigned char endpoint, unsigned char* data,
                         int length, int* transferred, unsigned int timeout) {
  libusb_transfer* transfer = libusb_alloc_transfer(0);
  std::atomic<bool> done{false};
  libusb_fill_bulk_transfer(transfer, handle, endpoint, data, length, SetDone, &done, timeout);
  int error = libusb_submit_transfer(transfer);
  if (error == 0) {
    while (!done) handle->connection().HandleEvents();
    if (transferred != nullptr) *transferred = transfer->actual_length;
    error = ErrorOf(transfer->status);
  }
  libusb_free_transfer(transfer);
  return error;
}

int libusb_interrupt_transfer(libusb_device_handle* handle, unsigned char endpoint, unsigned char* data,
                              int length, int* transferred, unsigned int timeout) {
  return libusb_bulk_transfer(handle, endpoint, data, length, transferred, timeout);
}

libusb_transfer* libusb_alloc_transfer(int) {
  return static_cast<libusb_transfer*>(std::calloc(1, sizeof(libusb_transfer)));
}

void libusb_free_transfer(libusb_transfer* transfer) { std::free(transfer); }

int libusb_submit_transfer(libusb_transfer* transfer) {
  return transfer->dev_handle->connection().Submit(transfer, transfer->dev_handle->number)
             ? 0
             : LIBUSB_ERROR_NO_DEVICE;
}

int libusb_cancel_transfer(libusb_transfer* transfer) {
  return transfer->dev_handle->connection().Cancel(transfer) ? 0 : LIBUSB_ERROR_NOT_FOUND;
}

int libusb_handle_events(libusb_context* context) {
  context->connection->HandleEvents();
  return 0;
}

}  // extern "C"
