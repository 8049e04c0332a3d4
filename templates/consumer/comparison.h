// The outputs of a model on the Edge TPU beside those of the same model on the CPU, tensor by tensor.
#ifndef CORAL_COMPARISON_H_
#define CORAL_COMPARISON_H_

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cli.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/interpreter.h"

namespace coral {

// What a tensor held, which outlives its interpreter.
struct Output {
  std::string name;
  std::string kind;  // type and shape: "uint8 [1, 1001]"
  TfLiteType type = kTfLiteNoType;
  size_t width = 1;   // bytes of an element
  double scale = 0;   // of a quantized tensor; 0 for others
  bool list = false;  // only the last dimension is larger than 1: it may be scores, with a best one
  std::vector<uint8_t> bytes;

  size_t Count() const { return bytes.size() / width; }

  // The element as it is stored, not scaled.
  double At(size_t i) const {
    const uint8_t* const at = &bytes[i * width];
    const auto read = [&](auto value) {
      std::memcpy(&value, at, sizeof(value));
      return static_cast<double>(value);
    };
    switch (type) {
      case kTfLiteInt8:
        return read(int8_t{});
      case kTfLiteInt16:
        return read(int16_t{});
      case kTfLiteInt32:
        return read(int32_t{});
      case kTfLiteInt64:
        return read(int64_t{});
      case kTfLiteFloat32:
        return read(float{});
      default:
        return *at;
    }
  }
};

inline size_t WidthOf(const TfLiteTensor& tensor) {
  switch (tensor.type) {
    case kTfLiteUInt8:
    case kTfLiteInt8:
    case kTfLiteBool:
      return 1;
    case kTfLiteInt16:
      return 2;
    case kTfLiteInt32:
    case kTfLiteFloat32:
      return 4;
    case kTfLiteInt64:
      return 8;
    default:
      throw Failure(kCannotRun,
                    std::string("outputs of type ") + TfLiteTypeGetName(tensor.type) + " cannot be compared");
  }
}

// "uint8 [1, 128, 128, 3]"
inline std::string KindOf(const TfLiteTensor& tensor) {
  std::string kind = TfLiteTypeGetName(tensor.type);
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  kind += " [";
  for (int i = 0; tensor.dims != nullptr && i < tensor.dims->size; ++i) {
    kind += (i == 0 ? "" : ", ") + std::to_string(tensor.dims->data[i]);
  }
  return kind + "]";
}

inline std::vector<std::string> InputKinds(tflite::Interpreter& interpreter) {
  std::vector<std::string> kinds;
  for (size_t i = 0; i < interpreter.inputs().size(); ++i)
    kinds.push_back(KindOf(*interpreter.input_tensor(i)));
  return kinds;
}

inline std::vector<Output> CopyOutputs(tflite::Interpreter& interpreter) {
  std::vector<Output> outputs;
  for (size_t i = 0; i < interpreter.outputs().size(); ++i) {
    const TfLiteTensor& tensor = *interpreter.output_tensor(i);
    Output output;
    output.name = Printable(tensor.name == nullptr ? "" : tensor.name);
    output.kind = KindOf(tensor);
    output.type = tensor.type;
    output.width = WidthOf(tensor);
    output.scale = static_cast<double>(tensor.params.scale);
    if (tensor.data.raw != nullptr) {
      output.bytes.assign(tensor.data.raw, tensor.data.raw + tensor.bytes / output.width * output.width);
    }
    const int last = tensor.dims == nullptr ? 0 : tensor.dims->size - 1;
    output.list = last >= 0 && output.Count() > 1 &&
                  output.Count() == static_cast<size_t>(std::max(tensor.dims->data[last], 0));
    outputs.push_back(output);
  }
  return outputs;
}

// How far one output of the Edge TPU is from the plain model's. A step is the smallest difference that a
// quantized tensor can show; of a float tensor it is 1/255 of the range that the plain model's values have.
struct Difference {
  std::string name, kind;
  size_t values = 0;
  size_t differing = 0;
  double max_steps = 0;  // infinite where a value is NaN or infinite in one of them only
  bool list = false;     // whether there is a best class
  size_t best = 0, best_plain = 0;
  bool same_best = true;  // classes with equal scores count as the same
  bool agrees = true;  // the same, but equal scores of ours count as no answer: a device may give one to all
};

// The first of the largest values; NaN is never the largest.
inline size_t BestOf(const Output& output) {
  size_t best = 0;
  for (size_t i = 1; i < output.Count(); ++i) {
    if (output.At(i) > output.At(best) || std::isnan(output.At(best))) best = i;
  }
  return best;
}

inline double StepOf(const Output& plain) {
  if (plain.type != kTfLiteFloat32) return 1;
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (size_t i = 0; i < plain.Count(); ++i) {
    if (!std::isfinite(plain.At(i))) continue;
    low = std::min(low, plain.At(i));
    high = std::max(high, plain.At(i));
  }
  return high > low ? (high - low) / 255 : 0;
}

inline Difference Compare(const Output& ours, const Output& plain) {
  Difference found;
  found.name = ours.name;
  found.kind = ours.kind;
  found.values = plain.Count();
  const double step = StepOf(plain);
  for (size_t i = 0; i < plain.Count(); ++i) {
    const double a = ours.At(i), b = plain.At(i);
    const bool same_bytes =
        std::memcmp(&ours.bytes[i * ours.width], &plain.bytes[i * plain.width], ours.width) == 0;
    // 0 and -0 are equal, and so is NaN in both.
    if (same_bytes || (ours.type == kTfLiteFloat32 && (a == b || (std::isnan(a) && std::isnan(b))))) continue;
    ++found.differing;
    const double steps = std::abs(a - b) / step;
    found.max_steps = std::isnan(steps) ? HUGE_VAL : std::max(found.max_steps, steps);
  }
  found.list = plain.list;
  if (found.list) {
    found.best = BestOf(ours);
    found.best_plain = BestOf(plain);
    found.agrees = found.best == found.best_plain || plain.At(found.best) == plain.At(found.best_plain);
    found.same_best = found.agrees || ours.At(found.best) == ours.At(found.best_plain);
  }
  return found;
}

// Whether all outputs that have a best class have the plain model's.
inline bool Agree(const std::vector<Difference>& differences) {
  return std::all_of(differences.begin(), differences.end(),
                     [](const Difference& one) { return one.agrees; });
}

// Adds what another input showed of the same output: counts add up, the best classes are those of the first
// that differs.
inline void Add(Difference* sum, const Difference& other) {
  sum->values += other.values;
  sum->differing += other.differing;
  sum->max_steps = std::max(sum->max_steps, other.max_steps);
  if (sum->same_best && !other.same_best) {
    sum->best = other.best;
    sum->best_plain = other.best_plain;
    sum->same_best = false;
  }
}

// All outputs, in the model's order. Throws Failure where the models cannot be the same one.
inline std::vector<Difference> Compare(const std::string& path, const std::vector<Output>& ours,
                                       const std::string& plain_path, const std::vector<Output>& plain) {
  const std::string what = Printable(plain_path) + " is not what " + Printable(path) + " was compiled from: ";
  if (ours.size() != plain.size()) {
    throw Failure(kBadInput, what + "they have " + std::to_string(plain.size()) + " and " +
                                 std::to_string(ours.size()) + " outputs");
  }
  std::vector<Difference> found;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].kind != plain[i].kind || ours[i].bytes.size() != plain[i].bytes.size()) {
      throw Failure(kBadInput,
                    what + "output " + std::to_string(i) + " is " + plain[i].kind + " and " + ours[i].kind);
    }
    found.push_back(Compare(ours[i], plain[i]));
  }
  return found;
}

}  // namespace coral

#endif  // CORAL_COMPARISON_H_
