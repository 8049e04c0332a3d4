#include "server/stream.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace coral_device {
namespace {

int MakeSocket(const std::string& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.size() >= sizeof(address->sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address->sun_path, path.c_str(), path.size());
  return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool Later() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Stream::~Stream() { close(socket_); }

void Stream::Write(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  out_.insert(out_.end(), bytes, bytes + size);
}

bool Stream::Send() {
  size_t done = 0;
  while (done < out_.size()) {
    const ssize_t sent = send(socket_, out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && !Later()) return false;
    if (sent <= 0) break;
    done += static_cast<size_t>(sent);
  }
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(done));
  return true;
}

bool Stream::Receive() {
  uint8_t buffer[1 << 16];
  for (;;) {
    const ssize_t received = recv(socket_, buffer, sizeof(buffer), 0);
    if (received == 0) return false;
    if (received < 0) return Later();
    in_.insert(in_.end(), buffer, buffer + received);
  }
}

int Listen(const std::string& path) {
  sockaddr_un address;
  const int made = MakeSocket(path, &address);
  if (made < 0) return -1;
  unlink(path.c_str());
  if (bind(made, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(made, 16) == 0)
    return made;
  close(made);
  return -1;
}

int Connect(const std::string& path) {
  sockaddr_un address;
  const int made = MakeSocket(path, &address);
  if (made < 0) return -1;
  if (connect(made, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return made;
  close(made);
  return -1;
}

}  // namespace coral_device
