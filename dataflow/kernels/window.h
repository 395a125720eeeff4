// Reading a collection around places of its order: what window functions need to answer for changed rows.
#pragma once

#include "dataflow/kernels/probe.h"

namespace headwater::rows {

// How far around each changed row to read. The columns from `own` on say more about a row, and are no part of what tells it
// from others: of such rows one is there at a time.
struct Reach {
  int64_t own = 0;            // columns that are the row itself
  int64_t terms = 0;          // terms of the order within which rows are peers
  bool groups = false;        // whether `before` and `after` count groups of peers, else rows
  bool whole_groups = false;  // whether no group of peers may be cut; it must not when groups are counted
  bool base = false;          // whether one row more goes in front, if there is one
  int64_t before = 0, after = 0;  // negative: to the end
};

// Stretches of neighbouring rows, each in the runs' order. Row i is matches.refs[i], of stretch matches.probe_rows[i]; it is there
// matches.diffs[i] times, and changes[i] times more after the change. bases[i]: it only stands in front of its stretch.
struct Stretches {
  Matches matches;
  std::vector<int64_t> changes;
  std::vector<uint8_t> bases;
};

// The rows within reach of each row of `delta`, a run of the same shape whose columns beyond `own` mean nothing. Stretches that
// meet are one. Reading costs a comparison for each run and row; finding a place, one for each run and bit of its size.
// Raises std::invalid_argument when a shape is not ordered or the reach is beyond its columns.
Stretches stretches(const Shape& shape, std::vector<RunPtr> runs, RunPtr delta, const Reach& reach);

}  // namespace headwater::rows
