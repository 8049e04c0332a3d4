// What benchmark measured, as text and as JSON.
#ifndef CORAL_BENCHMARK_REPORT_H_
#define CORAL_BENCHMARK_REPORT_H_

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "cli.h"
#include "comparison.h"
#include "expectation.h"
#include "session.h"
#include "tensorflow/lite/version.h"
#include "timing.h"
#include "versions.h"

namespace coral {

// One model, measured.
struct Measured {
  std::string model;
  Placement placement;
  double load_ms = 0;   // until it was ready: reading, opening the device, placing it there
  double first_ms = 0;  // the first inference, which also loads the parameters
  Times times;          // of those after it, without the ones to warm up
  std::vector<std::string> inputs;
  std::vector<std::vector<Output>> answers;  // outputs of the input that was measured, then of each question
};

// The whole of a run.
struct Report {
  std::string input;  // what went in
  int warmup = 0, runs = 0, threads = 0;
  Measured measured;
  Judgement judgement;
  bool compared = false;
  Measured plain;  // the rest only where it was compared
  std::vector<Difference> differences;
  double tolerance = -1;  // steps; -1 where none was given
  int questions = 0;      // how many more inputs were compared
  int same_best = 0;      // and for how many of them the best class is the same

  double SpeedUp() const {
    return measured.times.median > 0 ? plain.times.median / measured.times.median : 0;
  }
  // Whether there is a best class to speak of.
  bool Classes() const {
    for (const auto& difference : differences) {
      if (difference.list) return true;
    }
    return false;
  }
  bool Within() const {
    for (const auto& difference : differences) {
      if (tolerance >= 0 && !(difference.max_steps <= tolerance)) return false;
    }
    return true;
  }
};

inline void PrintMeasured(const Measured& measured) {
  const std::string mark =
      *measured.placement.Mark() == '\0' ? "" : std::string(measured.placement.Mark()) + "  ";
  const Times& t = measured.times;
  std::printf("model: %s\nran: %s\n", Printable(measured.model).c_str(),
              measured.placement.Describe().c_str());
  std::printf("%sms until ready %.3f, first inference %.3f\n", mark.c_str(), measured.load_ms,
              measured.first_ms);
  std::printf(
      "%sms per inference: min %.3f, median %.3f, p90 %.3f, p99 %.3f, max %.3f, mean %.3f, stddev %.3f\n",
      mark.c_str(), t.min, t.median, t.p90, t.p99, t.max, t.mean, t.stddev);
  std::printf("%sfps: %.1f\n", mark.c_str(), t.FramesPerSecond());
}

inline std::string Describe(const Difference& difference) {
  std::string text =
      std::to_string(difference.differing) + " of " + std::to_string(difference.values) + " values differ";
  if (difference.differing != 0) text += ", by at most " + Fixed(difference.max_steps, 1) + " steps";
  if (!difference.list) return text;
  return text + (difference.same_best ? "; the same best class, " + std::to_string(difference.best)
                                      : "; the best class is " + std::to_string(difference.best) +
                                            " instead of " + std::to_string(difference.best_plain));
}

inline void PrintText(const Report& report) {
  PrintMeasured(report.measured);
  std::printf("libraries: TensorFlow Lite %s (commit %s), libedgetpu %s (%s)\n", TFLITE_VERSION_STRING,
              TfliteCommit().c_str(), Variant().c_str(), edgetpu_version());
  std::printf("input: %s\nruns: %d after the first and %d to warm up, %d thread%s\n", report.input.c_str(),
              report.runs, report.warmup, report.threads, report.threads == 1 ? "" : "s");
  if (report.judgement.expected > 0) {
    std::printf("expected of such a device: %.3f ms; it takes %.1f times that\n", report.judgement.expected,
                report.judgement.times);
  }
  if (!report.compared) return;
  std::printf("\nThe same on the CPU:\n");
  PrintMeasured(report.plain);
  const char* const mark = report.measured.placement.Mark();
  std::printf("\n%s%sspeed-up: %.2f (by the medians)\n", mark, *mark == '\0' ? "" : "  ", report.SpeedUp());
  for (size_t i = 0; i < report.differences.size(); ++i) {
    const Difference& difference = report.differences[i];
    std::printf("output %zu %s %s: %s\n", i, difference.name.c_str(), difference.kind.c_str(),
                Describe(difference).c_str());
  }
  if (report.questions == 0) return;
  std::printf("questions: %d, counted above", report.questions);
  if (report.Classes()) std::printf("; the same best class for %d of them", report.same_best);
  std::printf("\n");
}

// Numbers that JSON has no word for become null.
inline std::string JsonNumber(double value, int digits = 3) {
  return std::isfinite(value) ? Fixed(value, digits) : "null";
}
inline std::string JsonBool(bool value) { return value ? "true" : "false"; }

// Fields of one model, a line each: shell scripts read them.
inline std::string JsonMeasured(const Measured& measured, const std::string& indent) {
  const Placement& p = measured.placement;
  const Times& t = measured.times;
  const auto field = [&](const char* name, const std::string& value) {
    return indent + "\"" + name + "\": " + value + ",\n";
  };
  return field("model", JsonString(measured.model)) + field("ran_on", JsonString(p.Name())) +
         field("figures", JsonString(*p.Mark() == '\0' ? "measured" : p.Mark())) +
         field("device", "{\"type\": " + JsonString(p.type) + ", \"path\": " + JsonString(p.path) + "}") +
         field("usb_mbits", JsonNumber(p.megabits, 0)) +
         field("delegated_operations", std::to_string(p.delegated)) +
         field("xnnpack_operations", std::to_string(p.xnnpack)) +
         field("operations", std::to_string(p.operations)) + field("ready_ms", JsonNumber(measured.load_ms)) +
         field("first_ms", JsonNumber(measured.first_ms)) + field("median_ms", JsonNumber(t.median)) +
         field("ms", "{\"min\": " + JsonNumber(t.min) + ", \"median\": " + JsonNumber(t.median) +
                         ", \"p90\": " + JsonNumber(t.p90) + ", \"p99\": " + JsonNumber(t.p99) +
                         ", \"max\": " + JsonNumber(t.max) + ", \"mean\": " + JsonNumber(t.mean) +
                         ", \"stddev\": " + JsonNumber(t.stddev) + "}") +
         field("fps", JsonNumber(t.FramesPerSecond(), 2));
}

inline std::string JsonDifference(const Difference& d) {
  return "{\"name\": " + JsonString(d.name) + ", \"kind\": " + JsonString(d.kind) +
         ", \"values\": " + std::to_string(d.values) + ", \"differing\": " + std::to_string(d.differing) +
         ", \"max_steps\": " + JsonNumber(d.max_steps, 1) +
         ", \"best\": " + (d.list ? std::to_string(d.best) : "null") +
         ", \"best_plain\": " + (d.list ? std::to_string(d.best_plain) : "null") +
         ", \"same_best\": " + (d.list ? JsonBool(d.same_best) : "null") + "}";
}

inline std::string JsonComparison(const Report& report) {
  if (!report.compared) return "null";
  std::string outputs;
  size_t differing = 0, values = 0;
  double steps = 0;
  bool same_best = true;
  for (const auto& difference : report.differences) {
    outputs += (outputs.empty() ? "\n      " : ",\n      ") + JsonDifference(difference);
    differing += difference.differing;
    values += difference.values;
    steps = std::max(steps, difference.max_steps);
    same_best = same_best && difference.same_best;
  }
  return "{\n" + JsonMeasured(report.plain, "    ") + "    \"speed_up\": " + JsonNumber(report.SpeedUp(), 2) +
         ",\n    \"values\": " + std::to_string(values) +
         ",\n    \"differing\": " + std::to_string(differing) +
         ",\n    \"max_steps\": " + JsonNumber(steps, 1) + ",\n    \"same_best\": " + JsonBool(same_best) +
         ",\n    \"questions\": " + std::to_string(report.questions) + ",\n    \"questions_same_best\": " +
         (report.questions == 0 || !report.Classes() ? "null" : std::to_string(report.same_best)) +
         ",\n    \"tolerance\": " + (report.tolerance < 0 ? "null" : JsonNumber(report.tolerance, 1)) +
         ",\n    \"within_tolerance\": " + (report.tolerance < 0 ? "null" : JsonBool(report.Within())) +
         ",\n    \"outputs\": [" + outputs + "\n    ]\n  }";
}

inline std::string Json(const Report& report) {
  const Judgement& judgement = report.judgement;
  const bool judged = judgement.expected > 0;
  const auto number = [](int value) { return std::to_string(value); };
  return "{\n" + JsonMeasured(report.measured, "  ") + "  \"variant\": " + JsonString(Variant()) +
         ",\n  \"simulated\": " + JsonBool(IsSimulated()) +
         ",\n  \"emulated\": " + JsonBool(report.measured.placement.emulated) +
         ",\n  \"input\": " + JsonString(report.input) + ",\n  \"warmup\": " + number(report.warmup) +
         ",\n  \"runs\": " + number(report.runs) + ",\n  \"threads\": " + number(report.threads) +
         ",\n  \"expected_ms\": " + (judged ? JsonNumber(judgement.expected) : "null") +
         ",\n  \"times_expected\": " + (judged ? JsonNumber(judgement.times, 2) : "null") +
         ",\n  \"no_expectation\": " + JsonString(judgement.reason) +
         ",\n  \"warning\": " + JsonString(judgement.warning) +
         ",\n  \"versions\": {\"tflite\": " + JsonString(TFLITE_VERSION_STRING) +
         ", \"tflite_commit\": " + JsonString(TfliteCommit()) +
         ", \"edgetpu\": " + JsonString(edgetpu_version()) +
         ", \"edgetpu_commit\": " + JsonString(EdgeTpuCommit()) +
         "},\n  \"compared\": " + JsonComparison(report) + "\n}\n";
}

}  // namespace coral

#endif  // CORAL_BENCHMARK_REPORT_H_
