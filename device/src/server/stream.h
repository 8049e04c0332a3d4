// A Unix socket that never blocks: what cannot be sent yet is kept.
#pragma once

#include <cstddef>
#include <string>

#include "core/usb.h"

namespace coral_device {

class Stream {
 public:
  explicit Stream(int socket) : socket_(socket) {}
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int descriptor() const { return socket_; }
  bool WantsToWrite() const { return !out_.empty(); }
  void Write(const void* data, size_t size);
  // Sends what can be, receives what is there. False: the other side has closed it.
  bool Send();
  bool Receive();

  // What was received and not yet taken.
  const Bytes& received() const { return in_; }
  void Drop(size_t size) { in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(size)); }

 private:
  const int socket_;
  Bytes in_, out_;
};

// A socket that listens at a path, or is connected to it; -1 if that cannot be.
int Listen(const std::string& path);
int Connect(const std::string& path);

}  // namespace coral_device
