// Classifies a picture.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "cli.h"
#include "files.h"
#include "image.h"
#include "session.h"
#include "tensors.h"
#include "watchdog.h"

namespace {

constexpr char kUsage[] =
    "usage: model MODEL LABELS [IMAGE] THRESHOLD [--top N] [--device INDEX] [--threads N] "
    "[--cpu KERNELS] [--timeout S]\n"
    "Classifies IMAGE (BMP or PPM) and prints every class whose score is at least THRESHOLD (0 to 1).\n"
    "Without IMAGE the input is generated.\n"
    "  --top N         print at most N classes (default 5)\n"
    "  --device INDEX  the Edge TPU with this index in lstpu's list (default 0)\n"
    "  --threads N     threads for what runs on the CPU (default 1)\n" CORAL_CPU_USAGE CORAL_TIMEOUT_USAGE
        CORAL_EXIT_CODES;

// Prints the best classes; the line that begins with "top-1:" is for scripts.
void Print(const std::vector<double>& scores, const std::vector<std::string>& labels, double threshold,
           size_t top) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // NaN counts as the lowest score: a sort must not be given an order that contradicts itself.
  const auto value = [&](size_t i) { return std::isnan(scores[i]) ? -HUGE_VAL : scores[i]; };
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });

  size_t shown = 0;
  for (; shown < std::min(top, order.size()) && scores[order[shown]] >= threshold; ++shown) {
    std::printf("%.4f  %zu  %s\n", scores[order[shown]], order[shown],
                coral::LabelOf(labels, order[shown]).c_str());
  }
  if (shown == 0) std::printf("no class has a score of %g or more\n", threshold);
  std::printf("top-1: %zu %.4f %s\n", order[0], scores[order[0]], coral::LabelOf(labels, order[0]).c_str());
}

int Run(coral::Arguments& arguments) {
  const int top = coral::ParseInt("--top", arguments.TakeOption("--top", "5"), 1, 1000);
  const int device = coral::ParseInt("--device", arguments.TakeOption("--device", "0"), 0, 99);
  const int threads = coral::ParseInt("--threads", arguments.TakeOption("--threads", "1"), 1, 64);
  const coral::Kernels kernels = coral::TakeKernels(arguments);
  const int timeout = coral::TakeTimeout(arguments);
  const auto words = arguments.TakePositional(3, 4);
  const double threshold = coral::ParseScore("THRESHOLD", words.back());
  const auto labels = coral::ReadLabels(words[1]);
  const coral::Image image = words.size() == 4 ? coral::ReadImage(words[2]) : coral::GeneratedImage();

  coral::Session session(words[0], device, threads, timeout, kernels);
  tflite::Interpreter& interpreter = session.interpreter();
  if (interpreter.inputs().size() != 1 || interpreter.outputs().size() != 1) {
    throw coral::Failure(coral::kCannotRun, coral::Printable(words[0]) + " is not a classifier: it has " +
                                                std::to_string(interpreter.inputs().size()) + " inputs and " +
                                                std::to_string(interpreter.outputs().size()) + " outputs");
  }
  coral::SetImage(interpreter.input_tensor(0), image);
  session.Run();
  const auto scores = coral::Scores(*interpreter.output_tensor(0));
  std::printf("input: %s\n",
              words.size() == 4 ? coral::Printable(words[2]).c_str() : "generated (no image was given)");
  std::printf("ran: %s\n", session.placement().Describe().c_str());
  Print(scores, labels, threshold, static_cast<size_t>(top));
  return coral::kOk;
}

}  // namespace

int main(int argc, char** argv) { return coral::RunMain("model", kUsage, argc, argv, Run); }
