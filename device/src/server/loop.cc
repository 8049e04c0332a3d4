#include "server/loop.h"

#include <poll.h>

#include <algorithm>
#include <iterator>

namespace coral_device {
namespace {

constexpr int kTickMilliseconds = 250;

}  // namespace

void Loop::Turn() {
  std::move(added_.begin(), added_.end(), std::back_inserter(sources_));
  added_.clear();
  std::vector<pollfd> waits;
  for (const auto& source : sources_) {
    const short events = static_cast<short>(POLLIN | (source->WantsToWrite() ? POLLOUT : 0));
    waits.push_back({source->descriptor(), events, 0});
  }
  poll(waits.data(), waits.size(), kTickMilliseconds);
  std::vector<std::unique_ptr<Source>> kept;
  for (size_t i = 0; i < waits.size(); ++i) {
    const bool stays = waits[i].revents == 0 || sources_[i]->OnReady();
    if (stays && sources_[i]->OnTick()) kept.push_back(std::move(sources_[i]));
  }
  sources_ = std::move(kept);
}

}  // namespace coral_device
