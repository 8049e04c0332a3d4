#include "server/worker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace coral_device {

Worker::Worker(Compute compute) : compute_(std::move(compute)) {
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  thread_ = std::thread([this] { Run(); });
}

Worker::~Worker() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    end_ = true;
  }
  changed_.notify_all();
  thread_.join();
  close(pipe_[0]);
  close(pipe_[1]);
}

void Worker::Start(size_t device, Job job) {
  std::lock_guard<std::mutex> lock(mutex_);
  jobs_.emplace_back(device, std::move(job));
  changed_.notify_all();
}

std::optional<Worker::Done> Worker::Take() {
  char bytes[64];
  while (read(pipe_[0], bytes, sizeof(bytes)) > 0) {
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (done_.empty()) return std::nullopt;
  Done first = std::move(done_.front());
  done_.pop_front();
  return first;
}

void Worker::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return end_ || !jobs_.empty(); });
    if (end_) return;
    const auto [device, job] = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    Done done{device, job.number, "", {}};
    done.wrong = compute_(*job.program, job.inputs, &done.outputs);
    lock.lock();
    done_.push_back(std::move(done));
    const char wake = 0;
    if (write(pipe_[1], &wake, 1) < 0) continue;  // full: a wake-up is there already
  }
}

}  // namespace coral_device
