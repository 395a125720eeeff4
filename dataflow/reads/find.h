// The rows of one key: what a read by key needs, many times a second and one key at a time.
//
// Always true: equal rows of different runs are added up, and those that cancel are left out. `Finder` is an interface so that the
// kernels of other modules, which write rows for a door, may call it: its code is in `_rows` alone. No operator needs it.
#pragma once

#include "dataflow/kernels/run.h"

#include <memory>

namespace headwater::rows {

// Rows of the runs, in the runs' common order, and how often each is there; no diff is 0.
struct Found {
  std::shared_ptr<const std::vector<RunPtr>> runs;
  std::vector<Ref> refs;
  std::vector<int64_t> diffs;

  int64_t size() const { return static_cast<int64_t>(refs.size()); }
  // Whether every row is there once.
  bool ones() const {
    return std::all_of(diffs.begin(), diffs.end(), [](int64_t diff) { return diff == 1; });
  }
  const Column& column(size_t row, int64_t index) const {
    return (*runs)[refs[row].source]->columns[static_cast<size_t>(index)];
  }
};

class Finder {
 public:
  virtual ~Finder() = default;
  // The rows of a key: for each key column its bytes, those of a fixed width in the machine's order; a NULL is no key.
  // False, and nothing found, when more than `most` rows have to be looked at. O(k log rows + matches log matches) for k runs.
  // Raises std::invalid_argument when a value has not the width of its column.
  virtual bool find(const std::vector<std::string_view>& key, int64_t most, Found& found) const = 0;
  // Whether some rows lie in files: reading them may wait for a disk.
  virtual bool stored() const = 0;
  virtual const Shape& shape() const = 0;
};

}  // namespace headwater::rows
