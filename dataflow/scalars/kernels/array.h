// How a value of an array type is held: bytes whose order and equality are those of PostgreSQL's arrays (ADR 20).
//
//   width    1 byte     of an element: 1, 2, 4, 8, 16 or 24; 0 when elements are of any length
//   elements            row by row; each is 1 and the value, or 2 for NULL (and zeros in the place of the value)
//   0                   the end: of two that begin alike the shorter one comes first
//   shape    1 byte     how many dimensions, 0 (empty) to 6; the length of each; the lower bound of each; how many dimensions
//
// A value of fixed width is big-endian with its sign flipped, so that bytes compare as values do; one of any length has 0 FF for
// each zero byte in it, and ends with a zero byte. Floats have one zero and one NaN. An interval is its length, then its months and
// days: those of one length that look different are apart, but next to each other. Numbers of the shape are 4 bytes.
// Always true: reading malformed bytes throws std::invalid_argument. Deliberately unknown: SQL types (a column has an Arrow format).
#pragma once

#include "dataflow/kernels/values.h"
#include "dataflow/scalars/kernels/scalars.h"

#include <string>

namespace headwater::arrays {

using arrow::Builder;
using arrow::Column;
using arrow::Format;
using arrow::Layout;
using arrow::Meaning;

namespace nb = nanobind;
inline constexpr int kMostDimensions = 6;
inline constexpr int64_t kMostElements = 134217727;       // PostgreSQL's bound
inline constexpr size_t kMostBytes = (size_t{1} << 30) - 1;  // of one value, as PostgreSQL's
inline constexpr const char* kTooLarge = "array size exceeds the maximum allowed (134217727)";
inline constexpr char kPresent = 1, kNull = 2;
inline constexpr int kIntervalWidth = 24, kMostWidth = kIntervalWidth;

struct Shape {
  int dimensions = 0;
  int32_t lengths[kMostDimensions] = {};
  int32_t lower[kMostDimensions] = {};

  int64_t count() const {
    int64_t product = dimensions > 0;
    for (int d = 0; d < dimensions; ++d) {
      product *= lengths[d];
      if (product > kMostElements) throw std::invalid_argument("malformed array");
    }
    return product;
  }
  // One dimension from 1, or no dimension where there is nothing.
  static Shape line(int64_t count, int32_t first = 1) {
    Shape shape;
    shape.dimensions = count > 0;
    shape.lengths[0] = static_cast<int32_t>(count);
    shape.lower[0] = first;
    return shape;
  }
  bool operator==(const Shape& other) const {
    if (dimensions != other.dimensions) return false;
    for (int d = 0; d < dimensions; ++d)
      if (lengths[d] != other.lengths[d] || lower[d] != other.lower[d]) return false;
    return true;
  }
};

// `[1:2][0:3]`.
inline void put_bounds(std::string& out, const Shape& shape) {
  for (int d = 0; d < shape.dimensions; ++d) {
    out.append("[").append(std::to_string(shape.lower[d])).append(":");
    out.append(std::to_string(int64_t{shape.lower[d]} + shape.lengths[d] - 1)).append("]");
  }
}

// One array, read in place.
struct View {
  int width = 0;
  Shape shape;
  std::string_view body;  // the elements; the byte behind it can be read, and is 0

  static uint32_t number(const char* at) {
    uint32_t word;
    std::memcpy(&word, at, 4);
    return __builtin_bswap32(word);
  }
  static View read(std::string_view bytes) {
    auto fail = [] { throw std::invalid_argument("malformed array"); };
    if (bytes.size() < 4) fail();
    View view;
    view.width = static_cast<unsigned char>(bytes[0]);
    const int dimensions = static_cast<unsigned char>(bytes.back());
    const size_t shape = 2 + 8 * static_cast<size_t>(dimensions);
    if (dimensions > kMostDimensions || bytes.size() < 2 + shape || view.width > kMostWidth) fail();
    const char* at = bytes.data() + bytes.size() - shape + 1;
    view.shape.dimensions = dimensions;
    for (int d = 0; d < dimensions; ++d) {
      view.shape.lengths[d] = static_cast<int32_t>(number(at + 4 * d));
      view.shape.lower[d] = static_cast<int32_t>(number(at + 4 * (dimensions + d)) ^ 0x80000000u);
      if (view.shape.lengths[d] <= 0) fail();
    }
    view.body = bytes.substr(1, bytes.size() - 2 - shape);
    const auto count = static_cast<size_t>(view.shape.count());
    if (view.width ? view.body.size() != count * (static_cast<size_t>(view.width) + 1) : view.body.size() < count) fail();
    return view;
  }
};

// The elements of a view in order: `next` gives each as it is held, its first byte telling whether it is NULL.
class Walk {
 public:
  explicit Walk(const View& view)
      : width_(view.width), at_(view.body.data()), end_(view.body.data() + view.body.size()) {}

  bool next(std::string_view& element) {
    if (at_ == end_) return false;
    const char* begin = at_;
    if (width_) {
      at_ += width_ + 1;
    } else if (*at_++ == kPresent) {
      for (;;) {
        at_ = static_cast<const char*>(std::memchr(at_, 0, static_cast<size_t>(end_ - at_)));
        if (!at_) throw std::invalid_argument("malformed array");
        ++at_;
        if (static_cast<unsigned char>(*at_) != 0xff) break;  // at most the end's zero byte
        ++at_;
      }
    }
    element = {begin, static_cast<size_t>(at_ - begin)};
    return true;
  }

 private:
  int width_;
  const char* at_;
  const char* end_;
};

// The element at a place: at once where all are of one width, else by walking.
inline std::string_view element_at(const View& view, int64_t place) {
  if (view.width) {
    const auto size = static_cast<size_t>(view.width) + 1;
    return view.body.substr(static_cast<size_t>(place) * size, size);
  }
  Walk walk(view);
  std::string_view element;
  for (int64_t i = 0; i <= place; ++i)
    if (!walk.next(element)) throw std::invalid_argument("malformed array");
  return element;
}

inline void put_number(std::string& out, uint32_t value) {
  const uint32_t word = __builtin_bswap32(value);
  out.append(reinterpret_cast<const char*>(&word), 4);
}

// End the array that is the whole of `out`. Empty ones are one value, whatever their elements would be.
inline void put_shape(std::string& out, const Shape& shape) {
  if (!shape.dimensions) out[0] = '\0';
  out += '\0';
  out += static_cast<char>(shape.dimensions);
  for (int d = 0; d < shape.dimensions; ++d) put_number(out, static_cast<uint32_t>(shape.lengths[d]));
  for (int d = 0; d < shape.dimensions; ++d) put_number(out, static_cast<uint32_t>(shape.lower[d]) ^ 0x80000000u);
  out += static_cast<char>(shape.dimensions);
}

// Begin an array in `out`; elements, then `put_shape`, follow.
inline void begin_array(std::string& out, int width) { out.assign(1, static_cast<char>(width)); }

inline void put_null(std::string& out, int width) {
  out += kNull;
  out.append(static_cast<size_t>(width), '\0');
}

inline void put_text(std::string& out, std::string_view value) {
  out += kPresent;
  for (size_t at = 0;;) {
    const size_t zero = value.find('\0', at);
    if (zero == value.npos) {
      out.append(value.substr(at));
      break;
    }
    out.append(value.substr(at, zero - at)).append("\0\xff", 2);
    at = zero + 1;
  }
  out += '\0';
}

// The text of an element that is not NULL; `made` holds it where it has zero bytes.
inline std::string_view text_of(std::string_view element, std::string& made) {
  const std::string_view value = element.substr(1, element.size() - 2);
  if (value.find('\0') == value.npos) return value;
  made.clear();
  for (size_t i = 0; i < value.size(); ++i) {
    made += value[i];
    if (value[i] == '\0') ++i;
  }
  return made;
}

// Values of a column as elements, and back.
class Codec {
 public:
  explicit Codec(const Format& format) : format_(format) {
    if (format.layout == Layout::fixed && format.width > 16) throw std::invalid_argument("elements are too wide");
    width = format.layout == Layout::bytes          ? 0
            : format.layout == Layout::boolean       ? 1
            : format.meaning == Meaning::interval    ? kIntervalWidth
                                                     : format.width;
  }

  int width = 0;

  void put(std::string& out, const Column& column, int64_t i) const {
    if (!column.valid(i)) return put_null(out, width);
    if (width == 0) return put_text(out, column.bytes(i));
    out += kPresent;
    if (format_.layout == Layout::boolean) {
      out += static_cast<char>(column.boolean(i));
    } else if (format_.meaning == Meaning::bytes) {
      out.append(column.bytes(i));
    } else if (format_.meaning == Meaning::interval) {
      const auto value = column.value<Interval>(i);
      put_wide(out, interval_length(value));
      put_word(out, static_cast<uint32_t>(value.months) ^ 0x80000000u, 4);
      put_word(out, static_cast<uint32_t>(value.days) ^ 0x80000000u, 4);
    } else if (width == 16) {
      put_wide(out, column.value<__int128>(i));
    } else if (format_.meaning == Meaning::real) {
      put_word(out, width == 4 ? float_word<float, uint32_t>(column, i) : float_word<double, uint64_t>(column, i), width);
    } else {
      put_word(out, load(column, i) ^ (format_.meaning == Meaning::integer ? sign() : 0), width);
    }
  }

  // Append an element to a builder of the codec's format.
  void take(Builder& out, std::string_view element, std::string& made) const {
    if (element[0] != kPresent) return out.append_null();
    if (width == 0) return out.append_bytes(text_of(element, made));
    const char* at = element.data() + 1;
    if (format_.layout == Layout::boolean) return out.append_boolean(*at != 0);
    if (format_.meaning == Meaning::bytes) return append(out, at);
    if (format_.meaning == Meaning::interval) {
      Interval value{static_cast<int32_t>(word(at + 16, 4) ^ 0x80000000u), static_cast<int32_t>(word(at + 20, 4) ^ 0x80000000u), 0};
      value.micros = static_cast<int64_t>(wide(at) - interval_length(value));
      return out.append(value);
    }
    if (width == 16) return out.append(wide(at));
    uint64_t value = word(at, width);
    if (format_.meaning == Meaning::real) value = value & sign() ? value ^ sign() : ~value;
    else if (format_.meaning == Meaning::integer) value ^= sign();
    if (width == 1) out.append(static_cast<uint8_t>(value));
    if (width == 2) out.append(static_cast<uint16_t>(value));
    if (width == 4) out.append(static_cast<uint32_t>(value));
    if (width == 8) out.append(value);
  }

 private:
  static void put_word(std::string& out, uint64_t value, int width) {
    value = __builtin_bswap64(value << (64 - 8 * width));
    out.append(reinterpret_cast<const char*>(&value), static_cast<size_t>(width));
  }
  static uint64_t word(const char* at, int width) {
    uint64_t value = 0;
    std::memcpy(&value, at, static_cast<size_t>(width));
    return __builtin_bswap64(value) >> (64 - 8 * width);
  }
  static void put_wide(std::string& out, __int128 number) {
    const auto value = static_cast<unsigned __int128>(number);
    put_word(out, static_cast<uint64_t>(value >> 64) ^ rows::kSign, 8);
    put_word(out, static_cast<uint64_t>(value), 8);
  }
  static __int128 wide(const char* at) {
    return static_cast<__int128>(static_cast<unsigned __int128>(word(at, 8) ^ rows::kSign) << 64 | word(at + 8, 8));
  }
  uint64_t sign() const { return uint64_t{1} << (8 * width - 1); }
  uint64_t load(const Column& column, int64_t i) const {
    if (width == 1) return column.value<uint8_t>(i);
    if (width == 2) return column.value<uint16_t>(i);
    if (width == 4) return column.value<uint32_t>(i);
    return column.value<uint64_t>(i);
  }
  template <class T, class Word>
  static uint64_t float_word(const Column& column, int64_t i) {
    const auto bits = std::bit_cast<Word>(rows::Real<T>::get(column, i));
    constexpr Word sign = Word{1} << (8 * sizeof(Word) - 1);
    return static_cast<Word>(bits & sign ? ~bits : bits | sign);
  }
  void append(Builder& out, const char* at) const { out.append_bytes({at, static_cast<size_t>(width)}); }

  Format format_;
};

// The parts of the module, one for each family.
void add_making(nb::module_& m);
void add_reading(nb::module_& m);
void add_changing(nb::module_& m);
void add_texts(nb::module_& m);
void add_maps(nb::module_& m);
void add_nested_texts(nb::module_& m);

}  // namespace headwater::arrays
