#include "server/bus.h"

#include <algorithm>
#include <utility>

#include "server/protocol.h"

namespace coral_device {

Bus::Bus(std::vector<Accelerator::Options> devices, const Programs* programs, Compute compute, Listener* log)
    : log_(log), worker_(std::move(compute)) {
  for (const Accelerator::Options& options : devices) {
    slots_.push_back(std::make_unique<Slot>(this, slots_.size(), options, programs));
  }
}

Bus::~Bus() = default;

int32_t Bus::Open(User* user, size_t device) {
  Slot& slot = *slots_[device];
  if (!slot.device.present()) return kNoDeviceError;
  if (slot.device.faults().Has(Fault::kAccess)) return kAccessError;
  slot.open.insert(user);
  return 0;
}

void Bus::Close(User* user, size_t device) {
  Slot& slot = *slots_[device];
  const auto found = slot.open.find(user);
  if (found != slot.open.end()) slot.open.erase(found);
  if (slot.open.count(user) == 0) Release(user, device);
}

int32_t Bus::Claim(User* user, size_t device) {
  Slot& slot = *slots_[device];
  if (!slot.device.present()) return kNoDeviceError;
  const bool taken = slot.claimed != nullptr && slot.claimed != user;
  if (taken || slot.device.faults().Has(Fault::kBusy)) return kBusyError;
  slot.claimed = user;
  return 0;
}

void Bus::Release(User* user, size_t device) {
  CancelAll(user, device);
  if (slots_[device]->claimed == user) slots_[device]->claimed = nullptr;
}

int32_t Bus::Reset(User* user, size_t device) {
  Slot& slot = *slots_[device];
  if (!slot.device.present()) return kNoDeviceError;
  if (slot.claimed != nullptr && slot.claimed != user) {
    log_->Say(Level::kInfo, "a second program has reset the device while a first one used it");
    slot.device.Abandon(Status::kNoDevice);
  }
  slot.claimed = nullptr;
  // A handle of a device that comes back as another one is of no use any more.
  return slot.device.Reset() ? kNotFoundError : 0;
}

void Bus::Submit(User* user, size_t device, uint64_t id, Transfer transfer) {
  transfer.id = next_++;
  routes_[transfer.id] = {user, id, device};
  slots_[device]->device.Submit(std::move(transfer));
}

bool Bus::Cancel(User* user, uint64_t id) {
  for (const auto& [ours, route] : routes_) {
    if (route.user != user || route.id != id) continue;
    slots_[route.device]->device.Cancel(ours);
    return true;
  }
  return false;
}

void Bus::CancelAll(User* user, size_t device) {
  for (const auto& [ours, route] : routes_) {
    if (route.user == user && route.device == device) slots_[device]->device.Cancel(ours);
  }
}

void Bus::Forget(User* user) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    const bool used = slots_[i]->claimed == user;
    slots_[i]->open.erase(user);
    Release(user, i);
    if (used) slots_[i]->device.Abandon(Status::kCancelled);
  }
  for (auto route = routes_.begin(); route != routes_.end();) {
    route = route->second.user == user ? routes_.erase(route) : std::next(route);
  }
}

void Bus::Pump() {
  while (std::optional<Worker::Done> done = worker_.Take()) {
    Accelerator& device = slots_[done->device]->device;
    if (done->wrong.empty()) {
      device.Finish(done->job, done->outputs);
    } else {
      device.Fail(done->job, done->wrong);
    }
  }
  for (const auto& slot : slots_) {
    while (std::optional<Job> job = slot->device.TakeJob()) worker_.Start(slot->number, std::move(*job));
    for (const Completion& completion : slot->device.TakeCompletions()) {
      const auto route = routes_.find(completion.id);
      if (route == routes_.end()) continue;
      const Route to = route->second;
      routes_.erase(route);
      to.user->OnCompletion(to.id, completion);
    }
  }
}

void Bus::Say(size_t device, Level level, const std::string& text) {
  log_->Say(level, slots_.size() > 1 ? "device " + std::to_string(device) + ": " + text : text);
  if (level != Level::kError || device >= slots_.size()) return;
  const std::set<User*> users(slots_[device]->open.begin(), slots_[device]->open.end());
  for (User* user : users) user->OnMessage(text);
}

std::string Bus::Stats() const {
  std::string text = "[";
  for (const auto& slot : slots_) text += (slot->number > 0 ? ",\n" : "") + slot->device.stats().Json();
  return text + "]\n";
}

}  // namespace coral_device
