#include "core/accelerator.h"

#include <algorithm>
#include <utility>

#include "core/bytes.h"

namespace coral_device {
namespace {

constexpr uint8_t kFirstEvent = 4;  // after the tags of instructions, input, parameters and output
constexpr size_t kHeaderBytes = 8;

}  // namespace

Accelerator::Accelerator(const Options& options, const Programs* programs, Listener* listener)
    : options_(options), listener_(listener), engine_(programs, this, &stats_), mode_(options.start) {}

Appearance Accelerator::appearance() const {
  return {mode_, options_.speed, options_.faults.Has(Fault::kWrongId)};
}

// Bulk and interrupt transfers.

void Accelerator::Submit(Transfer transfer) {
  if (!present_) return Complete(transfer, Status::kNoDevice);
  if ((transfer.endpoint & 0x80) != 0) {
    pending_.push_back(std::move(transfer));
    return Deliver();
  }
  const bool known = transfer.endpoint >= kOutEndpoint && transfer.endpoint <= kLastOutEndpoint;
  if (mode_ == Mode::kDfu || !known || halted_) return Complete(transfer, Status::kStall);
  // The first transfer of an inference, or one within it.
  const uint64_t inference = inferences_ + (executing_ ? 0 : 1);
  if (options_.faults.Has(Fault::kOutStall, inference)) return Complete(transfer, Status::kStall);
  if (options_.faults.Has(Fault::kOutSilent, inference)) return pending_.push_back(std::move(transfer));
  const bool taken = TakeOut(transfer);
  if (!present_) return Complete(transfer, Status::kNoDevice);
  Complete(transfer, taken ? Status::kOk : Status::kStall, {},
           taken ? static_cast<uint32_t>(transfer.data.size()) : 0);
  Deliver();
}

bool Accelerator::TakeOut(const Transfer& transfer) {
  if (registers_.DescribesTransfers()) {
    Halt("the driver wants a description of each transfer, which this device does not give");
    return false;
  }
  if (!registers_.SeveralEndpoints()) return TakeFramed(transfer.data);
  engine_.Feed(static_cast<Tag>(transfer.endpoint - kOutEndpoint), transfer.data, false);
  return !halted_;
}

bool Accelerator::TakeFramed(const Bytes& data) {
  if (!header_) {
    const uint8_t tag = data.size() == kHeaderBytes ? data[4] : 0xFF;
    if (tag >= kTags) {
      Halt("what came instead of a header makes no sense (" + std::to_string(data.size()) + " bytes)");
      return false;
    }
    header_ = Header{static_cast<Tag>(tag), static_cast<uint32_t>(Number(data.data(), 4)), {}};
    return true;
  }
  if (data.size() > header_->rest) {
    Halt("more data came than its header said");
    return false;
  }
  header_->data.insert(header_->data.end(), data.begin(), data.end());
  header_->rest -= static_cast<uint32_t>(data.size());
  if (header_->rest > 0) return true;
  const Header message = std::move(*header_);
  header_.reset();
  engine_.Feed(message.tag, message.data, true);
  return !halted_;
}

void Accelerator::Cancel(uint64_t id) {
  const auto found = std::find_if(pending_.begin(), pending_.end(),
                                  [id](const Transfer& transfer) { return transfer.id == id; });
  if (found == pending_.end()) return;
  Complete(*found, Status::kCancelled);
  pending_.erase(found);
}

void Accelerator::Abandon(Status status) {
  for (const Transfer& transfer : pending_) Complete(transfer, status);
  pending_.clear();
  Forget(false);
}

void Accelerator::Complete(const Transfer& transfer, Status status, Bytes data, uint32_t taken) {
  completions_.push_back({transfer.id, transfer.endpoint, status, std::move(data), taken});
}

std::vector<Completion> Accelerator::TakeCompletions() { return std::exchange(completions_, {}); }

void Accelerator::Deliver() {
  while (DeliverTo(kOutputEndpoint, &outputs_) || DeliverTo(kEventEndpoint, &events_) ||
         DeliverTo(kInterruptEndpoint, &interrupts_)) {
  }
}

bool Accelerator::DeliverTo(uint8_t endpoint, std::deque<Bytes>* waiting) {
  const auto found = std::find_if(pending_.begin(), pending_.end(), [endpoint](const Transfer& transfer) {
    return transfer.endpoint == endpoint;
  });
  if (found == pending_.end()) return false;
  if (halted_ && endpoint == kOutputEndpoint) {
    Complete(*found, Status::kStall);
    pending_.erase(found);
    return true;
  }
  if (waiting->empty()) return false;
  Bytes& first = waiting->front();
  const auto end = first.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(first.size(), found->length));
  Complete(*found, Status::kOk, Bytes(first.begin(), end));
  first.erase(first.begin(), end);
  if (first.empty()) waiting->pop_front();
  pending_.erase(found);
  return true;
}

// What changes the whole device.

bool Accelerator::Reset() {
  if (!present_) return false;
  stats_.CountReset();
  const Mode old = mode_;
  if (mode_ == Mode::kDfu && boot_loader_.Complete()) {
    mode_ = Mode::kApp;
  } else if (mode_ == Mode::kApp && detached_) {
    mode_ = Mode::kDfu;
  }
  Abandon(Status::kCancelled);
  Forget(true);
  boot_loader_.Restart();
  registers_.Restart();
  detached_ = false;
  if (mode_ == old) return false;
  listener_->Say(Level::kInfo, mode_ == Mode::kApp ? "the firmware runs" : "back in the boot loader");
  if (mode_ == Mode::kApp && options_.faults.Has(Fault::kLostAfterReset)) Unplug();
  return true;
}

void Accelerator::Unplug() {
  if (!present_) return;
  listener_->Say(Level::kInfo, "unplugged");
  present_ = false;
  Abandon(Status::kNoDevice);
  Forget(true);
  boot_loader_.Restart();
  registers_.Restart();
  detached_ = false;
}

void Accelerator::Plug() {
  if (present_) return;
  listener_->Say(Level::kInfo, "plugged in");
  present_ = true;
  mode_ = options_.start;
}

void Accelerator::Forget(bool sleep) {
  engine_.Restart(sleep);
  header_.reset();
  outputs_.clear();
  events_.clear();
  interrupts_.clear();
  halted_ = false;
  executing_ = false;
}

void Accelerator::Halt(const std::string& why) {
  halted_ = true;
  listener_->Say(Level::kError, why);
  Deliver();
}

void Accelerator::Finish(uint64_t job, const Tensors& outputs) {
  engine_.Finish(job, outputs, Happens(Fault::kPlainLayout));
  Deliver();
}

void Accelerator::Fail(uint64_t job, const std::string& why) { engine_.Fail(job, why); }

// What the engine tells.

void Accelerator::OnStart(const Program& program) {
  executing_ = program.kind != ProgramKind::kParameterCaching;
  if (executing_) ++inferences_;
  listener_->Say(Level::kTrace, (executing_ ? "inference " + std::to_string(inferences_) + " of "
                                            : std::string("parameters of ")) +
                                    program.model);
  if (Happens(Fault::kInputUnplug)) Unplug();
}

void Accelerator::OnParameters(const Program&) {
  if (options_.faults.Has(Fault::kParametersUnplug)) Unplug();
}

void Accelerator::OnOutput(Bytes bytes) {
  if (Happens(Fault::kOutputUnplug)) return Unplug();
  if (Happens(Fault::kStallOutput)) {
    halted_ = true;
    return;
  }
  if (Happens(Fault::kHang) || Happens(Fault::kNoOutput)) return;
  if (Happens(Fault::kShortOutput)) bytes.resize(bytes.size() / 2);
  if (Happens(Fault::kWrongOutput)) bytes[0] ^= 1;
  if (!bytes.empty()) outputs_.push_back(std::move(bytes));
}

void Accelerator::OnInterrupt(uint8_t number) {
  if (Happens(Fault::kFatal)) {
    registers_.RaiseFatalError();
    interrupts_.push_back({1, 0, 0, 0});
  }
  if (Happens(Fault::kHang) || Happens(Fault::kNoEvent)) return;
  Bytes event(16);
  event[12] = static_cast<uint8_t>(kFirstEvent + number);
  events_.push_back(std::move(event));
}

void Accelerator::OnDone(const Program& program) {
  listener_->Say(Level::kTrace, "done: " + program.model);
  const bool unplug = Happens(Fault::kIdleUnplug);
  executing_ = false;
  if (!unplug) return;
  Deliver();
  Unplug();
}

void Accelerator::OnFailure(const std::string& why) { Halt(why); }

}  // namespace coral_device
