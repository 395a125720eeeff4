// Making columns: a growing buffer, and a builder that fills one column row by row.
#pragma once

#include "dataflow/kernels/column.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace headwater::arrow {

// A growing piece of memory that a column can take over. Untouched capacity costs address space, not memory.
// Large buffers are mappings of their own: the system gets them back at once, and huge pages make probing them cheaper.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(foreign_, other.foreign_);
    return *this;
  }
  ~Buffer() { release(); }

  // A buffer over memory that belongs to somebody who outlives it. What does not fit is moved to memory of its own.
  static Buffer over(void* data, int64_t size, int64_t capacity) {
    Buffer buffer;
    buffer.data_ = static_cast<uint8_t*>(data);
    buffer.size_ = size;
    buffer.capacity_ = capacity;
    buffer.foreign_ = true;
    return buffer;
  }

  void reserve(int64_t capacity) {
    if (capacity > capacity_) move_to(capacity);
  }
  // Make room for `more` bytes and return where they go; they count as written.
  uint8_t* extend(int64_t more) {
    if (size_ + more > capacity_) move_to(std::max(size_ + more, capacity_ + capacity_ / 2 + 64));
    uint8_t* at = data_ + size_;
    size_ += more;
    return at;
  }
  void append(const void* from, int64_t count) {
    if (count > 0) std::memcpy(extend(count), from, static_cast<size_t>(count));
  }
  void shrink() {
    if (!foreign_ && capacity_ > size_ + size_ / 8 + 64) move_to(size_ + 1);
  }
  uint8_t* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  int64_t size() const { return size_; }

 private:
  static constexpr int64_t kMapped = 4 << 20, kPage = 4096;

  void release() {
    if (foreign_) return;
    if (capacity_ < kMapped) std::free(data_);
    else munmap(data_, static_cast<size_t>(capacity_));
  }
  static uint8_t* checked(void* data) {
    if (!data || data == MAP_FAILED) throw std::bad_alloc();
    return static_cast<uint8_t*>(data);
  }
  void move_to(int64_t capacity) {
    if (capacity >= kMapped) capacity = (capacity + kPage - 1) / kPage * kPage;
    uint8_t* moved;
    if (!foreign_ && capacity < kMapped && capacity_ < kMapped) {
      moved = checked(std::realloc(data_, static_cast<size_t>(capacity)));
    } else if (!foreign_ && capacity >= kMapped && capacity_ >= kMapped) {
      moved = checked(mremap(data_, static_cast<size_t>(capacity_), static_cast<size_t>(capacity), MREMAP_MAYMOVE));
    } else {
      if (capacity < kMapped) {
        moved = checked(std::malloc(static_cast<size_t>(capacity)));
      } else {
        moved = checked(mmap(nullptr, static_cast<size_t>(capacity), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        madvise(moved, static_cast<size_t>(capacity), MADV_HUGEPAGE);  // a wish: kernels without it go on
      }
      if (size_) std::memcpy(moved, data_, static_cast<size_t>(size_));
      release();
    }
    foreign_ = false;
    data_ = moved;
    capacity_ = capacity;
  }
  uint8_t* data_ = nullptr;
  int64_t size_ = 0;
  int64_t capacity_ = 0;
  bool foreign_ = false;
};

// The memory of a column.
struct Buffers {
  Buffer validity, offsets, data;
};

// A column that takes its memory over; what was reserved too generously goes back.
inline Column column_over(const Format& format, int64_t length, int64_t nulls, Buffers buffers) {
  auto memory = std::make_shared<Buffers>(std::move(buffers));
  memory->data.reserve(1);
  memory->data.shrink();
  memory->offsets.shrink();
  Column column;
  column.format = format;
  column.length = length;
  column.nulls = nulls;
  column.validity = nulls ? memory->validity.data() : nullptr;
  column.offsets = memory->offsets.as<int64_t>();
  column.data = memory->data.data();
  column.owner = std::move(memory);
  return column;
}

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
    return column_over(format_, length_, nulls_, {std::move(validity_), std::move(offsets_), std::move(data_)});
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
      if (length_ > 0) std::memset(validity_.extend((length_ + 7) / 8), 0xff, static_cast<size_t>((length_ + 7) / 8));
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
