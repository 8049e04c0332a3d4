// Boxes with numbers drawn into a picture, and writing it: BMP and PPM, without a library.
#ifndef CORAL_DRAWING_H_
#define CORAL_DRAWING_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cli.h"
#include "detection.h"
#include "files.h"
#include "image.h"

namespace coral {

struct Colour {
  uint8_t red, green, blue;
};

// Of a class; far from each other, and each lets white be read on it.
inline Colour ColourOf(size_t label) {
  static constexpr Colour kColours[] = {{214, 39, 40},  {31, 119, 180}, {44, 160, 44},  {148, 103, 189},
                                        {200, 90, 0},   {140, 86, 75},  {197, 27, 125}, {23, 130, 140},
                                        {110, 110, 20}, {90, 90, 90}};
  return kColours[label % (sizeof(kColours) / sizeof(kColours[0]))];
}

// Fills what of the rectangle is in the picture; right and bottom are not part of it.
inline void Fill(Image* image, int left, int top, int right, int bottom, Colour colour) {
  for (int y = std::max(top, 0); y < std::min(bottom, image->height); ++y) {
    for (int x = std::max(left, 0); x < std::min(right, image->width); ++x) {
      uint8_t* const pixel =
          &image->rgb[(static_cast<size_t>(y) * static_cast<size_t>(image->width) + static_cast<size_t>(x)) *
                      3];
      pixel[0] = colour.red;
      pixel[1] = colour.green;
      pixel[2] = colour.blue;
    }
  }
}

// Digits of 3 x 5 dots, a row after the other, the highest of 15 bits first.
constexpr uint16_t kDigits[] = {0x7B6F, 0x2C97, 0x73E7, 0x72CF, 0x5BC9,
                                0x79CF, 0x79EF, 0x7249, 0x7BEF, 0x7BCF};

inline void DrawNumber(Image* image, size_t number, int left, int top, int dot, Colour colour) {
  const std::string digits = std::to_string(number);
  Fill(image, left, top, left + dot * (static_cast<int>(digits.size()) * 4 + 1), top + dot * 7, colour);
  for (size_t i = 0; i < digits.size(); ++i) {
    const uint16_t dots = kDigits[digits[i] - '0'];
    for (int bit = 0; bit < 15; ++bit) {
      if ((dots >> (14 - bit) & 1) == 0) continue;
      const int x = left + dot * (1 + static_cast<int>(i) * 4 + bit % 3), y = top + dot * (1 + bit / 3);
      Fill(image, x, y, x + dot, y + dot, {255, 255, 255});
    }
  }
}

// Edges of a box in pixels of a picture.
struct PixelBox {
  int left, top, right, bottom;
};

inline PixelBox InPixels(const Box& box, const Image& image) {
  const auto at = [](double fraction, int size) {
    return std::clamp(static_cast<int>(fraction * size + 0.5), 0, size);
  };
  return {at(box.left, image.width), at(box.top, image.height), at(box.right, image.width),
          at(box.bottom, image.height)};
}

// Each object's box in the colour of its class, with the object's number.
inline void Draw(Image* image, const std::vector<Detection>& found) {
  const int line = std::max(1, std::min(image->width, image->height) / 160);
  for (size_t i = found.size(); i-- > 0;) {  // the best one last, so that nothing covers it
    const PixelBox box = InPixels(found[i].box, *image);
    const Colour colour = ColourOf(found[i].label);
    Fill(image, box.left, box.top, box.right, box.top + line, colour);
    Fill(image, box.left, box.bottom - line, box.right, box.bottom, colour);
    Fill(image, box.left, box.top, box.left + line, box.bottom, colour);
    Fill(image, box.right - line, box.top, box.right, box.bottom, colour);
    DrawNumber(image, i, box.left, box.top, line + 1, colour);
  }
}

inline bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

inline std::string EncodeBmp(const Image& image) {
  const size_t row = (static_cast<size_t>(image.width) * 3 + 3) / 4 * 4;
  const size_t size = row * static_cast<size_t>(image.height);
  std::string bytes = "BM";
  const auto put = [&](size_t number, int count) {
    for (; count > 0; --count, number >>= 8) bytes += static_cast<char>(number & 0xff);
  };
  put(54 + size, 4);
  put(0, 4);
  put(54, 4);
  put(40, 4);
  put(static_cast<size_t>(image.width), 4);
  put(static_cast<size_t>(image.height), 4);
  put(1, 2);
  put(24, 2);
  put(0, 4);
  put(size, 4);
  for (int i = 0; i < 4; ++i) put(0, 4);
  for (int y = image.height - 1; y >= 0; --y) {
    for (int x = 0; x < image.width; ++x) {
      const uint8_t* const rgb = image.At(x, y);
      for (int c = 2; c >= 0; --c) bytes += static_cast<char>(rgb[c]);
    }
    bytes.resize(54 + row * static_cast<size_t>(image.height - y));
  }
  return bytes;
}

// Throws Failure(kUsage) for a name that does not say which format; before anything else is done.
inline void CheckPictureName(const std::string& path) {
  if (EndsWith(path, ".bmp") || EndsWith(path, ".ppm")) return;
  throw Failure(kUsage, "--output must end in .bmp or .ppm, not '" + Printable(path) + "'");
}

inline void WriteImage(const std::string& path, const Image& image) {
  if (EndsWith(path, ".bmp")) return WriteFile(path, EncodeBmp(image));
  const std::string head =
      "P6\n" + std::to_string(image.width) + " " + std::to_string(image.height) + "\n255\n";
  WriteFile(path, head + std::string(image.rgb.begin(), image.rgb.end()));
}

}  // namespace coral

#endif  // CORAL_DRAWING_H_
