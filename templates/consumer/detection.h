// Objects in a picture: boxes, how much two of them overlap, and which of several around one object stays.
#ifndef CORAL_DETECTION_H_
#define CORAL_DETECTION_H_

#include <algorithm>
#include <cstddef>
#include <vector>

namespace coral {

// Edges in fractions of the picture, from its left and top.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  double Area() const { return std::max(right - left, 0.0) * std::max(bottom - top, 0.0); }
};

struct Detection {
  size_t label = 0;  // its class
  double score = 0;
  Box box;
};

// The part of both boxes' area that they share, 0 to 1.
inline double Overlap(const Box& a, const Box& b) {
  const Box both = {std::max(a.left, b.left), std::max(a.top, b.top), std::min(a.right, b.right),
                    std::min(a.bottom, b.bottom)};
  const double shared = both.Area(), all = a.Area() + b.Area() - shared;
  return all > 0 ? shared / all : 0;
}

// More than any picture has; it bounds the time that Suppress takes.
constexpr size_t kMaxCandidates = 3000;

inline std::vector<Detection> BestFirst(std::vector<Detection> found) {
  const auto better = [](const Detection& a, const Detection& b) { return a.score > b.score; };
  std::stable_sort(found.begin(), found.end(), better);
  if (found.size() > kMaxCandidates) found.resize(kMaxCandidates);
  return found;
}

// The best first; of those of one class that overlap by more than `limit`, only the best one.
inline std::vector<Detection> Suppress(const std::vector<Detection>& found, double limit) {
  std::vector<Detection> kept;
  for (const Detection& one : BestFirst(found)) {
    const auto covers = [&](const Detection& other) {
      return other.label == one.label && Overlap(other.box, one.box) > limit;
    };
    if (std::none_of(kept.begin(), kept.end(), covers)) kept.push_back(one);
  }
  return kept;
}

// Clipped to the picture; without those that are not in it.
inline std::vector<Detection> Clip(std::vector<Detection> found) {
  for (Detection& one : found) {
    for (double* edge : {&one.box.left, &one.box.top, &one.box.right, &one.box.bottom})
      *edge = std::clamp(*edge, 0.0, 1.0);
  }
  const auto outside = [](const Detection& one) { return one.box.Area() <= 0; };
  found.erase(std::remove_if(found.begin(), found.end(), outside), found.end());
  return found;
}

}  // namespace coral

#endif  // CORAL_DETECTION_H_
