// Arrow columns in and out of the kernels, by the Arrow C data interface.
//
// In: `read_column` takes anything with `__arrow_c_array__` and gives a `Column`, a view that keeps its memory alive.
// Out: `Builder` makes a column in memory of its own; `write_column` turns any Column into a pair of capsules that
// `pyarrow.Array._import_from_c_capsule(*pair)` accepts without copying.
// Always true: a Column is immutable and may be read by any thread without the GIL; copies of it are cheap and share
// memory; `validity` is null when no row is NULL. Memory may be given back by any thread, with or without the GIL.
// Deliberately unknown: nested, dictionary and view types, 32-bit offsets, and SQL types (a column has an Arrow format).
#pragma once

#include <nanobind/nanobind.h>

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

namespace nb = nanobind;
using int128 = __int128;

// How the values of a column lie in memory. `fixed` covers every width, also fixed_size_binary.
enum class Layout { boolean, fixed, bytes };

// What the values mean, as far as comparing and adding them goes.
enum class Meaning { boolean, integer, unsigned_integer, real, decimal, bytes };

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

namespace detail {

struct Imported {
  ArrowArray array{};
  Imported() = default;
  Imported(const Imported&) = delete;
  Imported& operator=(const Imported&) = delete;
  ~Imported() {
    if (array.release) array.release(&array);
  }
};

struct ExportedArray {
  Column column;
  const void* buffers[3];
};

inline void release_array(ArrowArray* array) {
  delete static_cast<ExportedArray*>(array->private_data);
  array->release = nullptr;
}

inline void release_schema(ArrowSchema* schema) {
  delete static_cast<std::string*>(schema->private_data);
  schema->release = nullptr;
}

template <class T>
void drop_capsule(PyObject* capsule, const char* name) {
  auto* held = static_cast<T*>(PyCapsule_GetPointer(capsule, name));
  if (!held) {
    PyErr_WriteUnraisable(capsule);
    return;
  }
  if (held->release) held->release(held);
  delete held;
}

inline void drop_array(PyObject* capsule) { drop_capsule<ArrowArray>(capsule, "arrow_array"); }
inline void drop_schema(PyObject* capsule) { drop_capsule<ArrowSchema>(capsule, "arrow_schema"); }

// Zero bytes for the buffers of empty columns: consumers may want a pointer even where nothing is read.
alignas(64) inline const uint8_t nothing[64] = {};

}  // namespace detail

// Take over one array from its capsules' structures; `array` is moved from.
inline Column read_column(const ArrowSchema& schema, ArrowArray& array) {
  if (schema.dictionary || schema.n_children || array.dictionary || array.n_children)
    throw std::invalid_argument("nested and dictionary arrays are not columns");
  Column column;
  column.format = Format::parse(schema.format);
  int64_t buffers = column.format.layout == Layout::bytes ? 3 : 2;
  if (array.length < 0 || array.offset < 0 || array.n_buffers != buffers ||
      array.length > std::numeric_limits<int64_t>::max() / 64 - array.offset)
    throw std::invalid_argument("arrow array of type '" + column.format.text + "' is malformed");
  auto held = std::make_shared<detail::Imported>();
  held->array = array;
  array.release = nullptr;
  const ArrowArray& a = held->array;
  column.length = a.length;
  column.offset = a.offset;
  column.nulls = a.null_count;
  if (a.null_count != 0) column.validity = static_cast<const uint8_t*>(a.buffers[0]);
  if (!column.validity) column.nulls = 0;
  if (buffers == 3) column.offsets = static_cast<const int64_t*>(a.buffers[1]);
  column.data = static_cast<const uint8_t*>(a.buffers[buffers - 1]);
  if (a.length == 0) {  // buffers of empty arrays may be missing
    column.offset = 0;
    column.nulls = 0;
    column.validity = nullptr;
    column.data = detail::nothing;
    column.offsets = reinterpret_cast<const int64_t*>(detail::nothing);
  } else if (buffers == 3) {
    if (!column.offsets) throw std::invalid_argument("arrow array without offsets");
    int64_t first = column.offsets[a.offset], last = column.offsets[a.offset + a.length];
    if (first < 0 || last < first || (!column.data && last > first))
      throw std::invalid_argument("arrow array with broken offsets");
    if (!column.data) column.data = detail::nothing;
  } else if (!column.data) {
    throw std::invalid_argument("arrow array without values");
  }
  column.owner = std::move(held);
  return column;
}

// Read an object that has `__arrow_c_array__` (every pyarrow.Array). Needs the GIL.
inline Column read_column(nb::handle object) {
  nb::object made = object.attr("__arrow_c_array__")();
  PyObject* pair = made.ptr();
  if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) throw nb::type_error("__arrow_c_array__ gave no pair");
  auto* schema = static_cast<ArrowSchema*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 0), "arrow_schema"));
  if (!schema) nb::raise_python_error();
  auto* array = static_cast<ArrowArray*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array"));
  if (!array) nb::raise_python_error();
  if (!schema->release || !array->release) throw std::invalid_argument("arrow array was released before");
  return read_column(*schema, *array);
}

// Read a sequence of columns, which must be equally long. Needs the GIL.
inline std::vector<Column> read_columns(nb::handle sequence) {
  std::vector<Column> columns;
  for (nb::handle item : sequence) {
    columns.push_back(read_column(item));
    if (columns.back().length != columns.front().length)
      throw std::invalid_argument("columns have " + std::to_string(columns.front().length) + " and " +
                                  std::to_string(columns.back().length) + " rows");
  }
  return columns;
}

// Give a column to Python as (schema capsule, array capsule), without copying. Needs the GIL.
inline nb::tuple write_column(const Column& column) {
  auto exported = std::make_unique<detail::ExportedArray>();
  exported->column = column;
  int64_t buffers = column.format.layout == Layout::bytes ? 3 : 2;
  exported->buffers[0] = column.validity;
  exported->buffers[1] = buffers == 3 ? static_cast<const void*>(column.offsets) : column.data;
  exported->buffers[2] = buffers == 3 ? column.data : nullptr;

  auto text = std::make_unique<std::string>(column.format.text);
  auto* schema = new ArrowSchema{text->c_str(), "", nullptr, ARROW_FLAG_NULLABLE, 0, nullptr, nullptr,
                                 detail::release_schema, nullptr};
  schema->private_data = text.release();
  PyObject* schema_capsule = PyCapsule_New(schema, "arrow_schema", detail::drop_schema);
  if (!schema_capsule) {
    schema->release(schema);
    delete schema;
    nb::raise_python_error();
  }
  nb::object first = nb::steal(schema_capsule);

  auto* array = new ArrowArray{column.length, column.nulls,       column.offset, buffers, 0, exported->buffers,
                               nullptr,       nullptr,            detail::release_array, nullptr};
  array->private_data = exported.release();
  PyObject* array_capsule = PyCapsule_New(array, "arrow_array", detail::drop_array);
  if (!array_capsule) {
    array->release(array);
    delete array;
    nb::raise_python_error();
  }
  return nb::make_tuple(first, nb::steal(array_capsule));
}

// A growing piece of memory that a column can take over. Untouched capacity costs address space, not memory.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t capacity) { reserve(capacity); }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  void reserve(int64_t capacity) {
    if (capacity > capacity_) resize_memory(capacity);
  }
  // Make room for `more` bytes and return where they go; they count as written.
  uint8_t* extend(int64_t more) {
    if (size_ + more > capacity_) resize_memory(std::max(size_ + more, capacity_ + capacity_ / 2 + 64));
    uint8_t* at = data_ + size_;
    size_ += more;
    return at;
  }
  void append(const void* from, int64_t count) {
    if (count > 0) std::memcpy(extend(count), from, static_cast<size_t>(count));
  }
  void shrink() {
    if (capacity_ > size_ + size_ / 8 + 64) resize_memory(size_ + 1);
  }
  uint8_t* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  int64_t size() const { return size_; }

 private:
  void resize_memory(int64_t capacity) {
    void* moved = std::realloc(data_, static_cast<size_t>(capacity));
    if (!moved) throw std::bad_alloc();
    data_ = static_cast<uint8_t*>(moved);
    capacity_ = capacity;
  }
  uint8_t* data_ = nullptr;
  int64_t size_ = 0;
  int64_t capacity_ = 0;
};

// Makes one column row by row. `finish` may be called once.
class Builder {
 public:
  explicit Builder(Format format) : format_(std::move(format)) { init(); }
  explicit Builder(const char* format) : format_(Format::parse(format)) { init(); }

  const Format& format() const { return format_; }
  int64_t length() const { return length_; }

  void reserve(int64_t rows, int64_t bytes = 0) {
    if (format_.layout == Layout::boolean) data_.reserve((rows + 7) / 8);
    if (format_.layout == Layout::fixed) data_.reserve(rows * format_.width);
    if (format_.layout == Layout::bytes) {
      offsets_.reserve(8 * (rows + 1));
      data_.reserve(bytes);
    }
  }
  // T must have the width of the format.
  template <class T>
  void append(T value) {
    std::memcpy(data_.extend(sizeof(T)), &value, sizeof(T));
    mark(true);
  }
  void append_boolean(bool value) {
    push_bit(data_, length_, value);
    mark(true);
  }
  // For large_string, large_binary and fixed_size_binary.
  void append_bytes(std::string_view value) {
    data_.append(value.data(), static_cast<int64_t>(value.size()));
    end_bytes();
    mark(true);
  }
  void append_null() {
    if (format_.layout == Layout::boolean) push_bit(data_, length_, false);
    if (format_.layout == Layout::fixed) std::memset(data_.extend(format_.width), 0, static_cast<size_t>(format_.width));
    end_bytes();
    mark(false);
  }
  // Write a value of unknown size straight into `raw()`, then close it with `end_raw`.
  Buffer& raw() { return data_; }
  void end_raw() {
    end_bytes();
    mark(true);
  }

  Column finish() {
    struct Memory {
      Buffer validity, offsets, data;
    };
    auto memory = std::make_shared<Memory>();
    data_.reserve(1);
    data_.shrink();
    memory->validity = std::move(validity_);
    memory->offsets = std::move(offsets_);
    memory->data = std::move(data_);
    Column column;
    column.format = format_;
    column.length = length_;
    column.nulls = nulls_;
    column.validity = nulls_ ? memory->validity.data() : nullptr;
    column.offsets = memory->offsets.as<int64_t>();
    column.data = memory->data.data();
    column.owner = std::move(memory);
    return column;
  }

 private:
  void init() {
    if (format_.layout == Layout::bytes) end_bytes();
  }
  void end_bytes() {
    if (format_.layout != Layout::bytes) return;
    int64_t end = data_.size();
    std::memcpy(offsets_.extend(8), &end, 8);
  }
  static void push_bit(Buffer& bits, int64_t i, bool value) {
    if ((i & 7) == 0) *bits.extend(1) = 0;
    if (value) bits.data()[i >> 3] = static_cast<uint8_t>(bits.data()[i >> 3] | (1u << (i & 7)));
  }
  // The bitmap starts with the first NULL: most columns never need one.
  void mark(bool valid) {
    if (!valid && !nulls_++) {
      std::memset(validity_.extend((length_ + 7) / 8), 0xff, static_cast<size_t>((length_ + 7) / 8));
      if (length_ & 7) validity_.data()[length_ >> 3] = static_cast<uint8_t>((1u << (length_ & 7)) - 1);
    }
    if (nulls_) push_bit(validity_, length_, valid);
    ++length_;
  }

  Format format_;
  int64_t length_ = 0;
  int64_t nulls_ = 0;
  Buffer validity_, offsets_, data_;
};

}  // namespace headwater::arrow
