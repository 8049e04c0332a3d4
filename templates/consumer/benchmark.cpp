// Measures how long one inference takes, and compares the Edge TPU with the CPU.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "benchmark_report.h"
#include "cli.h"
#include "comparison.h"
#include "expectation.h"
#include "files.h"
#include "image.h"
#include "questions.h"
#include "session.h"
#include "tensors.h"
#include "timing.h"
#include "watchdog.h"

namespace {

constexpr char kUsage[] =
    "usage: benchmark MODEL [--compare PLAIN [--questions FILE]] [--image FILE | --seed N] [--runs N]\n"
    "                 [--warmup N] [--threads N]\n"
    "                 [--device INDEX] [--cpu KERNELS] [--timeout S] [--tolerance STEPS] [--expect LIST] "
    "[--json[=FILE]]\n"
    "Runs MODEL and prints the time per inference; the first one, which also loads the parameters, by "
    "itself.\n"
    "  --compare PLAIN    then the same on the CPU: PLAIN is the model that MODEL was compiled from. Prints "
    "how\n"
    "                     many values of each output differ, by how many quantized steps, and the speed-up\n"
    "  --questions FILE   with --compare: also runs both on each of these inputs, as invoke quantize\n"
    "                     --questions N writes them, and says for how many the best class is the same\n"
    "  --image FILE       a BMP or PPM picture as the input (default: noise)\n"
    "  --seed N           which noise; the same number gives the same (default 1)\n"
    "  --runs N           runs that are measured (default 30)\n"
    "  --warmup N         runs after the first that are not measured (default 3)\n"
    "  --threads N        threads for what runs on the CPU (default 1)\n"
    "  --cpu KERNELS      for what runs on the CPU: builtin (default), or xnnpack where the bundle has it; "
    "faster,\n"
    "                     and quantized values may differ by some steps\n"
    "  --device INDEX     the Edge TPU with this index in lstpu's list (default 0)\n"
    "  --tolerance STEPS  with --compare: exit code 10 where a value differs by more quantized steps\n"
    "  --expect LIST      ms per inference that are expected of hardware, as usb3=MS,usb2=MS,pci=MS; warns "
    "where\n"
    "                     it takes more than 3 times as long, and says what to look at\n"
    "  --json             print JSON instead of text (the same as --json=-)\n"
    "  --json=FILE        write JSON to FILE, beside the text\n" CORAL_TIMEOUT_USAGE CORAL_EXIT_CODES;

struct Options {
  std::string model, plain, image;
  coral::Questions questions;
  int seed, warmup, runs, threads, device;
  coral::Kernels kernels;
  int timeout;       // seconds
  double tolerance;  // steps; -1 for none
  coral::Expectation expectation;
  std::string json;  // "" none, "-" stdout, else a file
};

void SetInputs(tflite::Interpreter& interpreter, const Options& options, const std::string& path) {
  if (!options.image.empty()) {
    if (interpreter.inputs().size() != 1) {
      throw coral::Failure(coral::kCannotRun, coral::Printable(path) + " has " +
                                                  std::to_string(interpreter.inputs().size()) +
                                                  " inputs, and --image is for one");
    }
    coral::SetImage(interpreter.input_tensor(0), coral::ReadImage(options.image));
    return;
  }
  for (size_t i = 0; i < interpreter.inputs().size(); ++i) {
    const auto seed = static_cast<uint32_t>(options.seed) + static_cast<uint32_t>(i);
    coral::SetNoise(interpreter.input_tensor(i), seed);
  }
}

// The session is closed afterwards: one at a time.
coral::Measured Measure(const std::string& path, const Options& options) {
  coral::Measured measured;
  measured.model = path;
  const coral::Stopwatch loading;
  coral::Session session(path, options.device, options.threads, options.timeout, options.kernels);
  measured.load_ms = loading.Milliseconds();
  measured.placement = session.placement();
  tflite::Interpreter& interpreter = session.interpreter();
  measured.inputs = coral::InputKinds(interpreter);
  SetInputs(interpreter, options, path);
  const auto run = [&] {
    const coral::Stopwatch watch;
    session.Run();
    return watch.Milliseconds();
  };
  measured.first_ms = run();
  for (int i = 0; i < options.warmup; ++i) run();
  std::vector<double> ms;
  for (int i = 0; i < options.runs; ++i) ms.push_back(run());
  measured.times = coral::Summarize(ms);
  if (options.plain.empty()) return measured;
  measured.answers.push_back(coral::CopyOutputs(interpreter));
  if (!options.questions.Any()) return measured;
  const size_t count = options.questions.Count(interpreter);
  for (size_t i = 0; i < count; ++i) {
    options.questions.Set(interpreter, i);
    session.Run();
    measured.answers.push_back(coral::CopyOutputs(interpreter));
  }
  return measured;
}

void ComparePlain(const Options& options, coral::Report* report) {
  const std::string model = coral::Printable(options.model), plain = coral::Printable(options.plain);
  if (!report->measured.placement.edge_tpu) {
    throw coral::Failure(coral::kBadInput, model +
                                               " is not compiled for the Edge TPU: it ran on the CPU, and " +
                                               "there is nothing to compare it with");
  }
  report->plain = Measure(options.plain, options);
  if (report->plain.placement.edge_tpu) {
    throw coral::Failure(coral::kBadInput, plain +
                                               " is compiled for the Edge TPU: --compare takes the model " +
                                               "that " + model + " was compiled from");
  }
  if (report->plain.inputs != report->measured.inputs) {
    throw coral::Failure(coral::kBadInput,
                         plain + " is not what " + model + " was compiled from: their inputs differ");
  }
  const auto compare = [&](size_t answer) {
    return coral::Compare(options.model, report->measured.answers[answer], options.plain,
                          report->plain.answers[answer]);
  };
  report->differences = compare(0);
  report->compared = true;
  for (size_t i = 1; i < report->measured.answers.size(); ++i) {
    const std::vector<coral::Difference> found = compare(i);
    ++report->questions;
    if (coral::Agree(found)) ++report->same_best;
    for (size_t k = 0; k < found.size(); ++k) coral::Add(&report->differences[k], found[k]);
  }
}

Options Parse(coral::Arguments& arguments) {
  Options options;
  options.json = coral::TakeJson(arguments);
  options.plain = arguments.TakeOption("--compare", "");
  options.image = arguments.TakeOption("--image", "");
  options.seed = coral::ParseInt("--seed", arguments.TakeOption("--seed", "1"), 0, 1000000000);
  options.warmup = coral::ParseInt("--warmup", arguments.TakeOption("--warmup", "3"), 0, 100000);
  options.runs = coral::ParseInt("--runs", arguments.TakeOption("--runs", "30"), 1, 1000000);
  options.threads = coral::ParseInt("--threads", arguments.TakeOption("--threads", "1"), 1, 64);
  options.device = coral::ParseInt("--device", arguments.TakeOption("--device", "0"), 0, 99);
  const std::string tolerance = arguments.TakeOption("--tolerance", "");
  options.tolerance = tolerance.empty() ? -1 : coral::ParseAmount("--tolerance", tolerance);
  if (!tolerance.empty() && options.plain.empty()) {
    throw coral::Failure(coral::kUsage, "--tolerance goes with --compare");
  }
  const std::string questions = arguments.TakeOption("--questions", "");
  if (!questions.empty() && options.plain.empty()) {
    throw coral::Failure(coral::kUsage, "--questions goes with --compare");
  }
  if (!questions.empty()) options.questions = coral::Questions(questions);
  options.expectation = coral::ParseExpectation(arguments.TakeOption("--expect", ""));
  options.kernels = coral::TakeKernels(arguments);
  options.timeout = coral::TakeTimeout(arguments);
  options.model = arguments.TakePositional(1, 1)[0];
  return options;
}

int Run(coral::Arguments& arguments) {
  const Options options = Parse(arguments);
  coral::Report report;
  report.input =
      options.image.empty() ? "noise, seed " + std::to_string(options.seed) : coral::Printable(options.image);
  report.warmup = options.warmup;
  report.runs = options.runs;
  report.threads = options.threads;
  report.tolerance = options.tolerance;
  report.measured = Measure(options.model, options);
  report.judgement = coral::Judge(options.expectation, report.measured.placement, report.measured.times);
  if (!options.plain.empty()) ComparePlain(options, &report);

  if (options.json == "-") {
    std::fputs(coral::Json(report).c_str(), stdout);
  } else {
    coral::PrintText(report);
    if (!options.json.empty()) coral::WriteFile(options.json, coral::Json(report));
  }
  if (!report.judgement.warning.empty())
    std::fprintf(stderr, "benchmark: warning: %s\n", report.judgement.warning.c_str());
  if (report.Within()) return coral::kOk;
  throw coral::Failure(coral::kDiffers, "the outputs of " + coral::Printable(options.model) +
                                            " differ from the CPU's by more than " +
                                            coral::Fixed(options.tolerance, 1) + " steps");
}

}  // namespace

int main(int argc, char** argv) { return coral::RunMain("benchmark", kUsage, argc, argv, Run); }
