// Filling a model's input and reading its scores, whatever the number format.
#ifndef CORAL_TENSORS_H_
#define CORAL_TENSORS_H_

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

// Puts a picture into an input of shape [1, height, width, 3], or of 1 channel, or without a channel
// dimension. Pixels enter quantized tensors as they are (shifted by 128 when signed) and float tensors as -1
// to 1, which is what image models are trained with.
inline void SetImage(TfLiteTensor* input, const Image& picture) {
  const TfLiteIntArray* dims = input->dims;
  const size_t count = Elements(*input);
  const int channels = dims->size == 4 ? dims->data[3] : 1;
  if ((dims->size != 3 && dims->size != 4) || dims->data[0] != 1 || (channels != 1 && channels != 3)) {
    throw Failure(kCannotRun, "the model's input is no picture ([1, height, width, 3] or 1 channel)");
  }
  const Image image = Resize(picture, dims->data[2], dims->data[1]);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* rgb = &image.rgb[channels == 3 ? i : i * 3];
    const int value = channels == 3 ? *rgb : (rgb[0] * 299 + rgb[1] * 587 + rgb[2] * 114) / 1000;
    switch (input->type) {
      case kTfLiteUInt8:
        input->data.uint8[i] = static_cast<uint8_t>(value);
        break;
      case kTfLiteInt8:
        input->data.int8[i] = static_cast<int8_t>(value - 128);
        break;
      default:
        input->data.f[i] = (static_cast<float>(value) - 127.5f) / 127.5f;
    }
  }
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

// The scores of a classifier, whose only dimension larger than 1 is the last, as real numbers.
inline std::vector<double> Scores(const TfLiteTensor& output) {
  const size_t count = Elements(output);
  if (output.dims->size < 1 || count != static_cast<size_t>(output.dims->data[output.dims->size - 1])) {
    throw Failure(kCannotRun, "the model's output is no list of scores: it is not a classifier");
  }
  std::vector<double> scores(count);
  for (size_t i = 0; i < count; ++i) {
    const double raw = output.type == kTfLiteUInt8  ? output.data.uint8[i]
                       : output.type == kTfLiteInt8 ? output.data.int8[i]
                                                    : static_cast<double>(output.data.f[i]);
    const bool quantized = output.type != kTfLiteFloat32 && output.params.scale > 0;
    scores[i] = quantized ? (raw - output.params.zero_point) * static_cast<double>(output.params.scale) : raw;
  }
  return scores;
}

}  // namespace coral

#endif  // CORAL_TENSORS_H_
