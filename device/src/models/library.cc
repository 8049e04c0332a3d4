#include "models/library.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "flatbuffers/flatbuffers.h"
#include "models/package.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace coral_device {
namespace {

constexpr char kCustomOperator[] = "edgetpu-custom-op";

Result<Bytes> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || bytes.empty()) return Wrong{path + " cannot be read"};
  return bytes;
}

// The file with its folder: in a bundle all files have one name, and the folder is the model's.
std::string ShortName(const std::string& path) {
  const size_t file = path.rfind('/');
  if (file == std::string::npos || file == 0) return path;
  return path.substr(path.rfind('/', file - 1) + 1);
}

bool ForEdgeTpu(const tflite::Model& model, const tflite::Operator& one) {
  const auto* codes = model.operator_codes();
  if (codes == nullptr || one.opcode_index() >= codes->size()) return false;
  const auto* name = codes->Get(one.opcode_index())->custom_code();
  return name != nullptr && name->str() == kCustomOperator;
}

std::vector<std::string> Names(const std::vector<Layer>& layers) {
  std::vector<std::string> names;
  for (const Layer& layer : layers) names.push_back(layer.name);
  return names;
}

}  // namespace

std::string Library::Add(const std::string& compiled, const std::string& plain) {
  Result<Bytes> file = ReadFile(compiled);
  if (!file.ok()) return file.wrong();
  Result<Bytes> plain_file = ReadFile(plain);
  if (!plain_file.ok()) return plain_file.wrong();
  flatbuffers::Verifier verifier(file.value().data(), file.value().size());
  if (!tflite::VerifyModelBuffer(verifier)) return compiled + " is no TensorFlow Lite model, or damaged";
  const tflite::Model& model = *tflite::GetModel(file.value().data());
  const std::string name = ShortName(compiled);
  const size_t before = packages_;
  if (model.subgraphs() != nullptr && model.subgraphs()->size() > 0) {
    const auto* operators = model.subgraphs()->Get(0)->operators();
    for (unsigned i = 0; operators != nullptr && i < operators->size(); ++i) {
      const tflite::Operator& one = *operators->Get(i);
      if (!ForEdgeTpu(model, one)) continue;
      if (one.custom_options() == nullptr) return compiled + " has an Edge TPU operation without a program";
      std::string wrong =
          AddPackage(name, plain_file.value(), one.custom_options()->data(), one.custom_options()->size());
      if (!wrong.empty()) return wrong + " (" + compiled + "=" + plain + ")";
    }
  }
  return packages_ > before ? "" : compiled + " is not compiled for the Edge TPU";
}

std::string Library::AddPackage(const std::string& name, const Bytes& plain, const uint8_t* options,
                                size_t size) {
  Result<DraftPrograms> programs = ReadPackage(name, packages_++, options, size);
  if (!programs.ok()) return programs.wrong();
  for (auto& program : programs.value()) {
    if (program->kind != ProgramKind::kParameterCaching) {
      const std::string wrong = AddPart(program.get(), plain);
      if (!wrong.empty()) return "the plain model does not belong to " + name + ": " + wrong;
    }
    programs_.push_back(std::move(program));
  }
  return "";
}

std::string Library::AddPart(Program* program, const Bytes& plain) {
  Result<std::unique_ptr<PlainPart>> part =
      PlainPart::Make(plain, Names(program->inputs), Names(program->outputs));
  if (!part.ok()) return part.wrong();
  const auto differs = [](const Layer& layer, size_t bytes) {
    return layer.tensor_bytes() == bytes ? ""
                                         : layer.name + " has " + std::to_string(bytes) +
                                               " bytes instead of " + std::to_string(layer.tensor_bytes());
  };
  for (size_t i = 0; i < program->inputs.size(); ++i) {
    const std::string wrong = differs(program->inputs[i], part.value()->InputBytes(i));
    if (!wrong.empty()) return wrong;
  }
  for (size_t i = 0; i < program->outputs.size(); ++i) {
    const std::string wrong = differs(program->outputs[i], part.value()->OutputBytes(i));
    if (!wrong.empty()) return wrong;
  }
  program->multiplications = part.value()->Count();
  parts_[program] = std::move(part.value());
  return "";
}

std::string Library::Compute(const Program& program, const Tensors& inputs, Tensors* outputs) {
  const auto part = parts_.find(&program);
  if (part == parts_.end()) return "there is no plain model for " + program.model;
  for (const std::vector<Bytes>& one : inputs) {
    outputs->emplace_back();
    const std::string wrong = part->second->Run(one, &outputs->back());
    if (!wrong.empty()) return wrong + " for the plain model of " + program.model;
  }
  return "";
}

}  // namespace coral_device
