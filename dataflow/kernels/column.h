// What an Arrow column is to the kernels: the structures of the Arrow C data interface, formats, and a read-only view.
//
// Always true: a Column is immutable and may be read by any thread without the GIL; copies of it are cheap and share
// memory; `validity` is null when no row is NULL. Memory may be given back by any thread, with or without the GIL.
// Deliberately unknown: nested, dictionary and view types, 32-bit offsets, and SQL types (a column has an Arrow format).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_NULLABLE 2

// The layout and the names of these two structures are fixed by the Arrow specification.
extern "C" {
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
}
#endif

namespace headwater::arrow {

using int128 = __int128;

// How the values of a column lie in memory. `fixed` covers every width, also fixed_size_binary.
enum class Layout { boolean, fixed, bytes };

// What the values mean, as far as comparing and adding them goes.
enum class Meaning { boolean, integer, unsigned_integer, real, decimal, bytes, interval };

struct Format {
  std::string text;  // the Arrow format string: "l", "d:38,2", "tsu:UTC", "U", ...
  Layout layout = Layout::fixed;
  Meaning meaning = Meaning::integer;
  int32_t width = 0;  // bytes of one value when layout is fixed

  bool operator==(const Format& other) const { return text == other.text; }

  // Raises std::invalid_argument for types that the kernels do not know.
  static Format parse(const char* format) {
    std::string_view f(format);
    auto fixed = [&](Meaning meaning, int32_t width) { return Format{std::string(f), Layout::fixed, meaning, width}; };
    if (f == "b") return {std::string(f), Layout::boolean, Meaning::boolean, 0};
    if (f == "U" || f == "Z") return {std::string(f), Layout::bytes, Meaning::bytes, 0};
    if (f == "c") return fixed(Meaning::integer, 1);
    if (f == "s") return fixed(Meaning::integer, 2);
    if (f == "i" || f == "tdD" || f == "tts" || f == "ttm") return fixed(Meaning::integer, 4);
    if (f == "l" || f == "tdm" || f == "ttu" || f == "ttn") return fixed(Meaning::integer, 8);
    if (f.size() >= 4 && f.substr(0, 2) == "ts" && f[3] == ':') return fixed(Meaning::integer, 8);
    if (f.size() == 3 && f.substr(0, 2) == "tD") return fixed(Meaning::integer, 8);
    if (f == "tin") return fixed(Meaning::interval, 16);
    if (f == "C") return fixed(Meaning::unsigned_integer, 1);
    if (f == "S") return fixed(Meaning::unsigned_integer, 2);
    if (f == "I") return fixed(Meaning::unsigned_integer, 4);
    if (f == "L") return fixed(Meaning::unsigned_integer, 8);
    if (f == "f") return fixed(Meaning::real, 4);
    if (f == "g") return fixed(Meaning::real, 8);
    if (f.substr(0, 2) == "d:") {
      auto first = f.find(',');
      auto second = first == f.npos ? f.npos : f.find(',', first + 1);
      if (first != f.npos && (second == f.npos || f.substr(second + 1) == "128")) return fixed(Meaning::decimal, 16);
    }
    if (f.substr(0, 2) == "w:") {
      long width = std::strtol(format + 2, nullptr, 10);
      if (width > 0 && width <= 1 << 20) return fixed(Meaning::bytes, static_cast<int32_t>(width));
    }
    throw std::invalid_argument("arrow format '" + std::string(f) + "' is not one the kernels know");
  }

  // Digits after the point of a decimal; 0 for everything else.
  int32_t scale() const {
    if (meaning != Meaning::decimal) return 0;
    return static_cast<int32_t>(std::strtol(text.c_str() + text.find(',') + 1, nullptr, 10));
  }
};

inline bool bit(const uint8_t* bits, int64_t i) { return (bits[i >> 3] >> (i & 7)) & 1; }

// A read-only column. Row i of it lies at `offset + i` of the buffers; the accessors below add the offset.
struct Column {
  Format format;
  int64_t length = 0;
  int64_t offset = 0;
  int64_t nulls = 0;                  // -1 when not counted
  const uint8_t* validity = nullptr;  // bitmap, or null when no row is NULL
  const uint8_t* data = nullptr;
  const int64_t* offsets = nullptr;  // layout bytes only
  std::shared_ptr<const void> owner;

  bool valid(int64_t i) const { return !validity || bit(validity, offset + i); }
  bool boolean(int64_t i) const { return bit(data, offset + i); }
  template <class T>
  T value(int64_t i) const {
    T v;
    std::memcpy(&v, data + (offset + i) * static_cast<int64_t>(sizeof(T)), sizeof(T));
    return v;
  }
  // First value, for loops over a fixed-width column; values are aligned to at least 8 bytes or their own width.
  template <class T>
  const T* values() const {
    return reinterpret_cast<const T*>(data) + offset;
  }
  std::string_view bytes(int64_t i) const {
    if (format.layout == Layout::fixed) {
      return {reinterpret_cast<const char*>(data) + (offset + i) * format.width, static_cast<size_t>(format.width)};
    }
    int64_t begin = offsets[offset + i];
    return {reinterpret_cast<const char*>(data) + begin, static_cast<size_t>(offsets[offset + i + 1] - begin)};
  }
  // Bytes of memory that the rows of this column use.
  int64_t size() const {
    int64_t total = validity ? (length + 7) / 8 : 0;
    if (format.layout == Layout::boolean) return total + (length + 7) / 8;
    if (format.layout == Layout::fixed) return total + length * format.width;
    return total + 8 * (length + 1) + (length ? offsets[offset + length] - offsets[offset] : 0);
  }
};

}  // namespace headwater::arrow
