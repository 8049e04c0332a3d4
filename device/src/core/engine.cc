#include "core/engine.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace coral_device {
namespace {

constexpr uint32_t kHeaderBytes = 8, kEventBytes = 16;

std::string Describe(const Program& program) {
  switch (program.kind) {
    case ProgramKind::kParameterCaching:
      return program.model + " (parameters)";
    case ProgramKind::kExecutionOnly:
    case ProgramKind::kStandAlone:
      return program.model;
  }
  return program.model;
}

}  // namespace

Engine::Engine(const Programs* programs, EngineClient* client, Stats* stats)
    : programs_(programs), client_(client), stats_(stats) {}

void Engine::Feed(Tag tag, const Bytes& data, bool whole) {
  Bytes& stream = streams_[static_cast<size_t>(tag)];
  stream.insert(stream.end(), data.begin(), data.end());
  whole_ = whole;
  while (!stopped_ && Advance()) {
  }
}

bool Engine::Advance() {
  if (!current_) return Begin();
  if (current_->position == current_->program().steps.size()) {
    End();
    return true;
  }
  if (!Perform(current_->program().steps[current_->position])) return false;
  if (current_) ++current_->position;  // a client may have restarted us
  return current_.has_value();
}

bool Engine::Begin() {
  const Bytes& sent = streams_[static_cast<size_t>(Tag::kInstructions)];
  if (sent.empty()) return false;
  Run run;
  size_t longest = 0;
  for (const auto& program : *programs_) {
    const Chunk& first = program->first();
    longest = std::max(longest, first.code.size());
    if (sent.size() >= first.code.size() && first.Matches(sent.data())) run.candidates.push_back(program);
  }
  if (run.candidates.empty()) {
    if (whole_ || sent.size() >= longest) {
      Stop("instructions of " + std::to_string(sent.size()) +
           " bytes belong to none of the models it was given");
    }
    return false;
  }
  const Program& program = *run.candidates.front();
  for (const Layer& layer : program.inputs) run.inputs.emplace_back(layer.wire_bytes * program.batch_size);
  current_ = std::move(run);
  client_->OnStart(program);
  return current_.has_value();
}

bool Engine::Perform(const Step& step) {
  switch (step.kind) {
    case StepKind::kInstructions:
      return TakeInstructions(step);
    case StepKind::kParameters:
      return TakeParameters(step);
    case StepKind::kInput:
      return TakeInput(step);
    case StepKind::kScratchIn:
      return Take(Tag::kInput, step.size).has_value();
    case StepKind::kOutput:
      return SendOutput(step);
    case StepKind::kScratchOut:
      client_->OnOutput(Bytes(step.size));
      return true;
    case StepKind::kInterrupt:
      current_->traffic.events += kEventBytes;
      client_->OnInterrupt(static_cast<uint8_t>(step.index));
      return true;
    case StepKind::kFence:
      return true;
  }
  return false;
}

std::optional<Bytes> Engine::Take(Tag tag, size_t size) {
  Bytes& stream = streams_[static_cast<size_t>(tag)];
  if (stream.size() < size) return std::nullopt;
  const auto end = stream.begin() + static_cast<std::ptrdiff_t>(size);
  Bytes taken(stream.begin(), end);
  stream.erase(stream.begin(), end);
  if (whole_) current_->traffic.headers += kHeaderBytes;
  return taken;
}

bool Engine::TakeInstructions(const Step& step) {
  const Chunk& chunk = current_->program().chunks[step.index];
  const std::optional<Bytes> sent = Take(Tag::kInstructions, chunk.code.size());
  if (!sent) return false;
  current_->traffic.instructions += sent->size();
  if (chunk.Matches(sent->data())) return true;
  Stop("instructions differ from those of " + Describe(current_->program()));
  return false;
}

bool Engine::TakeParameters(const Step& step) {
  const std::optional<Bytes> sent = Take(Tag::kParameters, step.size);
  if (!sent) return false;
  const std::string name = Describe(current_->program());
  Programs& candidates = current_->candidates;
  const auto differs = [&](const std::shared_ptr<const Program>& one) {
    return std::memcmp(&one->parameters[step.offset], sent->data(), sent->size()) != 0;
  };
  candidates.erase(std::remove_if(candidates.begin(), candidates.end(), differs), candidates.end());
  if (candidates.empty()) {
    Stop("parameters differ from those of " + name);
    return false;
  }
  current_->traffic.parameters += sent->size();
  client_->OnParameters(current_->program());
  return current_.has_value();
}

bool Engine::TakeInput(const Step& step) {
  const std::optional<Bytes> sent = Take(Tag::kInput, step.size);
  if (!sent) return false;
  const Layer& layer = current_->program().inputs[step.index];
  std::copy(sent->begin(), sent->end(),
            current_->inputs[step.index].begin() +
                static_cast<std::ptrdiff_t>(layer.wire_bytes * step.batch + step.offset));
  current_->traffic.inputs += sent->size();
  return true;
}

bool Engine::SendOutput(const Step& step) {
  if (!current_->computed) {
    if (!current_->computing) StartComputing();
    return false;
  }
  const Layer& layer = current_->program().outputs[step.index];
  const auto begin = current_->outputs[step.index].begin() +
                     static_cast<std::ptrdiff_t>(layer.wire_bytes * step.batch + step.offset);
  current_->traffic.outputs += step.size;
  client_->OnOutput(Bytes(begin, begin + step.size));
  return current_.has_value();
}

std::string Engine::MissingParameters(const Program& program) const {
  const bool cached = program.kind == ProgramKind::kExecutionOnly && program.caching_token != 0;
  if (!cached || (program.caching_token == cached_token_ && cached_.count(program.package) != 0)) return "";
  return "the parameters of " + Describe(program) +
         " are not in the chip's memory: none, or another model's, are";
}

void Engine::StartComputing() {
  // Of models whose instructions are equal, the one whose parameters were loaded is meant.
  Programs& candidates = current_->candidates;
  std::string missing = MissingParameters(*candidates.front());
  while (!missing.empty() && candidates.size() > 1) {
    candidates.erase(candidates.begin());
    missing = MissingParameters(*candidates.front());
  }
  if (!missing.empty()) return Stop(missing);
  const Program& program = current_->program();
  Tensors inputs(program.batch_size);
  for (uint32_t batch = 0; batch < program.batch_size; ++batch) {
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      const Layer& layer = program.inputs[i];
      inputs[batch].push_back(ToTensor(layer, &current_->inputs[i][layer.wire_bytes * batch]));
    }
  }
  current_->computing = true;
  job_ = Job{++jobs_, candidates.front(), std::move(inputs)};
}

std::optional<Job> Engine::TakeJob() { return std::exchange(job_, std::nullopt); }

void Engine::Finish(uint64_t number, const Tensors& outputs, bool in_order) {
  if (!current_ || !current_->computing || number != jobs_) return;
  const Program& program = current_->program();
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    Bytes wire;
    for (uint32_t batch = 0; batch < program.batch_size; ++batch) {
      const Bytes one = ToWire(program.outputs[i], outputs[batch][i], in_order);
      wire.insert(wire.end(), one.begin(), one.end());
    }
    current_->outputs.push_back(std::move(wire));
  }
  current_->computing = false;
  current_->computed = true;
  while (!stopped_ && Advance()) {
  }
}

void Engine::Fail(uint64_t number, const std::string& why) {
  if (current_ && current_->computing && number == jobs_) Stop(why);
}

void Engine::End() {
  const std::shared_ptr<const Program> program = current_->candidates.front();
  if (program->kind == ProgramKind::kParameterCaching) {
    if (program->caching_token != cached_token_) cached_.clear();
    cached_token_ = program->caching_token;
    cached_.insert(program->package);
  }
  stats_->Ran(*program, current_->traffic);
  current_.reset();
  client_->OnDone(*program);
}

void Engine::Stop(const std::string& why) {
  stopped_ = true;
  current_.reset();
  job_.reset();
  client_->OnFailure(why);
}

void Engine::Restart(bool sleep) {
  for (Bytes& stream : streams_) stream.clear();
  current_.reset();
  job_.reset();
  stopped_ = false;
  ++jobs_;  // what is still being computed is for nobody
  if (sleep) {
    cached_token_ = 0;
    cached_.clear();
  }
}

}  // namespace coral_device
