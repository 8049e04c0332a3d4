// Measured times in a few numbers.
#ifndef CORAL_TIMING_H_
#define CORAL_TIMING_H_

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

namespace coral {

// Runs from when it is made.
class Stopwatch {
 public:
  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Milliseconds per inference.
struct Times {
  double min = 0, median = 0, p90 = 0, p99 = 0, max = 0, mean = 0, stddev = 0;

  double FramesPerSecond() const { return median > 0 ? 1000.0 / median : 0; }
};

// Of at least one time.
inline Times Summarize(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const size_t n = ms.size();
  // Nearest rank: the smallest time that at least so many percent of the runs did not exceed.
  const auto percentile = [&](size_t percent) { return ms[(n * percent + 99) / 100 - 1]; };
  Times times;
  times.min = ms.front();
  times.median = (ms[(n - 1) / 2] + ms[n / 2]) / 2;
  times.p90 = percentile(90);
  times.p99 = percentile(99);
  times.max = ms.back();
  times.mean = std::accumulate(ms.begin(), ms.end(), 0.0) / static_cast<double>(n);
  double squares = 0;
  for (const double one : ms) squares += (one - times.mean) * (one - times.mean);
  times.stddev = n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : 0;
  return times;
}

inline std::string Fixed(double value, int digits = 3) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

}  // namespace coral

#endif  // CORAL_TIMING_H_
