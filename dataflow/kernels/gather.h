// Copying chosen rows of columns into columns of their own.
#pragma once

#include "dataflow/kernels/arrow.h"

namespace headwater::rows {

using arrow::Buffer;
using arrow::Column;
using arrow::Format;

// One row of one of several sources.
struct Ref {
  uint32_t source;
  uint32_t row;
};

// Rows that a Ref can number.
inline constexpr int64_t kMaxRows = std::numeric_limits<uint32_t>::max();

using Sources = std::vector<const Column*>;

// Collects rows of one column from several sources of the same format. `finish` may be called once.
class Gather {
 public:
  explicit Gather(Format format) : format_(std::move(format)) {}

  void reserve(int64_t rows, int64_t bytes);
  // Write into these instead; they are empty and belong to somebody who outlives the column.
  void use(Buffer offsets, Buffer data) {
    offsets_ = std::move(offsets);
    data_ = std::move(data);
  }
  Column finish();

 private:
  friend void append(std::vector<Gather>& columns, const std::vector<Sources>& sources, const Ref* refs, int64_t count);

  // Make room for `count` rows, and, for text, for pieces of these many bytes, which become where each piece begins.
  void extend(const Sources& sources, int64_t count, int64_t* bytes, int64_t pieces);
  // Copy rows [begin, end) of the refs; their text begins at `at`. Returns how many are NULL.
  int64_t copy(const Sources& sources, const Ref* refs, int64_t begin, int64_t end, int64_t at);
  void copy_bytes(const Sources& sources, const Ref* refs, int64_t begin, int64_t end, int64_t at);

  Format format_;
  int64_t length_ = 0;
  int64_t nulls_ = 0;
  bool nullable_ = false;
  Buffer validity_, offsets_, data_;
};

// Add row refs[i] of sources[c] to columns[c], for all columns, which are equally long; O(rows x columns), in pieces.
void append(std::vector<Gather>& columns, const std::vector<Sources>& sources, const Ref* refs, int64_t count);

// Row refs[i] of every column; the source of a ref is 0.
std::vector<Column> gather(const std::vector<Column>& from, const Ref* refs, int64_t count);

}  // namespace headwater::rows
