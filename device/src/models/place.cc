#include "models/place.h"

namespace coral_device {
namespace {

using Numbers = flatbuffers::Vector<int32_t>;

bool Has(const Numbers* numbers, int count) {
  return numbers != nullptr && static_cast<int64_t>(numbers->size()) >= count;
}

// Adds where the next element lies. Returns whether that is in the layer's buffer.
bool Add(int64_t place, Layer* read) {
  if (place < 0 || (static_cast<size_t>(place) + 1) * read->element_bytes > read->wire_bytes) return false;
  read->places.push_back(static_cast<uint32_t>(place));
  return true;
}

std::string ReadTiles(const package::Layer& layer, const package::Layout& layout, Layer* read) {
  if (!Has(layout.y_tile(), layer.y()) || !Has(layout.y_local(), layer.y()) ||
      !Has(layout.x_tile(), layer.x()) || !Has(layout.x_local(), layer.x()) ||
      !Has(layout.x_row(), layer.x())) {
    return "has a layout of another size";
  }
  const auto at = [](const Numbers* numbers, int index) {
    return int64_t{numbers->Get(static_cast<unsigned>(index))};
  };
  read->places.reserve(read->elements);
  for (int y = 0; y < layer.y(); ++y) {
    for (int x = 0; x < layer.x(); ++x) {
      const int64_t tile = at(layout.y_tile(), y) + at(layout.x_tile(), x);
      if (tile < 0 || !Has(layout.tile_offset(), static_cast<int>(tile) + 1))
        return "lies in a tile that is not there";
      const int64_t begin = at(layout.tile_offset(), static_cast<int>(tile)) +
                            at(layout.y_local(), y) * at(layout.x_row(), x) + at(layout.x_local(), x);
      for (int z = 0; z < layer.z(); ++z) {
        if (!Add(begin + z, read)) return "lies outside of its buffer";
      }
    }
  }
  return "";
}

// A piece of a tensor: an index in each dimension runs from first to last, the last dimension fastest.
class Walk {
 public:
  explicit Walk(const package::Shape& shape) : dimensions_(shape.dimensions()) {
    for (const package::Range* range : *dimensions_) at_.push_back(range->first());
  }

  const std::vector<int64_t>& at() const { return at_; }

  bool Next() {
    for (size_t i = at_.size(); i-- > 0;) {
      const package::Range* range = dimensions_->Get(static_cast<unsigned>(i));
      if (++at_[i] <= range->last()) return true;
      at_[i] = range->first();
    }
    return false;
  }

 private:
  const flatbuffers::Vector<const package::Range*>* const dimensions_;
  std::vector<int64_t> at_;
};

// The number of the element at a position of the whole tensor, in order; -1 outside of it.
int64_t Number(const package::Shape& whole, const std::vector<int64_t>& position) {
  int64_t number = 0;
  for (size_t i = 0; i < position.size(); ++i) {
    const package::Range* range = whole.dimensions()->Get(static_cast<unsigned>(i));
    if (position[i] < range->first() || position[i] > range->last()) return -1;
    number = number * (int64_t{range->last()} - range->first() + 1) + position[i] - range->first();
  }
  return number;
}

std::string ReadSlice(const package::Shape& whole, const package::SliceLayout& slice, int64_t offset,
                      Layer* read) {
  const size_t rank = whole.dimensions()->size();
  if (slice.shape() == nullptr || slice.shape()->dimensions() == nullptr ||
      slice.shape()->dimensions()->size() != rank || !Has(slice.stride(), static_cast<int>(rank))) {
    return "has a slice of another shape";
  }
  Walk walk(*slice.shape());
  do {
    int64_t place = offset / static_cast<int64_t>(read->element_bytes);
    for (size_t i = 0; i < rank; ++i) {
      const unsigned index = static_cast<unsigned>(i);
      place += (walk.at()[i] - slice.shape()->dimensions()->Get(index)->first()) * slice.stride()->Get(index);
    }
    const int64_t number = Number(whole, walk.at());
    const bool inside =
        place >= 0 && (static_cast<size_t>(place) + 1) * read->element_bytes <= read->wire_bytes;
    if (number < 0 || static_cast<size_t>(number) >= read->places.size() || !inside)
      return "has a slice beyond it";
    read->places[static_cast<size_t>(number)] = static_cast<uint32_t>(place);
  } while (walk.Next());
  return "";
}

std::string ReadSlices(const package::Layer& layer, const package::Slices& slices, Layer* read) {
  if (layer.shape() == nullptr || layer.shape()->dimensions() == nullptr || slices.layouts() == nullptr ||
      !Has(slices.offsets(), static_cast<int>(slices.layouts()->size()))) {
    return "has slices without a shape";
  }
  constexpr uint32_t kNowhere = UINT32_MAX;
  read->places.assign(read->elements, kNowhere);
  for (unsigned i = 0; i < slices.layouts()->size(); ++i) {
    std::string wrong = ReadSlice(*layer.shape(), *slices.layouts()->Get(i), slices.offsets()->Get(i), read);
    if (!wrong.empty()) return wrong;
  }
  for (const uint32_t place : read->places) {
    if (place == kNowhere) return "has elements that are in no slice";
  }
  return "";
}

}  // namespace

std::string ReadPlaces(const package::Layer& layer, const package::OutputLayer& output, Layer* read) {
  if (output.slices() != nullptr && output.slices()->layouts() != nullptr) {
    return ReadSlices(layer, *output.slices(), read);
  }
  // A vector lies in order, whatever a layout says: so does the driver read it.
  if (output.layout() == nullptr || (layer.y() == 1 && layer.x() == 1)) return "";
  return ReadTiles(layer, *output.layout(), read);
}

}  // namespace coral_device
