// Images: uncompressed BMP (8, 24, 32 bit) and binary PPM/PGM, without a library; and scaling them.
#ifndef CORAL_IMAGE_H_
#define CORAL_IMAGE_H_

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli.h"
#include "files.h"

namespace coral {

// Rows from the top, three bytes (red, green, blue) a pixel.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;

  const uint8_t* At(int x, int y) const {
    return &rgb[(static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) * 3];
  }
};

constexpr int kMaxSide = 16384;
constexpr size_t kMaxImageBytes = size_t{128} << 20;

// Makes an image of the given size, which must be reasonable whatever a file says.
inline Image NewImage(const std::string& path, int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide || width * height > (1 << 26)) {
    throw Failure(kBadInput, Printable(path) + ": unreasonable image size " + std::to_string(width) + " x " +
                                 std::to_string(height));
  }
  Image image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.rgb.resize(static_cast<size_t>(width * height) * 3);
  return image;
}

// Little-endian numbers of a byte array; reading past its end throws.
class Bytes {
 public:
  Bytes(const std::string& path, const std::vector<uint8_t>& data) : path_(path), data_(data) {}

  const uint8_t* Range(size_t offset, size_t length) const {
    if (offset > data_.size() || length > data_.size() - offset) {
      throw Failure(kBadInput, Printable(path_) + ": the image file is cut short");
    }
    return data_.data() + offset;
  }
  uint32_t U16(size_t offset) const { return Range(offset, 2)[0] + 256u * Range(offset, 2)[1]; }
  uint32_t U32(size_t offset) const { return U16(offset) + 65536u * U16(offset + 2); }
  int32_t I32(size_t offset) const { return static_cast<int32_t>(U32(offset)); }

 private:
  const std::string& path_;
  const std::vector<uint8_t>& data_;
};

inline Image DecodeBmp(const std::string& path, const std::vector<uint8_t>& data) {
  const Bytes bytes(path, data);
  const size_t header = bytes.U32(14);
  const uint32_t bits = bytes.U16(28);
  const uint32_t compression = bytes.U32(30);
  // 3 says that masks follow; only the usual order of bytes (blue, green, red) is taken.
  const bool usual_masks = compression == 3 && bits == 32 && bytes.U32(54) == 0xff0000 &&
                           bytes.U32(58) == 0xff00 && bytes.U32(62) == 0xff;
  if (header < 40 || !(compression == 0 || usual_masks) || !(bits == 8 || bits == 24 || bits == 32)) {
    throw Failure(kBadInput,
                  Printable(path) + ": only uncompressed BMP files of 8, 24 or 32 bits can be read");
  }
  const int64_t signed_height = bytes.I32(22);
  Image image = NewImage(path, bytes.I32(18), std::abs(signed_height));

  const uint32_t used = bits == 8 ? bytes.U32(46) : 0;
  const size_t colours = bits != 8 ? 0 : used == 0 ? 256 : used;
  if (colours > 256) throw Failure(kBadInput, Printable(path) + ": the palette has too many colours");
  const uint8_t* palette = bytes.Range(14 + header, colours * 4);

  const size_t width = static_cast<size_t>(image.width);
  const size_t height = static_cast<size_t>(image.height);
  const size_t pixel = bits / 8;
  const size_t stride = (width * pixel + 3) / 4 * 4;
  const uint8_t* rows = bytes.Range(bytes.U32(10), stride * (height - 1) + width * pixel);
  for (size_t y = 0; y < height; ++y) {
    // Rows are stored from the bottom, unless the height is negative.
    const uint8_t* row = rows + stride * (signed_height > 0 ? height - 1 - y : y);
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* bgr = row + x * pixel;
      if (bits == 8) {
        if (*bgr >= colours) throw Failure(kBadInput, Printable(path) + ": a pixel is not in the palette");
        bgr = palette + *bgr * size_t{4};
      }
      uint8_t* out = &image.rgb[(y * width + x) * 3];
      out[0] = bgr[2];
      out[1] = bgr[1];
      out[2] = bgr[0];
    }
  }
  return image;
}

// Reads the next number of a PPM header, past blanks and comments.
inline int PnmNumber(const std::string& path, const std::vector<uint8_t>& data, size_t* at) {
  const auto get = [&](size_t i) { return i < data.size() ? static_cast<char>(data[i]) : '\0'; };
  while (std::isspace(static_cast<unsigned char>(get(*at))) || get(*at) == '#') {
    if (get(*at) == '#') {
      while (get(*at) != '\n' && *at < data.size()) ++*at;
    } else {
      ++*at;
    }
  }
  int value = 0;
  const size_t start = *at;
  for (; get(*at) >= '0' && get(*at) <= '9' && value <= kMaxSide; ++*at)
    value = value * 10 + (get(*at) - '0');
  if (*at == start) throw Failure(kBadInput, Printable(path) + ": the PPM header is damaged");
  return value;
}

inline Image DecodePnm(const std::string& path, const std::vector<uint8_t>& data) {
  const size_t channels = data[1] == '6' ? 3 : 1;
  size_t at = 2;
  const int width = PnmNumber(path, data, &at);
  const int height = PnmNumber(path, data, &at);
  const int max = PnmNumber(path, data, &at);
  Image image = NewImage(path, width, height);
  if (max < 1 || max > 255)
    throw Failure(kBadInput, Printable(path) + ": only PPM files of 8 bits can be read");
  const size_t count = static_cast<size_t>(width) * static_cast<size_t>(height);
  const uint8_t* pixels = Bytes(path, data).Range(at + 1, count * channels);
  for (size_t i = 0; i < count * 3; ++i) {
    const int value = pixels[channels == 3 ? i : i / 3];
    image.rgb[i] = static_cast<uint8_t>(std::min(value, max) * 255 / max);
  }
  return image;
}

inline Image ReadImage(const std::string& path) {
  const std::vector<uint8_t> data = ReadFile(path, kMaxImageBytes);
  const auto begins = [&](const char* mark) {
    return data.size() > 2 && data[0] == mark[0] && data[1] == mark[1];
  };
  if (begins("BM")) return DecodeBmp(path, data);
  if (begins("P6") || begins("P5")) return DecodePnm(path, data);
  throw Failure(kBadInput, Printable(path) +
                               " is neither a BMP nor a binary PPM file; convert it first, for example: "
                               "convert picture.jpg picture.bmp");
}

// A colourful picture that is the same everywhere, for runs without an image.
inline Image GeneratedImage() {
  Image image = NewImage("generated", 64, 64);
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const size_t x = i / 3 % 64, y = i / 3 / 64;
    image.rgb[i] = static_cast<uint8_t>(i % 3 == 0 ? x * 4 : i % 3 == 1 ? y * 4 : (x ^ y) * 4);
  }
  return image;
}

// Scales with bilinear interpolation between pixel centres.
inline Image Resize(const Image& from, int width, int height) {
  if (from.width == width && from.height == height) return from;
  Image to = NewImage("resized image", width, height);
  const auto sample = [](int i, int size, int from_size, int* low, int* high) {
    const double at = std::clamp((i + 0.5) * from_size / size - 0.5, 0.0, from_size - 1.0);
    *low = static_cast<int>(at);
    *high = std::min(*low + 1, from_size - 1);
    return at - *low;
  };
  uint8_t* out = to.rgb.data();
  for (int y = 0; y < height; ++y) {
    int y0, y1, x0, x1;
    const double fy = sample(y, height, from.height, &y0, &y1);
    for (int x = 0; x < width; ++x) {
      const double fx = sample(x, width, from.width, &x0, &x1);
      for (int c = 0; c < 3; ++c) {
        const double top = from.At(x0, y0)[c] * (1 - fx) + from.At(x1, y0)[c] * fx;
        const double bottom = from.At(x0, y1)[c] * (1 - fx) + from.At(x1, y1)[c] * fx;
        *out++ = static_cast<uint8_t>(top * (1 - fy) + bottom * fy + 0.5);
      }
    }
  }
  return to;
}

// A picture in a larger one, in fractions of it.
struct Fitted {
  Image image;
  double left = 0, top = 0, width = 1, height = 1;
};

// Scales a picture to fit into the given size without distorting it; what is left over, on both sides, is
// grey.
inline Fitted Fit(const Image& from, int width, int height) {
  const double scale =
      std::min(static_cast<double>(width) / from.width, static_cast<double>(height) / from.height);
  const int inner_width = std::clamp(static_cast<int>(from.width * scale + 0.5), 1, width);
  const int inner_height = std::clamp(static_cast<int>(from.height * scale + 0.5), 1, height);
  const Image inner = Resize(from, inner_width, inner_height);
  const int left = (width - inner_width) / 2, top = (height - inner_height) / 2;
  Fitted fitted;
  fitted.image = NewImage("fitted image", width, height);
  std::fill(fitted.image.rgb.begin(), fitted.image.rgb.end(), uint8_t{114});
  for (int y = 0; y < inner_height; ++y) {
    const uint8_t* const row = inner.At(0, y);
    const size_t to =
        (static_cast<size_t>(top + y) * static_cast<size_t>(width) + static_cast<size_t>(left)) * 3;
    std::copy(row, row + inner_width * 3, &fitted.image.rgb[to]);
  }
  fitted.left = static_cast<double>(left) / width;
  fitted.top = static_cast<double>(top) / height;
  fitted.width = static_cast<double>(inner_width) / width;
  fitted.height = static_cast<double>(inner_height) / height;
  return fitted;
}

}  // namespace coral

#endif  // CORAL_IMAGE_H_
