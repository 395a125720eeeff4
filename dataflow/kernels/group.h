// Groups of equal rows, and exact sums per group.
#pragma once

#include "dataflow/kernels/gather.h"
#include "dataflow/kernels/hash.h"
#include "dataflow/kernels/pool.h"

#include <bit>

namespace headwater::rows {

struct Groups {
  Raw<int64_t> ids;                      // group of each row, numbered as first seen
  std::vector<int64_t> representatives;  // first row of each group
};

Groups group_rows(const std::vector<Column>& columns, int64_t rows);

// A signed 192-bit integer: a 128-bit value times a 64-bit diff fits, so sums are exact however they are ordered.
struct Wide {
  uint64_t words[3] = {0, 0, 0};

  void add(const Wide& other) {
    uint128 low = static_cast<uint128>(words[0]) + other.words[0];
    uint128 mid = static_cast<uint128>(words[1]) + other.words[1] + static_cast<uint64_t>(low >> 64);
    words[0] = static_cast<uint64_t>(low), words[1] = static_cast<uint64_t>(mid);
    words[2] += other.words[2] + static_cast<uint64_t>(mid >> 64);
  }
  static Wide product(int128 value, int64_t diff) {
    auto part = static_cast<uint64_t>(value);
    uint128 low = static_cast<uint128>(part) * static_cast<uint64_t>(diff);
    int128 high = static_cast<int128>(static_cast<int64_t>(value >> 64)) * diff + static_cast<int128>(low >> 64);
    if (diff < 0) high -= part;  // a negative diff was taken for itself plus 2^64
    return {{static_cast<uint64_t>(low), static_cast<uint64_t>(high), static_cast<uint64_t>(high >> 64)}};
  }
  // Whether it fits a decimal of 38 digits.
  bool fits() const;
  int128 low() const { return static_cast<int128>(static_cast<uint128>(words[1]) << 64 | words[0]); }
};

// Raises std::invalid_argument when one of the ids [begin, end) is outside [0, groups).
void check_ids(const int64_t* ids, int64_t begin, int64_t end, int64_t groups);

// The sums of `groups` groups: add(begin, end, sums) adds those of a stretch of rows, merge(sum, more) another stretch's. Sums must not depend on an order.
template <class Sum, class Add, class Merge>
std::vector<Sum> sum_parts(const int64_t* ids, int64_t rows, int64_t groups, Add&& add, Merge&& merge) {
  // Each thread has sums of its own, where they are few beside the rows.
  int64_t parts = groups <= rows / 4 ? parts_of(rows) : 1;
  std::vector<std::vector<Sum>> sums(static_cast<size_t>(parts));
  split_into(parts, rows, [&](int64_t begin, int64_t end, int64_t part) {
    std::vector<Sum>& mine = sums[static_cast<size_t>(part)];
    mine.resize(static_cast<size_t>(groups));
    // Some rows' ids at a time: they are read once.
    for (int64_t at = begin, to; at < end; at = to) {
      check_ids(ids, at, to = std::min(end, at + 2048), groups);
      add(at, to, mine.data());
    }
  });
  for (size_t part = 1; part < sums.size(); ++part)
    for (size_t g = 0; g < sums[part].size(); ++g) merge(sums.front()[g], sums[part][g]);
  return std::move(sums.front());
}

struct Sums {
  std::vector<int128> values;  // modulo 2^128 where they overflow
  std::vector<uint8_t> overflow;
  bool any_overflow = false;
};

// Sum of value times diff per group; NULLs are skipped. Values are boolean, integer or decimal columns.
Sums sum_values(const int64_t* ids, int64_t groups, const Column& values, const int64_t* diffs);

// Sum of the diffs per group, modulo 2^64.
std::vector<int64_t> sum_diffs(const int64_t* ids, int64_t rows, int64_t groups, const int64_t* diffs);

// By group: the row of a value that is added and comes before `current` (row g: of group g; NULL: there is none) and before all
// others added; kLost where there is none but `current` is taken away; kStays where neither. NULL values never come first.
inline constexpr int64_t kStays = -1, kLost = -2;
std::vector<int64_t> leaders(const int64_t* ids, int64_t groups, const Column& values, const int64_t* diffs,
                             const Column& current, bool descending);

}  // namespace headwater::rows
