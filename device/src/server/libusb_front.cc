#include "server/libusb_front.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace coral_device {
namespace {

// One program's context.
class Client : public Source, private User {
 public:
  Client(int socket, Bus* bus, const Tell& tell) : stream_(socket), bus_(bus), tell_(tell) {}
  ~Client() override {
    bus_->Forget(this);
    bus_->Pump();
  }

  int descriptor() const override { return stream_.descriptor(); }
  bool WantsToWrite() const override { return stream_.WantsToWrite(); }
  bool OnReady() override;

 private:
  bool TakeRequest();
  void Serve(const RequestHead& head, const Bytes& data);
  int32_t Simple(const RequestHead& head, size_t device);
  void List(uint32_t id);
  void OpenDevice(const RequestHead& head);
  void Control(const RequestHead& head, size_t device, const Bytes& data);
  void Submit(const RequestHead& head, size_t device, const Bytes& data);
  void Cancel(uint32_t id);
  void Answer(AnswerKind kind, uint32_t id, int32_t status, const Bytes& data = {}, uint32_t taken = 0);
  void OnCompletion(uint64_t id, const Completion& completion) override;
  void OnMessage(const std::string& text) override;

  Stream stream_;
  Bus* const bus_;
  const Tell& tell_;
  std::map<uint32_t, size_t> handles_;
  uint32_t next_handle_ = 1;
  // Control transfers that the device does not answer.
  std::set<uint32_t> silent_;
};

bool Client::OnReady() {
  const bool open = stream_.Receive();
  while (TakeRequest()) {
  }
  return open && stream_.Send();  // what was answered goes out at once
}

bool Client::TakeRequest() {
  const Bytes& received = stream_.received();
  RequestHead head;
  if (received.size() < sizeof(head)) return false;
  std::memcpy(&head, received.data(), sizeof(head));
  if (head.size > kMaxPayload) return false;
  if (received.size() < sizeof(head) + head.size) return false;
  const auto begin = received.begin() + sizeof(head);
  const Bytes data(begin, begin + head.size);
  stream_.Drop(sizeof(head) + head.size);
  Serve(head, data);
  bus_->Pump();
  return true;
}

void Client::Serve(const RequestHead& head, const Bytes& data) {
  switch (head.request) {
    case Request::kHello:
      return Answer(AnswerKind::kAnswer, head.id, head.words[0] == kProtocolVersion ? 0 : kNotSupportedError);
    case Request::kList:
      return List(head.id);
    case Request::kOpen:
      return OpenDevice(head);
    case Request::kCancel:
      return Cancel(head.words[0]);
    case Request::kTell: {
      const std::string answer = tell_(std::string(data.begin(), data.end()));
      return Answer(AnswerKind::kAnswer, head.id, 0, Bytes(answer.begin(), answer.end()));
    }
    default:
      break;
  }
  const auto handle = handles_.find(head.handle);
  if (handle == handles_.end()) return Answer(AnswerKind::kAnswer, head.id, kNotFoundError);
  if (head.request == Request::kControl) return Control(head, handle->second, data);
  if (head.request == Request::kSubmit) return Submit(head, handle->second, data);
  Answer(AnswerKind::kAnswer, head.id, Simple(head, handle->second));
}

int32_t Client::Simple(const RequestHead& head, size_t device) {
  switch (head.request) {
    case Request::kClose:
      handles_.erase(head.handle);
      bus_->Close(this, device);
      return 0;
    case Request::kReset:
      // What libusb makes of "not found" here, libedgetpu ignores: it opens the device anew.
      return bus_->Reset(this, device);
    case Request::kClaim:
      return bus_->Claim(this, device);
    case Request::kRelease:
      bus_->Release(this, device);
      return 0;
    case Request::kSetConfiguration:
      return bus_->device(device).present() ? 0 : kNoDeviceError;
    default:
      return kNotSupportedError;
  }
}

void Client::List(uint32_t id) {
  Bytes list;
  for (uint32_t i = 0; i < bus_->size(); ++i) {
    if (!bus_->device(i).present()) continue;
    const Appearance appearance = bus_->device(i).appearance();
    ListEntry entry = {};
    entry.device = i;
    entry.bus = 2;
    entry.port = static_cast<uint8_t>(1 + i);
    entry.speed = static_cast<uint8_t>(appearance.speed);
    const Bytes descriptor = DescriptorOf(appearance, 1);
    std::copy(descriptor.begin(), descriptor.end(), entry.descriptor);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&entry);
    list.insert(list.end(), bytes, bytes + sizeof(entry));
  }
  Answer(AnswerKind::kAnswer, id, 0, list);
}

void Client::OpenDevice(const RequestHead& head) {
  const size_t device = head.words[0];
  int32_t status = device < bus_->size() ? bus_->Open(this, device) : kNoDeviceError;
  if (status == 0) {
    status = static_cast<int32_t>(next_handle_);
    handles_[next_handle_++] = device;
  }
  Answer(AnswerKind::kAnswer, head.id, status);
}

void Client::Control(const RequestHead& head, size_t device, const Bytes& data) {
  if (data.size() < 8) return Answer(AnswerKind::kAnswer, head.id, kIoError);
  const auto word = [&](size_t at) { return static_cast<uint16_t>(data[at] | data[at + 1] << 8); };
  const Setup setup{data[0], data[1], word(2), word(4), word(6)};
  const auto answer = bus_->device(device).Control(setup, Bytes(data.begin() + 8, data.end()));
  if (!answer) {
    silent_.insert(head.id);
    return;
  }
  switch (answer->status) {
    case Status::kOk: {
      const size_t count = setup.in() ? answer->data.size() : answer->taken;
      return Answer(AnswerKind::kAnswer, head.id, static_cast<int32_t>(count), answer->data);
    }
    case Status::kStall:
      return Answer(AnswerKind::kAnswer, head.id, kPipeError);
    default:
      return Answer(AnswerKind::kAnswer, head.id, kNoDeviceError);
  }
}

void Client::Submit(const RequestHead& head, size_t device, const Bytes& data) {
  bus_->Submit(this, device, head.id, {0, static_cast<uint8_t>(head.words[0]), data, head.words[1]});
}

void Client::Cancel(uint32_t id) {
  if (silent_.erase(id) != 0) return Answer(AnswerKind::kAnswer, id, kTimeoutError);
  bus_->Cancel(this, id);  // where it has completed already, nothing is to be done
}

void Client::OnCompletion(uint64_t id, const Completion& completion) {
  Answer(AnswerKind::kCompletion, static_cast<uint32_t>(id), static_cast<int32_t>(completion.status),
         completion.data, completion.taken);
}

void Client::OnMessage(const std::string& text) {
  Answer(AnswerKind::kMessage, 0, 0, Bytes(text.begin(), text.end()));
}

void Client::Answer(AnswerKind kind, uint32_t id, int32_t status, const Bytes& data, uint32_t taken) {
  const AnswerHead head = {kind, id, status, taken, static_cast<uint32_t>(data.size())};
  stream_.Write(&head, sizeof(head));
  stream_.Write(data.data(), data.size());
}

}  // namespace

LibusbFront::LibusbFront(int listener, Bus* bus, Loop* loop, Tell tell)
    : listener_(listener), bus_(bus), loop_(loop), tell_(std::move(tell)) {}

LibusbFront::~LibusbFront() { close(listener_); }

bool LibusbFront::OnReady() {
  const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket >= 0) loop_->Add(std::make_unique<Client>(socket, bus_, tell_));
  return true;
}

}  // namespace coral_device
