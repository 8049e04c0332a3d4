#include "models/package.h"

#include <algorithm>
#include <utility>

#include "flatbuffers/flexbuffers.h"
#include "models/package_generated.h"
#include "models/place.h"

namespace coral_device {
namespace {

constexpr int kMaxDepth = 64;
constexpr unsigned kMaxTables = 50'000'000;

// Whether the bytes are a flatbuffer of this type, to the last offset.
template <typename Root>
bool Valid(const Bytes& bytes) {
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), kMaxDepth, kMaxTables);
  return verifier.VerifyBuffer<Root>(nullptr);
}

template <typename Vector>
size_t Count(const Vector* vector) {
  return vector == nullptr ? 0 : vector->size();
}

std::string Text(const flatbuffers::String* text) { return text == nullptr ? "" : text->str(); }

Chunk ReadChunk(const package::Instructions& instructions) {
  Chunk chunk;
  if (instructions.code() != nullptr) {
    chunk.code.assign(instructions.code()->begin(), instructions.code()->end());
  }
  chunk.patched.resize(chunk.code.size());
  for (size_t i = 0; i < Count(instructions.fields()); ++i) {
    const int64_t bit = instructions.fields()->Get(static_cast<unsigned>(i))->offset_bit();
    for (int64_t byte = bit / 8; byte <= (bit + 31) / 8; ++byte) {
      if (byte >= 0 && byte < static_cast<int64_t>(chunk.patched.size())) {
        chunk.patched[static_cast<size_t>(byte)] = true;
      }
    }
  }
  return chunk;
}

Result<Layer> ReadLayer(const package::Layer& layer) {
  Layer read;
  read.name = Text(layer.name());
  if (layer.executions() != 1) return Wrong{read.name + " is used several times in one inference"};
  switch (layer.data_type()) {
    case package::DataType::UINT8:
    case package::DataType::INT8:
      read.element_bytes = 1;
      break;
    case package::DataType::INT32:
    case package::DataType::SINGLE:
      read.element_bytes = 4;
      break;
    default:
      read.element_bytes = 2;
  }
  read.flip_sign =
      layer.data_type() == package::DataType::INT8 || layer.data_type() == package::DataType::INT16;
  if (layer.size_bytes() <= 0 || layer.y() <= 0 || layer.x() <= 0 || layer.z() <= 0) {
    return Wrong{read.name + " has no size"};
  }
  read.wire_bytes = static_cast<size_t>(layer.size_bytes());
  read.elements =
      static_cast<size_t>(layer.y()) * static_cast<size_t>(layer.x()) * static_cast<size_t>(layer.z());
  if (read.tensor_bytes() > read.wire_bytes) return Wrong{read.name + " is larger than its buffer"};
  if (const package::OutputLayer* output = layer.any_as_OutputLayer()) {
    std::string wrong = ReadPlaces(layer, *output, &read);
    if (!wrong.empty()) return Wrong{read.name + " " + wrong};
  }
  return read;
}

Result<std::vector<Layer>> ReadLayers(
    const flatbuffers::Vector<flatbuffers::Offset<package::Layer>>* layers) {
  std::vector<Layer> read;
  for (size_t i = 0; i < Count(layers); ++i) {
    Result<Layer> layer = ReadLayer(*layers->Get(static_cast<unsigned>(i)));
    if (!layer.ok()) return Wrong{"the layer " + layer.wrong()};
    read.push_back(std::move(layer.value()));
  }
  return read;
}

// Whether [offset, offset + size) lies within `room` bytes.
bool Fits(uint32_t offset, uint32_t size, size_t room) { return size > 0 && uint64_t{offset} + size <= room; }

std::string ReadDataStep(const package::Data& data, bool to_host, const Program& program, Step* step) {
  if (data.meta() == nullptr || data.offset() < 0 || data.size() <= 0 || data.meta()->batch() < 0) {
    return "a transfer makes no sense";
  }
  step->offset = static_cast<uint32_t>(data.offset());
  step->size = static_cast<uint32_t>(data.size());
  step->batch = static_cast<uint32_t>(data.meta()->batch());
  const std::vector<Layer>* layers = &program.inputs;
  switch (data.meta()->buffer()) {
    case package::Buffer::SCRATCH:
      step->kind = to_host ? StepKind::kScratchOut : StepKind::kScratchIn;
      return "";
    case package::Buffer::PARAMETERS:
      step->kind = StepKind::kParameters;
      return Fits(step->offset, step->size, program.parameters.size())
                 ? ""
                 : "a transfer is beyond the parameters";
    case package::Buffer::INPUT:
      step->kind = StepKind::kInput;
      break;
    default:
      step->kind = StepKind::kOutput;
      layers = &program.outputs;
  }
  const std::string name = Text(data.meta()->name());
  const auto found =
      std::find_if(layers->begin(), layers->end(), [&](const Layer& layer) { return layer.name == name; });
  if (found == layers->end()) return "a transfer is of the unknown layer " + name;
  step->index = static_cast<uint32_t>(found - layers->begin());
  const bool fits = Fits(step->offset, step->size, found->wire_bytes) && step->batch < program.batch_size;
  return fits ? "" : "a transfer is beyond the layer " + name;
}

std::string ReadStep(const package::Hint& hint, const Program& program, Step* step) {
  *step = {};
  if (const auto* data = hint.what_as_Data()) {
    return ReadDataStep(*data, hint.direction() == package::Direction::TO_HOST, program, step);
  }
  if (const auto* chunk = hint.what_as_Chunk()) {
    step->kind = StepKind::kInstructions;
    step->index = static_cast<uint32_t>(chunk->index());
    const bool known = step->index < program.chunks.size() && !program.chunks[step->index].code.empty();
    return known ? "" : "a transfer is of instructions that are not there";
  }
  if (const auto* interrupt = hint.what_as_Interrupt()) {
    step->kind = StepKind::kInterrupt;
    step->index = static_cast<uint32_t>(interrupt->number());
    return step->index < 4 ? "" : "it raises an unknown interrupt";
  }
  step->kind = StepKind::kFence;
  return hint.what_type() == package::What::Fence ? "" : "a transfer is of an unknown kind";
}

std::string ReadSteps(const package::Executable& executable, Program* program) {
  const package::Transfers* transfers = executable.transfers();
  if (transfers == nullptr || Count(transfers->hints()) == 0) return "it does not say what is sent";
  if (!transfers->deterministic()) {
    return "not all that it transfers is known before it runs, as with recurrent models; libedgetpu refuses "
           "it on USB";
  }
  for (const package::Hint* hint : *transfers->hints()) {
    Step step;
    const std::string wrong = ReadStep(*hint, *program, &step);
    if (!wrong.empty()) return wrong;
    program->steps.push_back(step);
  }
  return program->steps.front().kind == StepKind::kInstructions ? "" : "it does not begin with instructions";
}

std::string ReadProgram(const package::Executable& executable, Program* program) {
  if (executable.kind() < package::Kind::MIN || executable.kind() > package::Kind::MAX)
    return "it is of an unknown kind";
  if (executable.batch_size() <= 0 || executable.batch_size() > 65536) return "its batch size makes no sense";
  program->kind = static_cast<ProgramKind>(executable.kind());
  program->batch_size = static_cast<uint32_t>(executable.batch_size());
  program->caching_token = executable.caching_token();
  const int64_t cycles = executable.cycles() != 0 ? executable.cycles() : executable.cycles_32();
  program->cycles = static_cast<uint64_t>(std::max<int64_t>(cycles, 0));
  for (size_t i = 0; i < Count(executable.instructions()); ++i) {
    program->chunks.push_back(ReadChunk(*executable.instructions()->Get(static_cast<unsigned>(i))));
  }
  if (executable.parameters() != nullptr) {
    program->parameters.assign(executable.parameters()->begin(), executable.parameters()->end());
  }
  Result<std::vector<Layer>> inputs = ReadLayers(executable.inputs());
  if (!inputs.ok()) return inputs.wrong();
  program->inputs = std::move(inputs.value());
  Result<std::vector<Layer>> outputs = ReadLayers(executable.outputs());
  if (!outputs.ok()) return outputs.wrong();
  program->outputs = std::move(outputs.value());
  return ReadSteps(executable, program);
}

// Copies: what is inside of a flatbuffer need not have the alignment that one of its own has.
template <typename Vector>
Bytes Copy(const Vector& bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace

Result<DraftPrograms> ReadPackage(const std::string& model, size_t package, const uint8_t* options,
                                  size_t size) {
  const Wrong damaged{"the Edge TPU operation of " + model + " is damaged, or not of Google's compiler"};
  if (size < 3 || !flexbuffers::VerifyBuffer(options, size)) return damaged;
  const flexbuffers::Reference entry = flexbuffers::GetRoot(options, size).AsMap()["4"];
  if (!entry.IsString() && !entry.IsBlob()) return damaged;
  const flexbuffers::Blob blob = entry.AsBlob();
  const Bytes outer(blob.data(), blob.data() + blob.size());
  if (!Valid<package::Package>(outer)) return damaged;
  const auto* inner = package::GetPackage(outer.data())->executables();
  if (inner == nullptr) return damaged;
  const Bytes list = Copy(*inner);
  if (!Valid<package::ExecutableList>(list)) return damaged;
  DraftPrograms programs;
  const auto* executables = flatbuffers::GetRoot<package::ExecutableList>(list.data())->executables();
  for (size_t i = 0; i < Count(executables); ++i) {
    const Bytes bytes = Copy(*executables->Get(static_cast<unsigned>(i)));
    if (!Valid<package::Executable>(bytes)) return damaged;
    auto program = std::make_shared<Program>();
    program->model = model;
    program->package = package;
    const std::string wrong =
        ReadProgram(*flatbuffers::GetRoot<package::Executable>(bytes.data()), program.get());
    if (!wrong.empty()) return Wrong{"the device cannot run " + model + ": " + wrong};
    programs.push_back(std::move(program));
  }
  if (programs.empty()) return damaged;
  return programs;
}

}  // namespace coral_device
