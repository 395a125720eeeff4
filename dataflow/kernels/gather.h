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
  void append(const std::vector<const Column*>& sources, const Ref* refs, int64_t count);
  Column finish();

 private:
  void append_validity(const std::vector<const Column*>& sources, const Ref* refs, int64_t count);
  void append_booleans(const std::vector<const Column*>& sources, const Ref* refs, int64_t count);
  void append_bytes(const std::vector<const Column*>& sources, const Ref* refs, int64_t count);

  Format format_;
  int64_t length_ = 0;
  int64_t nulls_ = 0;
  bool nullable_ = false;
  Buffer validity_, offsets_, data_;
};

// Row refs[i] of column c of the tables, for every column.
std::vector<Column> gather(const std::vector<const std::vector<Column>*>& tables, const std::vector<Format>& formats,
                           const Ref* refs, int64_t count);

}  // namespace headwater::rows
