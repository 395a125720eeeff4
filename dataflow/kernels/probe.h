// Finding rows by key in the runs of a snapshot.
#pragma once

#include "dataflow/kernels/pool.h"
#include "dataflow/kernels/run.h"

namespace headwater::rows {

// What a probe found: for match i, the row of the probe and where the match lies.
struct Matches {
  std::vector<RunPtr> runs;
  Raw<uint32_t> probe_rows;
  Raw<Ref> refs;
  Raw<int64_t> diffs;

  int64_t size() const { return static_cast<int64_t>(refs.size()); }
  // The chosen columns of matches [begin, end), in the formats of the shape.
  std::vector<Column> take(const Shape& shape, const std::vector<int64_t>& columns, int64_t begin, int64_t end) const;
};

// Every row of every run whose key equals a row of `keys`, by run, then by hash; diffs are not added up across runs.
// With nulls_match a NULL equals a NULL, else a key with a NULL matches nothing.
Matches probe(const Shape& shape, std::vector<RunPtr> runs, const std::vector<Column>& keys, int64_t rows,
              bool nulls_match);

// For each row of `keys`, in order: its first `limit` rows, in the runs' order, whose diffs add up to more than 0.
// The diffs are those sums. NULL equals NULL. With `negatives` those before the last one that add up to less are there too.
Matches first(const Shape& shape, std::vector<RunPtr> runs, const std::vector<Column>& keys, int64_t rows,
              int64_t limit, bool negatives);

// First row of [from, run.rows()) whose hash is not below `hash`.
int64_t lower_bound(const Run& run, int64_t from, uint64_t hash);

// One past the last row with the hash, the first of which is at `begin`.
int64_t equal_end(const Run& run, int64_t begin, uint64_t hash);

}  // namespace headwater::rows
