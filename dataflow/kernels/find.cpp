#include "dataflow/kernels/find.h"

#include "dataflow/kernels/probe.h"

#include <array>

namespace headwater::rows {

namespace {

using arrow::Layout;

class RunFinder final : public Finder {
 public:
  RunFinder(std::shared_ptr<const Shape> shape, std::vector<RunPtr> runs)
      : shape_(std::move(shape)), runs_(std::make_shared<const std::vector<RunPtr>>(std::move(runs))) {
    stored_ = std::any_of(runs_->begin(), runs_->end(), [](const RunPtr& run) { return run->stored; });
  }

  bool find(const std::vector<std::string_view>& key, int64_t most, Found& found) const override {
    std::vector<std::array<int64_t, 2>> offsets(key.size());
    std::vector<Column> columns = key_columns(key, offsets);
    uint64_t hash;
    hash_rows(columns, 1, kKeySeed, &hash);
    found.runs = runs_;
    found.refs.clear(), found.diffs.clear();
    for (uint32_t r = 0; r < runs_->size(); ++r) {
      const Run& run = *(*runs_)[r];
      int64_t begin = lower_bound(run, 0, hash);
      if (begin == run.rows() || run.hashes[begin] != hash) continue;
      int64_t end = equal_end(run, begin, hash);
      if (static_cast<int64_t>(found.refs.size()) + end - begin > most) return found.refs.clear(), false;
      for (int64_t row = begin; row < end; ++row)
        if (matches(columns, run, row)) found.refs.push_back({r, static_cast<uint32_t>(row)});
    }
    add_up(found);
    return true;
  }

  bool stored() const override { return stored_; }
  const Shape& shape() const override { return *shape_; }

 private:
  // Views of the key's bytes, as columns of one row. offsets: memory for where text begins and ends.
  std::vector<Column> key_columns(const std::vector<std::string_view>& key, std::vector<std::array<int64_t, 2>>& offsets) const {
    if (key.size() != shape_->key.size())
      throw std::invalid_argument("got " + std::to_string(key.size()) + " key columns, the layout has " +
                                  std::to_string(shape_->key.size()));
    std::vector<Column> columns(key.size());
    for (size_t c = 0; c < key.size(); ++c) {
      Column& column = columns[c];
      column.format = shape_->formats[static_cast<size_t>(shape_->key[c])];
      column.length = 1;
      column.data = reinterpret_cast<const uint8_t*>(key[c].data());
      auto size = static_cast<int64_t>(key[c].size());
      int64_t width = column.format.layout == Layout::boolean ? 1 : column.format.width;
      if (column.format.layout == Layout::bytes) {
        offsets[c] = {0, size};
        column.offsets = offsets[c].data();
      } else if (size != width) {
        throw std::invalid_argument("key column " + std::to_string(c) + " has " + std::to_string(width) + " bytes, got " +
                                    std::to_string(size));
      }
    }
    return columns;
  }

  bool matches(const std::vector<Column>& key, const Run& run, int64_t row) const {
    for (size_t c = 0; c < key.size(); ++c)
      if (!equal_value(key[c], 0, run.columns[static_cast<size_t>(shape_->key[c])], row)) return false;
    return true;
  }

  const Run& run(Ref ref) const { return *(*runs_)[ref.source]; }

  int compare(Ref a, Ref b) const {
    const Run &left = run(a), &right = run(b);
    uint64_t x = left.seconds[a.row], y = right.seconds[b.row];
    if (x != y) return x < y ? -1 : 1;
    return compare_rows(shape_->ties, left.columns, a.row, right.columns, b.row);
  }

  // Within a run rows are in order and differ: only those of several runs have to be put together.
  void add_up(Found& found) const {
    std::vector<Ref>& refs = found.refs;
    if (refs.size() > 1 && refs.front().source != refs.back().source)
      std::stable_sort(refs.begin(), refs.end(), [&](Ref a, Ref b) { return compare(a, b) < 0; });
    size_t kept = 0;
    for (size_t i = 0; i < refs.size();) {
      const Ref first = refs[i];
      auto sum = static_cast<uint64_t>(run(first).diffs[first.row]);
      for (++i; i < refs.size() && refs[i].source != first.source && compare(first, refs[i]) == 0; ++i)
        sum += static_cast<uint64_t>(run(refs[i]).diffs[refs[i].row]);
      if (!sum) continue;
      refs[kept++] = first;
      found.diffs.push_back(static_cast<int64_t>(sum));
    }
    refs.resize(kept);
  }

  std::shared_ptr<const Shape> shape_;
  std::shared_ptr<const std::vector<RunPtr>> runs_;
  bool stored_;
};

}  // namespace

std::unique_ptr<Finder> make_finder(std::shared_ptr<const Shape> shape, std::vector<RunPtr> runs) {
  return std::make_unique<RunFinder>(std::move(shape), std::move(runs));
}

}  // namespace headwater::rows
