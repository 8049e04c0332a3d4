// The outputs of TFLite_Detection_PostProcess, in which order they may be.
#ifndef CORAL_SSD_H_
#define CORAL_SSD_H_

#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "cli.h"
#include "detection.h"
#include "detector_form.h"
#include "tensorflow/lite/interpreter.h"
#include "tensors.h"

namespace coral {

// Positions among the model's outputs; -1 where it is not known.
struct SsdRoles {
  int boxes = -1, classes = -1, scores = -1, count = -1;

  bool Complete() const { return boxes >= 0 && classes >= 0 && scores >= 0 && count >= 0; }
};

// The operation itself has its outputs in a fixed order, whatever the order of the model's.
inline SsdRoles RolesByOperation(const tflite::Interpreter& interpreter) {
  SsdRoles roles;
  for (const int index : interpreter.execution_plan()) {
    const auto* const pair = interpreter.node_and_registration(index);
    const char* const name = pair->second.custom_name;
    const TfLiteIntArray* const outputs = pair->first.outputs;
    if (name == nullptr || std::strcmp(name, "TFLite_Detection_PostProcess") != 0 || outputs->size != 4)
      continue;
    const std::array<int*, 4> order = {&roles.boxes, &roles.classes, &roles.scores, &roles.count};
    for (size_t i = 0; i < interpreter.outputs().size(); ++i) {
      for (size_t j = 0; j < order.size(); ++j) {
        if (interpreter.outputs()[i] == outputs->data[j]) *order[j] = static_cast<int>(i);
      }
    }
  }
  return roles;
}

inline SsdRoles RolesByName(tflite::Interpreter& interpreter) {
  SsdRoles roles;
  for (size_t i = 0; i < interpreter.outputs().size(); ++i) {
    const char* const given = interpreter.output_tensor(i)->name;
    std::string name = given == nullptr ? "" : given;
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    int* const role = has("boxes") || has("location")   ? &roles.boxes
                      : has("score")                    ? &roles.scores
                      : has("class") || has("category") ? &roles.classes
                      : has("count") || has("num")      ? &roles.count
                                                        : nullptr;
    if (role != nullptr) *role = static_cast<int>(i);
  }
  return roles;
}

inline bool AreWhole(const std::vector<double>& values) {
  for (const double value : values) {
    if (std::isfinite(value) && value != std::floor(value)) return false;
  }
  return true;
}

// By shapes, and of the two that look alike the classes are whole numbers. Where both are, or neither is, by
// the two orders in use: boxes, classes, scores, count; and scores, boxes, count, classes.
inline SsdRoles RolesByShape(tflite::Interpreter& interpreter) {
  SsdRoles roles;
  std::vector<int> lists;
  for (int i = 0; i < 4; ++i) {
    const Shape shape = ShapeOf(*interpreter.output_tensor(static_cast<size_t>(i)));
    if (shape.size() == 3) {
      roles.boxes = i;
    } else if (IsList(shape, 1) && roles.count < 0 && shape.size() == 1) {
      roles.count = i;
    } else {
      lists.push_back(i);
    }
  }
  if (lists.size() != 2) return {};
  const bool first = AreWhole(RealValues(*interpreter.output_tensor(static_cast<size_t>(lists[0]))));
  const bool second = AreWhole(RealValues(*interpreter.output_tensor(static_cast<size_t>(lists[1]))));
  const bool classes_first = first != second ? first : roles.count == 3;
  roles.classes = lists[classes_first ? 0 : 1];
  roles.scores = lists[classes_first ? 1 : 0];
  return roles;
}

// Of a picture that was stretched to the model's input. Throws Failure(kCannotRun) for what can be no
// detections.
inline std::vector<Detection> ReadSsd(tflite::Interpreter& interpreter, double threshold) {
  SsdRoles roles = RolesByOperation(interpreter);
  if (!roles.Complete()) roles = RolesByName(interpreter);
  if (!roles.Complete()) roles = RolesByShape(interpreter);
  if (!roles.Complete())
    throw Failure(kCannotRun, "which output has the boxes and which the scores cannot be told");
  const auto values = [&](int role) {
    return RealValues(*interpreter.output_tensor(static_cast<size_t>(role)));
  };
  const auto boxes = values(roles.boxes), classes = values(roles.classes), scores = values(roles.scores);
  const double count = values(roles.count)[0];
  const size_t most = std::min({boxes.size() / 4, classes.size(), scores.size()});
  if (!(count >= 0 && count <= static_cast<double>(most))) {
    throw Failure(kCannotRun, "the model says that it found " + std::to_string(count) +
                                  " objects, and has room for " + std::to_string(most));
  }
  std::vector<Detection> found;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    RequireScore(scores[i]);
    if (scores[i] < threshold) continue;
    const double* const box = &boxes[i * 4];  // top, left, bottom, right
    RequireBox(box);
    found.push_back({ClassOf(classes[i]), scores[i], {box[1], box[0], box[3], box[2]}});
  }
  return BestFirst(found);
}

}  // namespace coral

#endif  // CORAL_SSD_H_
