// Which kind of detector a model is, by the shapes of its outputs. What is not known is refused in one
// sentence.
#ifndef CORAL_DETECTOR_FORM_H_
#define CORAL_DETECTOR_FORM_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "cli.h"
#include "comparison.h"
#include "tensorflow/lite/interpreter.h"

namespace coral {

enum class Form {
  kUnknown,
  kSsd,           // boxes [1, N, 4], classes [1, N], scores [1, N], count [1], in any order:
                  // TFLite_Detection_PostProcess
  kYoloV5,        // [1, N, 5 + classes]: box, whether there is anything, classes
  kYoloV8,        // [1, 4 + classes, N]: box, classes; also of v9, v11, v12 and v5u
  kYoloV8Turned,  // [1, N, 4 + classes]
  kYoloV10,       // [1, N, 6]: edges, score, class; the best ones only
};
// Those of v5 and v8 may be two outputs: boxes [1, N, 4] or [1, 4, N], and the rest.

constexpr char kFormsUsage[] =
    "SSD (boxes [1, N, 4], classes and scores [1, N], count [1], in any order), YOLOv5 ([1, N, 5 + "
    "classes]), "
    "YOLOv8 to v12 ([1, 4 + classes, N]), both also with boxes and the rest as two outputs, and YOLOv10 "
    "([1, N, 6])";
constexpr int kMostBest = 1000;  // rows of an output that has the best ones only

inline const char* NameOf(Form form) {
  switch (form) {
    case Form::kSsd:
      return "SSD";
    case Form::kYoloV5:
      return "YOLOv5";
    case Form::kYoloV8:
    case Form::kYoloV8Turned:
      return "YOLOv8";
    case Form::kYoloV10:
      return "YOLOv10";
    default:
      return "unknown";
  }
}

using Shape = std::vector<int>;

inline Shape ShapeOf(const TfLiteTensor& tensor) {
  if (tensor.dims == nullptr) return {};
  return Shape(tensor.dims->data, tensor.dims->data + tensor.dims->size);
}

// A list of N numbers: [1, N] or [N].
inline bool IsList(const Shape& shape, int length) {
  return shape == Shape{1, length} || shape == Shape{length};
}

inline bool IsSsd(const std::vector<Shape>& shapes) {
  if (shapes.size() != 4) return false;
  int boxes = 0, lists = 0, most = -1;
  for (const Shape& shape : shapes) {
    if (shape.size() == 3 && shape[0] == 1 && shape[2] == 4) {
      ++boxes;
      most = shape[1];
    }
  }
  for (const Shape& shape : shapes) lists += IsList(shape, most) ? 1 : 0;
  int ones = 0;
  for (const Shape& shape : shapes) ones += IsList(shape, 1) ? 1 : 0;
  return boxes == 1 && most > 0 && (most == 1 ? ones == 3 : lists == 2 && ones == 1);
}

// The outputs of a YOLO model: which one has the boxes, and which one the rest (the same one, or another),
// and the shape that they have in one. Without a shape it is none.
struct YoloParts {
  size_t boxes = 0, rest = 0;
  Shape shape;

  bool Whole() const { return boxes == rest; }
};

inline YoloParts PartsOf(const std::vector<Shape>& shapes) {
  if (shapes.size() == 1) return {0, 0, shapes[0]};
  if (shapes.size() != 2) return {};
  for (const size_t boxes : {size_t{0}, size_t{1}}) {
    const Shape &box = shapes[boxes], &rest = shapes[1 - boxes];
    if (box.size() != 3 || rest.size() != 3 || box[0] != 1 || rest[0] != 1) return {};
    if (box[1] == 4 && box[2] == rest[2] && box[2] > 4) return {boxes, 1 - boxes, {1, 4 + rest[1], box[2]}};
    if (box[2] == 4 && box[1] == rest[1] && box[1] > 4) return {boxes, 1 - boxes, {1, box[1], 4 + rest[2]}};
  }
  return {};
}

// The number of labels tells apart what shapes alone do not.
inline Form YoloForm(const YoloParts& parts, size_t labels) {
  const Shape& shape = parts.shape;
  if (shape.size() != 3 || shape[0] != 1) return Form::kUnknown;
  const int64_t rows = shape[1], columns = shape[2], classes = static_cast<int64_t>(labels);
  if (parts.Whole() && columns == 6 && rows <= kMostBest && classes != 1) return Form::kYoloV10;
  if (rows == 4 + classes && columns > rows) return Form::kYoloV8;
  if (columns == 5 + classes && rows > columns) return Form::kYoloV5;
  if (columns == 4 + classes && rows > columns) return Form::kYoloV8Turned;
  if (rows > columns && columns >= 6) return Form::kYoloV5;
  if (columns > rows && rows >= 5) return Form::kYoloV8;
  return Form::kUnknown;
}

// "auto" gives kUnknown.
inline Form ParseForm(const std::string& name) {
  if (name == "auto") return Form::kUnknown;
  if (name == "ssd") return Form::kSsd;
  if (name == "yolov5") return Form::kYoloV5;
  if (name == "yolov8") return Form::kYoloV8;
  if (name == "yolov10") return Form::kYoloV10;
  throw Failure(kUsage,
                "--format must be auto, ssd, yolov5, yolov8 or yolov10, not '" + Printable(name) + "'");
}

inline bool Fits(Form form, const std::vector<Shape>& shapes) {
  if (form == Form::kSsd) return IsSsd(shapes);
  const YoloParts parts = PartsOf(shapes);
  if (parts.shape.size() != 3 || parts.shape[0] != 1) return false;
  const int rows = parts.shape[1], columns = parts.shape[2];
  if (rows < 1 || columns < 1) return false;
  switch (form) {
    case Form::kYoloV5:
      return columns >= 6;
    case Form::kYoloV8:
      return rows >= 5;
    case Form::kYoloV8Turned:
      return columns >= 5;
    default:
      return parts.Whole() && columns == 6;
  }
}

// How many classes a YOLO output has; 0 where that does not show.
inline size_t ClassesOf(Form form, const Shape& shape) {
  switch (form) {
    case Form::kYoloV5:
      return static_cast<size_t>(shape[2] - 5);
    case Form::kYoloV8:
      return static_cast<size_t>(shape[1] - 4);
    case Form::kYoloV8Turned:
      return static_cast<size_t>(shape[2] - 4);
    default:
      return 0;
  }
}

inline std::vector<Shape> ShapesOf(tflite::Interpreter& interpreter) {
  std::vector<Shape> shapes;
  for (size_t i = 0; i < interpreter.outputs().size(); ++i)
    shapes.push_back(ShapeOf(*interpreter.output_tensor(i)));
  return shapes;
}

// `asked` is what the user says it is, kUnknown for nothing. Throws Failure(kCannotRun).
inline Form FormOf(tflite::Interpreter& interpreter, const std::string& path, size_t labels, Form asked) {
  const std::vector<Shape> shapes = ShapesOf(interpreter);
  std::string kinds;
  bool numbers = true;
  for (size_t i = 0; i < interpreter.outputs().size(); ++i) {
    const TfLiteTensor& tensor = *interpreter.output_tensor(i);
    numbers = numbers &&
              (tensor.type == kTfLiteFloat32 || tensor.type == kTfLiteUInt8 || tensor.type == kTfLiteInt8);
    if (i < 8) kinds += (i == 0 ? "" : ", ") + KindOf(tensor);
  }
  if (shapes.size() > 8) kinds += ", ... (" + std::to_string(shapes.size()) + " in all)";
  Form form = asked;
  if (form == Form::kUnknown) {
    form = IsSsd(shapes) ? Form::kSsd : YoloForm(PartsOf(shapes), labels);
  } else if (!Fits(form, shapes)) {
    form = Form::kUnknown;
  }
  if (form != Form::kUnknown && numbers) return form;
  throw Failure(kCannotRun, Printable(path) + " has outputs that are not understood" +
                                (asked == Form::kUnknown ? "" : std::string(" as ") + NameOf(asked)) + ": " +
                                kinds + "; understood are " + kFormsUsage);
}

// An output whose shape is only computed while the model runs may have another one then. Throws
// Failure(kCannotRun) where it is no longer of that form.
inline void RequireForm(tflite::Interpreter& interpreter, Form form) {
  if (Fits(form, ShapesOf(interpreter))) return;
  throw Failure(kCannotRun, std::string("the outputs are not those of ") + NameOf(form) +
                                " any more: their shapes changed while the model ran");
}

// What can be no detection is refused rather than shown. NaN fails each of these comparisons.
inline void RequireScore(double score) {
  if (score >= -0.05 && score <= 1.05) return;  // quantized numbers may be a step beyond
  throw Failure(kCannotRun, "the model gives a score of " + std::to_string(score) +
                                ", which is no probability (NaN, or the last sigmoid is missing)");
}

inline void RequireBox(const double* edges) {
  for (int i = 0; i < 4; ++i) {
    if (edges[i] >= -100 && edges[i] <= 100) continue;
    throw Failure(kCannotRun, "the model gives a box with an edge at " + std::to_string(edges[i]) +
                                  ", where 0 to 1 is in the picture");
  }
}

inline size_t ClassOf(double number) {
  const double whole = std::round(number);
  if (whole >= 0 && whole <= 1e6 && std::abs(number - whole) < 0.2) return static_cast<size_t>(whole);
  throw Failure(kCannotRun,
                "the model gives a class of " + std::to_string(number) + ", which is no whole number");
}

}  // namespace coral

#endif  // CORAL_DETECTOR_FORM_H_
