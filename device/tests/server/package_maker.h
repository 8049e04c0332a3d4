// Writes compiled models in the form of Google's compiler, as far as the reader reads them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/usb.h"
#include "flatbuffers/flexbuffers.h"
#include "models/package_generated.h"

namespace coral_device {

using Builder = flatbuffers::FlatBufferBuilder;
using LayerOffset = flatbuffers::Offset<package::Layer>;

// What an executable says; the defaults are a small program that works.
struct Draft {
  package::Kind kind = package::Kind::EXECUTION_ONLY;
  int batch_size = 1;
  uint64_t token = 5;
  Bytes code = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  int field_bit = 16;
  Bytes parameters = {7, 8, 9};
  int input_bytes = 4, output_bytes = 8;
  int y = 1, x = 2, z = 2;
  int executions = 1;
  package::DataType type = package::DataType::INT8;
  bool slices = false;
  std::string input_of_hint = "in";
  int input_size_of_hint = 4, chunk_of_hint = 0;
  bool deterministic = true;
};

inline flatbuffers::Offset<package::Hint> DataHint(Builder* to, package::Buffer buffer,
                                                   const std::string& name, int size) {
  const auto meta = package::CreateMeta(*to, buffer, 0, to->CreateString(name));
  const auto data = package::CreateData(*to, meta, 0, size);
  return package::CreateHint(*to, package::What::Data, data.Union());
}

inline flatbuffers::Offset<package::OutputLayer> MakePlaces(Builder* to, const Draft& draft) {
  const auto numbers = [&](const std::vector<int32_t>& values) { return to->CreateVector(values); };
  if (!draft.slices) {
    // Two tiles beside each other, with a hole between them: x = 1 lies 4 bytes further.
    const auto layout = package::CreateLayout(*to, numbers({0}), numbers({0, 1}), numbers({0, 4}),
                                              numbers({0, 0}), numbers({0}), numbers({2, 2}));
    return package::CreateOutputLayer(*to, layout);
  }
  // Two slices, the second of which comes first; each of shape 1, 1, 1, 2 in four dimensions.
  std::vector<flatbuffers::Offset<package::SliceLayout>> slices;
  for (int x = 0; x < 2; ++x) {
    const std::vector<package::Range> ranges = {{0, 0}, {0, 0}, {x, x}, {0, 1}};
    const auto shape = package::CreateShape(*to, to->CreateVectorOfStructs(ranges));
    slices.push_back(package::CreateSliceLayout(*to, shape, numbers({4, 4, 2, 1})));
  }
  const auto made = package::CreateSlices(*to, to->CreateVector(slices), numbers({4, 0}));
  return package::CreateOutputLayer(*to, 0, made);
}

inline Bytes MakeExecutable(const Draft& draft) {
  Builder to;
  const auto fields = to.CreateVector(
      std::vector<flatbuffers::Offset<package::Field>>{package::CreateField(to, draft.field_bit)});
  const auto instructions = package::CreateInstructions(to, to.CreateVector(draft.code), fields);
  const auto in =
      package::CreateLayer(to, to.CreateString("in"), draft.input_bytes, 1, 1, 4, package::DataType::UINT8,
                           package::AnyLayer::NONE, 0, draft.executions);
  const std::vector<package::Range> whole = {{0, 0}, {0, draft.y - 1}, {0, draft.x - 1}, {0, draft.z - 1}};
  const auto shape = package::CreateShape(to, to.CreateVectorOfStructs(whole));
  const auto out = package::CreateLayer(to, to.CreateString("out"), draft.output_bytes, draft.y, draft.x,
                                        draft.z, draft.type, package::AnyLayer::OutputLayer,
                                        MakePlaces(&to, draft).Union(), 1, shape);
  const auto chunk = package::CreateChunk(to, draft.chunk_of_hint);
  const auto interrupt = package::CreateInterrupt(to, 0);
  const std::vector<flatbuffers::Offset<package::Hint>> hints = {
      package::CreateHint(to, package::What::Chunk, chunk.Union()),
      DataHint(&to, package::Buffer::INPUT, draft.input_of_hint, draft.input_size_of_hint),
      DataHint(&to, package::Buffer::PARAMETERS, "", 3), DataHint(&to, package::Buffer::OUTPUT, "out", 8),
      package::CreateHint(to, package::What::Interrupt, interrupt.Union())};
  const auto transfers = package::CreateTransfers(to, to.CreateVector(hints), draft.deterministic);
  const auto all = to.CreateVector(std::vector<flatbuffers::Offset<package::Instructions>>{instructions});
  const auto parameters = to.CreateVector(draft.parameters);
  const auto inputs = to.CreateVector(std::vector<LayerOffset>{in});
  const auto outputs = to.CreateVector(std::vector<LayerOffset>{out});
  package::ExecutableBuilder executable(to);
  executable.add_batch_size(draft.batch_size);
  executable.add_instructions(all);
  executable.add_parameters(parameters);
  executable.add_transfers(transfers);
  executable.add_inputs(inputs);
  executable.add_outputs(outputs);
  executable.add_kind(draft.kind);
  executable.add_caching_token(draft.token);
  to.Finish(executable.Finish());
  return Bytes(to.GetBufferPointer(), to.GetBufferPointer() + to.GetSize());
}

// The custom options of an operator with these programs.
inline Bytes MakeOptions(const std::vector<Draft>& drafts) {
  Builder list;
  std::vector<flatbuffers::Offset<flatbuffers::String>> strings;
  for (const Draft& draft : drafts) {
    const Bytes executable = MakeExecutable(draft);
    strings.push_back(list.CreateString(reinterpret_cast<const char*>(executable.data()), executable.size()));
  }
  list.Finish(package::CreateExecutableList(list, list.CreateVector(strings)));
  Builder outer;
  const auto executables = outer.CreateVector(list.GetBufferPointer(), list.GetSize());
  package::PackageBuilder made(outer);
  made.add_executables(executables);
  package::FinishPackageBuffer(outer, made.Finish());
  flexbuffers::Builder options;
  options.Map([&] {
    options.Key("4");
    options.String(std::string(reinterpret_cast<const char*>(outer.GetBufferPointer()), outer.GetSize()));
  });
  options.Finish();
  return options.GetBuffer();
}

}  // namespace coral_device
