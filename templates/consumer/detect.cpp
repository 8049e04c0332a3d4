// Finds objects in a picture.
#include <cstdio>
#include <string>
#include <vector>

#include "cli.h"
#include "detection.h"
#include "detector_form.h"
#include "drawing.h"
#include "files.h"
#include "image.h"
#include "session.h"
#include "ssd.h"
#include "tensors.h"
#include "watchdog.h"
#include "yolo.h"

namespace {

constexpr char kUsage[] =
    "usage: detect MODEL LABELS [IMAGE] THRESHOLD [--output FILE] [--json[=FILE]] [--top N] [--format NAME]\n"
    "              [--overlap PART] [--device INDEX] [--threads N] [--cpu KERNELS] [--timeout S]\n"
    "Finds objects in IMAGE (BMP or PPM) and prints those whose score is at least THRESHOLD (0 to 1): "
    "number,\n"
    "score, class, label, and the box in pixels. Without IMAGE the input is generated. MODEL is an SSD model "
    "with\n"
    "TFLite_Detection_PostProcess, or a YOLO model (v5, v8 to v12).\n"
    "  --output FILE   draw the boxes, with their numbers, into a .bmp or .ppm picture\n"
    "  --json          print JSON instead of text (the same as --json=-)\n"
    "  --json=FILE     write JSON to FILE, beside the text\n"
    "  --top N         at most N objects (default 100)\n"
    "  --format NAME   ssd, yolov5, yolov8, yolov10 (default auto: by shapes and the number of labels)\n"
    "  --overlap PART  YOLO: of two boxes of one class that share more than PART of their area, the worse "
    "one is\n"
    "                  left out (default 0.45)\n"
    "  --device INDEX  the Edge TPU with this index in lstpu's list (default 0)\n"
    "  --threads N     threads for what runs on the CPU (default 1)\n" CORAL_CPU_USAGE CORAL_TIMEOUT_USAGE
        CORAL_EXIT_CODES;

struct Options {
  std::string model, labels, image, output, json;
  double threshold, overlap;
  size_t top;
  coral::Form form;
  int device, threads, timeout;
  coral::Kernels kernels;
};

struct Found {
  coral::Form form;
  coral::Placement placement;
  std::vector<coral::Detection> objects;
};

Options Parse(coral::Arguments& arguments) {
  Options options;
  options.json = coral::TakeJson(arguments);
  options.output = arguments.TakeOption("--output", "");
  if (!options.output.empty()) coral::CheckPictureName(options.output);
  options.top = static_cast<size_t>(coral::ParseInt("--top", arguments.TakeOption("--top", "100"), 1, 10000));
  options.form = coral::ParseForm(arguments.TakeOption("--format", "auto"));
  options.overlap = coral::ParseScore("--overlap", arguments.TakeOption("--overlap", "0.45"));
  options.device = coral::ParseInt("--device", arguments.TakeOption("--device", "0"), 0, 99);
  options.threads = coral::ParseInt("--threads", arguments.TakeOption("--threads", "1"), 1, 64);
  options.kernels = coral::TakeKernels(arguments);
  options.timeout = coral::TakeTimeout(arguments);
  const auto words = arguments.TakePositional(3, 4);
  options.model = words[0];
  options.labels = words[1];
  options.image = words.size() == 4 ? words[2] : "";
  options.threshold = coral::ParseScore("THRESHOLD", words.back());
  return options;
}

// SSD models were trained with pictures that are stretched, YOLO models with such that keep their
// proportions.
std::vector<coral::Detection> Detect(coral::Session& session, const coral::Image& image, coral::Form form,
                                     const Options& options) {
  tflite::Interpreter& interpreter = session.interpreter();
  TfLiteTensor* const input = interpreter.input_tensor(0);
  if (form == coral::Form::kSsd) {
    coral::SetImage(input, image);
    session.Run();
    coral::RequireForm(interpreter, form);
    return coral::ReadSsd(interpreter, options.threshold);
  }
  const coral::PictureSize size = coral::PictureSizeOf(*input);
  const coral::Fitted fitted = coral::Fit(image, size.width, size.height);
  coral::SetPixels(input, fitted.image, coral::Pixels::kUnit);
  session.Run();
  coral::RequireForm(interpreter, form);
  auto found = coral::ReadYolo(interpreter, form, size, options.threshold, options.overlap);
  for (auto& one : found) {
    one.box = {(one.box.left - fitted.left) / fitted.width, (one.box.top - fitted.top) / fitted.height,
               (one.box.right - fitted.left) / fitted.width, (one.box.bottom - fitted.top) / fitted.height};
  }
  return found;
}

Found Find(const coral::Image& image, size_t labels, const Options& options) {
  coral::Session session(options.model, options.device, options.threads, options.timeout, options.kernels);
  tflite::Interpreter& interpreter = session.interpreter();
  if (interpreter.inputs().size() != 1) {
    throw coral::Failure(coral::kCannotRun, coral::Printable(options.model) + " is no detector: it has " +
                                                std::to_string(interpreter.inputs().size()) + " inputs");
  }
  const coral::Form form = coral::FormOf(interpreter, options.model, labels, options.form);
  const size_t classes = coral::ClassesOf(form, coral::PartsOf(coral::ShapesOf(interpreter)).shape);
  if (classes != 0 && classes != labels) {
    std::fprintf(stderr, "detect: warning: the model has %zu classes, and %s %zu labels: they may be wrong\n",
                 classes, coral::Printable(options.labels).c_str(), labels);
  }
  auto objects = coral::Clip(Detect(session, image, form, options));
  if (objects.size() > options.top) objects.resize(options.top);
  return {form, session.placement(), objects};
}

std::string InputName(const Options& options) {
  return options.image.empty() ? "generated (no image was given)" : coral::Printable(options.image);
}

void PrintText(const Options& options, const coral::Image& image, const std::vector<std::string>& labels,
               const Found& found) {
  std::printf("input: %s, %d x %d pixels\nran: %s\nformat: %s\n", InputName(options).c_str(), image.width,
              image.height, found.placement.Describe().c_str(), coral::NameOf(found.form));
  for (size_t i = 0; i < found.objects.size(); ++i) {
    const coral::Detection& one = found.objects[i];
    const coral::PixelBox box = coral::InPixels(one.box, image);
    std::printf("#%zu  %.4f  %zu  %s  left %d top %d right %d bottom %d\n", i, one.score, one.label,
                coral::LabelOf(labels, one.label).c_str(), box.left, box.top, box.right, box.bottom);
  }
  std::printf("objects: %zu\n", found.objects.size());
}

std::string Json(const Options& options, const coral::Image& image, const std::vector<std::string>& labels,
                 const Found& found) {
  std::string objects;
  for (const coral::Detection& one : found.objects) {
    const coral::PixelBox box = coral::InPixels(one.box, image);
    char text[256];
    std::snprintf(
        text, sizeof(text),
        "\n    {\"class\": %zu, \"score\": %.4f, \"left\": %d, \"top\": %d, \"right\": %d, \"bottom\": %d, "
        "\"label\": ",
        one.label, one.score, box.left, box.top, box.right, box.bottom);
    objects += (objects.empty() ? "" : ",") + std::string(text) +
               coral::JsonString(coral::LabelOf(labels, one.label)) + "}";
  }
  const auto text = [](const std::string& value) { return coral::JsonString(value); };
  const char* const mark = found.placement.Mark();
  return "{\n  \"model\": " + text(options.model) +
         ",\n  \"image\": " + (options.image.empty() ? "null" : text(options.image)) +
         ",\n  \"width\": " + std::to_string(image.width) +
         ",\n  \"height\": " + std::to_string(image.height) +
         ",\n  \"ran_on\": " + text(found.placement.Name()) +
         ",\n  \"figures\": " + text(*mark == '\0' ? "measured" : mark) +
         ",\n  \"format\": " + text(coral::NameOf(found.form)) + ",\n  \"objects\": [" + objects +
         (objects.empty() ? "" : "\n  ") + "],\n  \"count\": " + std::to_string(found.objects.size()) +
         "\n}\n";
}

int Run(coral::Arguments& arguments) {
  const Options options = Parse(arguments);
  const auto labels = coral::ReadLabels(options.labels);
  coral::Image image = options.image.empty() ? coral::GeneratedImage() : coral::ReadImage(options.image);
  const Found found = Find(image, labels.size(), options);
  if (options.json == "-") {
    std::fputs(Json(options, image, labels, found).c_str(), stdout);
  } else {
    PrintText(options, image, labels, found);
    if (!options.json.empty()) coral::WriteFile(options.json, Json(options, image, labels, found));
  }
  if (!options.output.empty()) {
    coral::Draw(&image, found.objects);
    coral::WriteImage(options.output, image);
  }
  return coral::kOk;
}

}  // namespace

int main(int argc, char** argv) { return coral::RunMain("detect", kUsage, argc, argv, Run); }
