// Measures how long one inference takes.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "cli.h"
#include "session.h"
#include "tensorflow/lite/version.h"
#include "tensors.h"
#include "watchdog.h"

namespace {

constexpr char kUsage[] =
    "usage: benchmark MODEL [--warmup N] [--runs N] [--threads N] [--device INDEX] [--timeout S] "
    "[--json[=FILE]]\n"
    "Runs MODEL on generated input and prints the time per inference.\n"
    "  --warmup N      runs that are not measured (default 3)\n"
    "  --runs N        runs that are measured (default 30)\n"
    "  --threads N     threads for what runs on the CPU (default 1)\n"
    "  --device INDEX  the Edge TPU with this index in lstpu's list (default 0)\n"
    "  --json          print JSON instead of text (the same as --json=-)\n"
    "  --json=FILE     write JSON to FILE, beside the text\n" CORAL_TIMEOUT_USAGE CORAL_EXIT_CODES;

struct Options {
  std::string model;
  int warmup;
  int runs;
  int threads;
  int device;
  int timeout;       // seconds
  std::string json;  // "" none, "-" stdout, else a file
};

// Milliseconds per inference.
struct Times {
  double min, median, p90, max, mean;
};

Times Summarize(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const size_t n = ms.size();
  const double median = (ms[(n - 1) / 2] + ms[n / 2]) / 2;
  // Nearest rank: the smallest time that at least 90 % of the runs did not exceed.
  const double p90 = ms[(n * 9 + 9) / 10 - 1];
  return {ms.front(), median, p90, ms.back(),
          std::accumulate(ms.begin(), ms.end(), 0.0) / static_cast<double>(n)};
}

Times Measure(coral::Session& session, const Options& options) {
  for (size_t i = 0; i < session.interpreter().inputs().size(); ++i) {
    coral::SetNoise(session.interpreter().input_tensor(i), static_cast<uint32_t>(i) + 1);
  }
  for (int i = 0; i < options.warmup; ++i) session.Run();
  std::vector<double> ms;
  for (int i = 0; i < options.runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    session.Run();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return Summarize(ms);
}

double FramesPerSecond(const Times& times) { return times.median > 0 ? 1000.0 / times.median : 0; }

void PrintText(const Options& options, const coral::Placement& placement, const Times& times) {
  std::printf("model: %s\n", coral::Printable(options.model).c_str());
  std::printf("ran: %s\n", placement.Describe().c_str());
  std::printf("libraries: TensorFlow Lite %s (commit %s), libedgetpu %s (%s)\n", TFLITE_VERSION_STRING,
              coral::TfliteCommit().c_str(), coral::Variant().c_str(), edgetpu_version());
  std::printf("runs: %d after %d to warm up, %d thread%s\n", options.runs, options.warmup, options.threads,
              options.threads == 1 ? "" : "s");
  std::printf("ms per inference: min %.3f, median %.3f, p90 %.3f, max %.3f\n", times.min, times.median,
              times.p90, times.max);
  std::printf("fps: %.1f\n", FramesPerSecond(times));
}

std::string Json(const Options& options, const coral::Placement& placement, const Times& times) {
  char ms[256];
  std::snprintf(
      ms, sizeof(ms),
      "{\"min\": %.3f, \"median\": %.3f, \"p90\": %.3f, \"max\": %.3f, \"mean\": %.3f},\n  \"fps\": %.2f",
      times.min, times.median, times.p90, times.max, times.mean, FramesPerSecond(times));
  const auto text = [](const std::string& value) { return coral::JsonString(value); };
  return "{\n  \"model\": " + text(options.model) + ",\n  \"ran_on\": " + text(placement.Name()) +
         ",\n  \"device\": {\"type\": " + text(placement.type) + ", \"path\": " + text(placement.path) +
         "},\n  \"delegated_operations\": " + std::to_string(placement.delegated) +
         ",\n  \"operations\": " + std::to_string(placement.operations) +
         ",\n  \"variant\": " + text(coral::Variant()) +
         ",\n  \"simulated\": " + (coral::IsSimulated() ? "true" : "false") +
         ",\n  \"warmup\": " + std::to_string(options.warmup) +
         ",\n  \"runs\": " + std::to_string(options.runs) +
         ",\n  \"threads\": " + std::to_string(options.threads) + ",\n  \"ms\": " + ms +
         ",\n  \"versions\": {\"tflite\": " + text(TFLITE_VERSION_STRING) +
         ", \"tflite_commit\": " + text(coral::TfliteCommit()) + ", \"edgetpu\": " + text(edgetpu_version()) +
         ", \"edgetpu_commit\": " + text(coral::EdgeTpuCommit()) + "}\n}\n";
}

void WriteFile(const std::string& path, const std::string& text) {
  FILE* file = std::fopen(path.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file == nullptr || std::fclose(file) != 0 || !written) {
    throw coral::Failure(coral::kInternal, "cannot write " + coral::Printable(path));
  }
}

// The value of --json is optional, so it is a separate word only where it cannot be taken for the model.
std::string TakeJson(coral::Arguments& arguments) {
  const auto& words = arguments.rest();
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "--json") continue;
    const std::string next = i + 1 < words.size() ? words[i + 1] : "";
    const bool is_value = next == "-" || (next.size() > 5 && next.compare(next.size() - 5, 5, ".json") == 0);
    if (is_value) return arguments.TakeOption("--json", "");
    arguments.TakeFlag("--json");
    return "-";
  }
  return arguments.TakeOption("--json", "");
}

Options Parse(coral::Arguments& arguments) {
  Options options;
  options.json = TakeJson(arguments);
  options.warmup = coral::ParseInt("--warmup", arguments.TakeOption("--warmup", "3"), 0, 100000);
  options.runs = coral::ParseInt("--runs", arguments.TakeOption("--runs", "30"), 1, 1000000);
  options.threads = coral::ParseInt("--threads", arguments.TakeOption("--threads", "1"), 1, 64);
  options.device = coral::ParseInt("--device", arguments.TakeOption("--device", "0"), 0, 99);
  options.timeout = coral::TakeTimeout(arguments);
  options.model = arguments.TakePositional(1, 1)[0];
  return options;
}

int Run(coral::Arguments& arguments) {
  const Options options = Parse(arguments);
  coral::Session session(options.model, options.device, options.threads, options.timeout);
  const Times times = Measure(session, options);
  if (options.json != "-") PrintText(options, session.placement(), times);
  if (options.json == "-") {
    std::fputs(Json(options, session.placement(), times).c_str(), stdout);
  } else if (!options.json.empty()) {
    WriteFile(options.json, Json(options, session.placement(), times));
  }
  return coral::kOk;
}

}  // namespace

int main(int argc, char** argv) { return coral::RunMain("benchmark", kUsage, argc, argv, Run); }
