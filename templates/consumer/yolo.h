// The one output of a YOLO model.
#ifndef CORAL_YOLO_H_
#define CORAL_YOLO_H_

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cli.h"
#include "detection.h"
#include "detector_form.h"
#include "tensorflow/lite/interpreter.h"
#include "tensors.h"

namespace coral {

// One candidate after the other, whichever way the output is turned.
struct YoloOutput {
  Form form;
  size_t candidates, fields;
  std::vector<double> values;

  double At(size_t candidate, size_t field) const {
    return form == Form::kYoloV8 ? values[field * candidates + candidate]
                                 : values[candidate * fields + field];
  }
};

inline YoloOutput ReadOutput(const TfLiteTensor& tensor, Form form) {
  const Shape shape = ShapeOf(tensor);
  const auto rows = static_cast<size_t>(shape[1]), columns = static_cast<size_t>(shape[2]);
  const bool turned = form == Form::kYoloV8;
  return {form, turned ? columns : rows, turned ? rows : columns, RealValues(tensor)};
}

// Coordinates are fractions of the input, or pixels of it: no fraction is that large. Throws
// Failure(kCannotRun).
inline bool AreFractions(const YoloOutput& output, const TfLiteTensor& tensor) {
  double largest = 0;
  for (size_t i = 0; i < output.candidates; ++i) {
    for (size_t field = 0; field < 4; ++field) {
      const double value = output.At(i, field);
      if (!std::isfinite(value))
        throw Failure(kCannotRun, "the model gives boxes that are no numbers (NaN or infinite)");
      largest = std::max(largest, std::abs(value));
    }
  }
  const bool fractions = largest <= 4;
  const double step = tensor.type == kTfLiteFloat32 ? 0 : static_cast<double>(tensor.params.scale);
  if (step > 0.05 && (fractions || output.form == Form::kYoloV10)) {
    throw Failure(kCannotRun, "the model's quantized output has steps of " + std::to_string(step) +
                                  ", too coarse for boxes; take one whose output is float");
  }
  return fractions;
}

// The class with the best score, which stands behind `first`.
inline Detection BestClass(const YoloOutput& output, size_t candidate, size_t first) {
  Detection best;
  best.score = -1;
  for (size_t field = first; field < output.fields; ++field) {
    const double score = output.At(candidate, field);
    RequireScore(score);
    if (score > best.score) {
      best.score = score;
      best.label = field - first;
    }
  }
  return best;
}

inline Detection ReadCandidate(const YoloOutput& output, size_t i) {
  if (output.form == Form::kYoloV10) {
    RequireScore(output.At(i, 4));
    return {ClassOf(output.At(i, 5)),
            output.At(i, 4),
            {output.At(i, 0), output.At(i, 1), output.At(i, 2), output.At(i, 3)}};
  }
  const bool v5 = output.form == Form::kYoloV5;
  Detection found = BestClass(output, i, v5 ? 5 : 4);
  if (v5) {
    RequireScore(output.At(i, 4));
    found.score *= output.At(i, 4);
  }
  const double x = output.At(i, 0), y = output.At(i, 1), width = output.At(i, 2), height = output.At(i, 3);
  found.box = {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
  return found;
}

// Boxes in fractions of the model's input, which has the given size in pixels.
inline std::vector<Detection> ReadYolo(const TfLiteTensor& tensor, Form form, const PictureSize& input,
                                       double threshold, double overlap) {
  const YoloOutput output = ReadOutput(tensor, form);
  const bool fractions = AreFractions(output, tensor);
  const double width = fractions ? 1 : input.width, height = fractions ? 1 : input.height;
  std::vector<Detection> found;
  for (size_t i = 0; i < output.candidates; ++i) {
    Detection one = ReadCandidate(output, i);
    if (one.score < threshold) continue;
    one.box = {one.box.left / width, one.box.top / height, one.box.right / width, one.box.bottom / height};
    found.push_back(one);
  }
  return form == Form::kYoloV10 ? BestFirst(found) : Suppress(found, overlap);
}

}  // namespace coral

#endif  // CORAL_YOLO_H_
