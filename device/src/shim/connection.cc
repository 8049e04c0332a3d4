#include "shim/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace coral_device {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool SendAll(int socket, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

bool ReceiveAll(int socket, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t received = recv(socket, at, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    at += received;
    size -= static_cast<size_t>(received);
  }
  return true;
}

// Once in a process: whoever reads its output must not take this for hardware.
void Announce(const char* path) {
  static std::atomic<bool> announced{false};
  if (!announced.exchange(true)) {
    std::fprintf(stderr, "emulated device: this is no hardware, but coral-device at %s\n", path);
  }
}

int Connect(const char* path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof(address.sun_path)) return -1;
  std::strcpy(address.sun_path, path);
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made >= 0 && connect(made, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return made;
  if (made >= 0) close(made);
  return -1;
}

}  // namespace

Connection* Connection::Make() {
  const char* path = std::getenv(kSocketVariable);
  const int socket = path == nullptr ? -1 : Connect(path);
  if (socket < 0) {
    std::fprintf(
        stderr, "emulated device: this libusb is the stand-in of coral-device, which does not answer at %s\n",
        path == nullptr ? kSocketVariable : path);
    return nullptr;
  }
  auto* made = new Connection(socket);
  if (pipe2(made->wake_reader_, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  made->reader_ = std::thread([made] { made->Read(); });
  Call hello{Request::kHello};
  hello.words[0] = kProtocolVersion;
  if (made->Ask(hello).status != 0) {
    std::fprintf(stderr, "emulated device: coral-device at %s is of another version\n", path);
    delete made;
    return nullptr;
  }
  Announce(path);
  return made;
}

Connection::~Connection() {
  shutdown(socket_, SHUT_RDWR);
  reader_.join();
  close(socket_);
  close(wake_reader_[0]);
  close(wake_reader_[1]);
}

bool Connection::Send(const Call& call, uint32_t id) {
  const RequestHead head = {
      call.request, id, call.handle, {call.words[0], call.words[1]}, call.size + call.more_size};
  std::lock_guard<std::mutex> lock(send_mutex_);
  return SendAll(socket_, &head, sizeof(head)) && SendAll(socket_, call.data, call.size) &&
         SendAll(socket_, call.more, call.more_size);
}

Reply Connection::Ask(const Call& call) {
  Waiting waiting;
  std::unique_lock<std::mutex> lock(mutex_);
  if (lost_) return {kNoDeviceError, {}};
  const uint32_t id = next_id_++;
  calls_[id] = &waiting;
  lock.unlock();
  Send(call, id);
  lock.lock();
  const auto done = [&] { return waiting.done; };
  if (call.timeout_ms == 0) {
    changed_.wait(lock, done);
  } else if (!changed_.wait_for(lock, std::chrono::milliseconds(call.timeout_ms), done)) {
    lock.unlock();
    Call cancel{Request::kCancel, call.handle};
    cancel.words[0] = id;
    Send(cancel, 0);
    lock.lock();
    changed_.wait(lock, done);
  }
  return std::move(waiting.reply);
}

bool Connection::Submit(libusb_transfer* transfer, uint32_t handle) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (lost_) return false;
  const uint32_t id = next_id_++;
  Submitted& submitted = submitted_[id];
  submitted.transfer = transfer;
  submitted.limited = transfer->timeout != 0;
  submitted.deadline = Now() + transfer->timeout;
  lock.unlock();
  const bool in = (transfer->endpoint & LIBUSB_ENDPOINT_IN) != 0;
  Call call{Request::kSubmit, handle};
  call.words[0] = transfer->endpoint;
  call.words[1] = in ? static_cast<uint32_t>(transfer->length) : 0;
  call.data = transfer->buffer;
  call.size = in ? 0 : static_cast<uint32_t>(transfer->length);
  Send(call, id);  // if this fails, the reader finds out, and completes it
  const char wake = 0;
  return write(wake_reader_[1], &wake, 1) == 1 || errno == EAGAIN;
}

bool Connection::Cancel(libusb_transfer* transfer) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto found = std::find_if(submitted_.begin(), submitted_.end(),
                                  [&](const auto& entry) { return entry.second.transfer == transfer; });
  if (found == submitted_.end()) return false;
  Call cancel{Request::kCancel};
  cancel.words[0] = found->first;
  lock.unlock();
  return Send(cancel, 0);
}

// The reader's thread.

void Connection::Read() {
  pollfd waits[2] = {{socket_, POLLIN, 0}, {wake_reader_[0], POLLIN, 0}};
  for (;;) {
    const int ready = poll(waits, 2, WaitMilliseconds());
    if (ready < 0 && errno != EINTR) break;
    char bytes[64];
    while (read(wake_reader_[0], bytes, sizeof(bytes)) > 0) {
    }
    if (waits[0].revents != 0 && !ReadAnswer()) break;
    CancelExpired();
    waits[0].revents = 0;
  }
  Lost();
}

int Connection::WaitMilliseconds() {
  std::lock_guard<std::mutex> lock(mutex_);
  int64_t wait = 60'000;
  for (const auto& [id, submitted] : submitted_) {
    if (submitted.limited) wait = std::min(wait, submitted.deadline - Now());
  }
  return static_cast<int>(std::max<int64_t>(wait, 0));
}

void Connection::CancelExpired() {
  std::vector<uint32_t> expired;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto& [id, submitted] : submitted_) {
      if (!submitted.limited || submitted.deadline > Now()) continue;
      submitted.limited = false;
      submitted.expired = true;
      expired.push_back(id);
    }
  }
  for (const uint32_t id : expired) {
    Call cancel{Request::kCancel};
    cancel.words[0] = id;
    Send(cancel, 0);
  }
}

bool Connection::ReadAnswer() {
  AnswerHead head;
  if (!ReceiveAll(socket_, &head, sizeof(head)) || head.size > kMaxPayload) return false;
  std::vector<uint8_t> data(head.size);
  if (!ReceiveAll(socket_, data.data(), data.size())) return false;
  if (head.kind == AnswerKind::kMessage) {
    std::fprintf(stderr, "emulated device: %.*s\n", static_cast<int>(data.size()),
                 reinterpret_cast<const char*>(data.data()));
    return true;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (head.kind == AnswerKind::kCompletion) {
    Complete(head, data);
  } else if (const auto found = calls_.find(head.id); found != calls_.end()) {
    found->second->reply = {head.status, std::move(data)};
    found->second->done = true;
    calls_.erase(found);
  }
  changed_.notify_all();
  return true;
}

void Connection::Complete(const AnswerHead& head, const std::vector<uint8_t>& data) {
  const auto found = submitted_.find(head.id);
  if (found == submitted_.end()) return;
  const Submitted submitted = found->second;
  submitted_.erase(found);
  libusb_transfer* transfer = submitted.transfer;
  transfer->status = static_cast<libusb_transfer_status>(head.status);
  if (submitted.expired && transfer->status == LIBUSB_TRANSFER_CANCELLED)
    transfer->status = LIBUSB_TRANSFER_TIMED_OUT;
  transfer->actual_length = static_cast<int>(head.taken);
  if ((transfer->endpoint & LIBUSB_ENDPOINT_IN) != 0) {
    const size_t fits = std::min(data.size(), static_cast<size_t>(transfer->length));
    if (fits < data.size()) transfer->status = LIBUSB_TRANSFER_OVERFLOW;
    if (fits > 0) std::memcpy(transfer->buffer, data.data(), fits);
    transfer->actual_length = static_cast<int>(fits);
  }
  completed_.push_back(transfer);
}

void Connection::Lost() {
  std::lock_guard<std::mutex> lock(mutex_);
  lost_ = true;
  for (auto& [id, waiting] : calls_) {
    waiting->reply.status = kNoDeviceError;
    waiting->done = true;
  }
  calls_.clear();
  while (!submitted_.empty()) {
    Complete({AnswerKind::kCompletion, submitted_.begin()->first, LIBUSB_TRANSFER_NO_DEVICE, 0, 0}, {});
  }
  changed_.notify_all();
}

void Connection::HandleEvents() {
  std::vector<libusb_transfer*> completed;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(1), [&] { return woken_ || !completed_.empty(); });
    woken_ = false;
    completed.swap(completed_);
  }
  for (libusb_transfer* transfer : completed) {
    // The callback may free it.
    const bool free_it = (transfer->flags & LIBUSB_TRANSFER_FREE_TRANSFER) != 0;
    transfer->callback(transfer);
    if (free_it) libusb_free_transfer(transfer);
  }
}

void Connection::Wake() {
  std::lock_guard<std::mutex> lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

}  // namespace coral_device
