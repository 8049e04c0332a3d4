// The output of a YOLO model, or the two that its boxes and the rest are.
#ifndef CORAL_YOLO_H_
#define CORAL_YOLO_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
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
  double step;  // of the boxes; 0 for floats

  double At(size_t candidate, size_t field) const {
    return form == Form::kYoloV8 ? values[field * candidates + candidate]
                                 : values[candidate * fields + field];
  }
};

// Boxes and the rest, as if they were one output.
inline std::vector<double> Joined(const std::vector<double>& boxes, const std::vector<double>& rest,
                                  size_t candidates, bool turned) {
  std::vector<double> values(boxes);
  if (turned) {
    values.insert(values.end(), rest.begin(), rest.end());
    return values;
  }
  const size_t more = rest.size() / candidates;
  values.clear();
  for (size_t i = 0; i < candidates; ++i) {
    const auto box = boxes.begin() + static_cast<std::ptrdiff_t>(4 * i);
    const auto scores = rest.begin() + static_cast<std::ptrdiff_t>(more * i);
    values.insert(values.end(), box, box + 4);
    values.insert(values.end(), scores, scores + static_cast<std::ptrdiff_t>(more));
  }
  return values;
}

inline YoloOutput ReadOutput(tflite::Interpreter& interpreter, Form form) {
  const YoloParts parts = PartsOf(ShapesOf(interpreter));
  const auto rows = static_cast<size_t>(parts.shape[1]), columns = static_cast<size_t>(parts.shape[2]);
  const bool turned = form == Form::kYoloV8;
  const size_t candidates = turned ? columns : rows, fields = turned ? rows : columns;
  const TfLiteTensor& boxes = *interpreter.output_tensor(parts.boxes);
  std::vector<double> values = RealValues(boxes);
  if (!parts.Whole())
    values = Joined(values, RealValues(*interpreter.output_tensor(parts.rest)), candidates, turned);
  const double step = boxes.type == kTfLiteFloat32 ? 0 : static_cast<double>(boxes.params.scale);
  return {form, candidates, fields, std::move(values), step};
}

// Coordinates are fractions of the input, or pixels of it: no fraction is that large. Throws
// Failure(kCannotRun).
inline bool AreFractions(const YoloOutput& output) {
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
  if (output.step > 0.05 && (fractions || output.form == Form::kYoloV10)) {
    throw Failure(kCannotRun, "the model's quantized output has steps of " + std::to_string(output.step) +
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
inline std::vector<Detection> ReadYolo(tflite::Interpreter& interpreter, Form form, const PictureSize& input,
                                       double threshold, double overlap) {
  const YoloOutput output = ReadOutput(interpreter, form);
  const bool fractions = AreFractions(output);
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
