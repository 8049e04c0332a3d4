// A connection to coral-device, for one libusb context. Any thread may call it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "libusb-1.0/libusb.h"
#include "server/protocol.h"

namespace coral_device {

// Waits for a call; the answer's status, and its bytes.
struct Reply {
  int32_t status = 0;
  std::vector<uint8_t> data;
};

struct Call {
  Request request;
  uint32_t handle = 0;
  uint32_t words[2] = {0, 0};
  const uint8_t* data = nullptr;
  uint32_t size = 0;
  const uint8_t* more = nullptr;  // sent after `data`
  uint32_t more_size = 0;
  unsigned timeout_ms = 0;  // 0: none
};

class Connection {
 public:
  // Null if there is no device to talk to; says why.
  static Connection* Make();
  ~Connection();

  // A call whose time is up is cancelled, and it is the device that says whether it was in time: a slow
  // machine makes nothing fail.
  Reply Ask(const Call& call);

  bool Submit(libusb_transfer* transfer, uint32_t handle);
  bool Cancel(libusb_transfer* transfer);
  // Calls back for what has completed; waits for that, for Wake(), or a second.
  void HandleEvents();
  void Wake();

 private:
  struct Waiting {
    bool done = false;
    Reply reply;
  };
  struct Submitted {
    libusb_transfer* transfer;
    bool limited = false;  // it has a deadline, which has not passed
    bool expired = false;  // its time was up: cancelled by us
    int64_t deadline = 0;  // milliseconds of the steady clock
  };

  explicit Connection(int socket) : socket_(socket) {}
  void Read();
  int WaitMilliseconds();
  void CancelExpired();
  bool ReadAnswer();
  void Complete(const AnswerHead& head, const std::vector<uint8_t>& data);
  void Lost();
  bool Send(const Call& call, uint32_t id);

  const int socket_;
  int wake_reader_[2] = {-1, -1};
  std::thread reader_;
  std::mutex send_mutex_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool lost_ = false;
  bool woken_ = false;
  uint32_t next_id_ = 1;
  std::map<uint32_t, Waiting*> calls_;
  std::map<uint32_t, Submitted> submitted_;
  std::vector<libusb_transfer*> completed_;
};

}  // namespace coral_device
