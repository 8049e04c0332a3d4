// Computes outputs in a thread of its own, so that the device answers meanwhile.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "core/engine.h"

namespace coral_device {

class Worker {
 public:
  struct Done {
    size_t device;
    uint64_t job;
    std::string wrong;  // empty if nothing was
    Tensors outputs;
  };

  explicit Worker(Compute compute);
  // Waits for the job that is being computed.
  ~Worker();

  void Start(size_t device, Job job);
  std::optional<Done> Take();
  // Readable when something is done.
  int descriptor() const { return pipe_[0]; }

 private:
  void Run();

  const Compute compute_;
  int pipe_[2];
  std::mutex mutex_;
  std::condition_variable changed_;
  bool end_ = false;
  std::deque<std::pair<size_t, Job>> jobs_;
  std::deque<Done> done_;
  std::thread thread_;
};

}  // namespace coral_device
