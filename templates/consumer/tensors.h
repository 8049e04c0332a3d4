// Filling a model's input and reading its scores, whatever the number format.
#ifndef CORAL_TENSORS_H_
#define CORAL_TENSORS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cli.h"
#include "image.h"
#include "tensorflow/lite/c/common.h"

namespace coral {

inline size_t ElementSize(TfLiteType type) {
  switch (type) {
    case kTfLiteUInt8:
    case kTfLiteInt8:
      return 1;
    case kTfLiteFloat32:
      return 4;
    default:
      throw Failure(kCannotRun,
                    std::string("tensors of type ") + TfLiteTypeGetName(type) + " are not supported");
  }
}

// The number of elements; throws unless the memory behind the tensor is really that large.
inline size_t Elements(const TfLiteTensor& tensor) {
  const size_t size = ElementSize(tensor.type);
  if (tensor.dims == nullptr || tensor.data.raw == nullptr || tensor.bytes == 0 || tensor.bytes % size != 0) {
    throw Failure(kCannotRun, "the model has an empty input or output");
  }
  size_t count = 1;
  for (int i = 0; i < tensor.dims->size; ++i) count *= static_cast<size_t>(tensor.dims->data[i]);
  if (count != tensor.bytes / size) throw Failure(kCannotRun, "a tensor's shape and its size do not agree");
  return count;
}

// How pixels of 0 to 255 become numbers.
enum class Pixels {
  // Quantized tensors get them as they are (shifted by 128 when signed), float ones as -1 to 1: what
  // classifiers and SSD models are trained with.
  kAsTheyAre,
  // All get them as 0 to 1, quantized as the tensor says: what YOLO models are trained with.
  kUnit,
};

// Height and width of an input of shape [1, height, width, 3], or of 1 channel, or without a channel
// dimension.
struct PictureSize {
  int width, height;
};

inline PictureSize PictureSizeOf(const TfLiteTensor& input) {
  const TfLiteIntArray* const dims = input.dims;
  Elements(input);
  const int channels = dims->size == 4 ? dims->data[3] : 1;
  if ((dims->size != 3 && dims->size != 4) || dims->data[0] != 1 || (channels != 1 && channels != 3)) {
    throw Failure(kCannotRun, "the model's input is no picture ([1, height, width, 3] or 1 channel)");
  }
  return {dims->data[2], dims->data[1]};
}

inline int Quantized(int value, const TfLiteTensor& tensor, Pixels pixels) {
  const bool is_signed = tensor.type == kTfLiteInt8;
  const int low = is_signed ? -128 : 0;
  if (pixels == Pixels::kAsTheyAre || !(tensor.params.scale > 0)) return value + low;
  const double exact = value / 255.0 / static_cast<double>(tensor.params.scale) + tensor.params.zero_point;
  return static_cast<int>(std::lround(std::clamp(exact, static_cast<double>(low), low + 255.0)));
}

// Puts a picture of the input's own size into it.
inline void SetPixels(TfLiteTensor* input, const Image& image, Pixels pixels) {
  const size_t count = Elements(*input);
  const bool colour = input->dims->size == 4 && input->dims->data[3] == 3;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* rgb = &image.rgb[colour ? i : i * 3];
    const int value = colour ? *rgb : (rgb[0] * 299 + rgb[1] * 587 + rgb[2] * 114) / 1000;
    switch (input->type) {
      case kTfLiteUInt8:
        input->data.uint8[i] = static_cast<uint8_t>(Quantized(value, *input, pixels));
        break;
      case kTfLiteInt8:
        input->data.int8[i] = static_cast<int8_t>(Quantized(value, *input, pixels));
        break;
      default:
        input->data.f[i] = pixels == Pixels::kUnit ? static_cast<float>(value) / 255.0f
                                                   : (static_cast<float>(value) - 127.5f) / 127.5f;
    }
  }
}

// Puts a picture into a picture input, stretched to its size.
inline void SetImage(TfLiteTensor* input, const Image& picture) {
  const PictureSize size = PictureSizeOf(*input);
  SetPixels(input, Resize(picture, size.width, size.height), Pixels::kAsTheyAre);
}

// Fills any input with bytes that look random and are the same on every run.
inline void SetNoise(TfLiteTensor* input, uint32_t seed) {
  const size_t count = Elements(*input);
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    if (input->type == kTfLiteFloat32) {
      input->data.f[i] = static_cast<float>(seed >> 8) / static_cast<float>(1 << 24);
    } else {
      input->data.uint8[i] = static_cast<uint8_t>(seed >> 24);
    }
  }
}

// What a tensor holds, as real numbers.
inline std::vector<double> RealValues(const TfLiteTensor& tensor) {
  std::vector<double> values(Elements(tensor));
  const bool quantized = tensor.type != kTfLiteFloat32 && tensor.params.scale > 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double raw = tensor.type == kTfLiteUInt8  ? tensor.data.uint8[i]
                       : tensor.type == kTfLiteInt8 ? tensor.data.int8[i]
                                                    : static_cast<double>(tensor.data.f[i]);
    values[i] = quantized ? (raw - tensor.params.zero_point) * static_cast<double>(tensor.params.scale) : raw;
  }
  return values;
}

// The scores of a classifier, whose only dimension larger than 1 is the last, as real numbers.
inline std::vector<double> Scores(const TfLiteTensor& output) {
  const size_t count = Elements(output);
  if (output.dims->size < 1 || count != static_cast<size_t>(output.dims->data[output.dims->size - 1])) {
    throw Failure(kCannotRun, "the model's output is no list of scores: it is not a classifier");
  }
  return RealValues(output);
}

}  // namespace coral

#endif  // CORAL_TENSORS_H_
