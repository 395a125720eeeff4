#include "dataflow/reads/find.h"

#include "dataflow/kernels/probe.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <optional>

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

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Up to this many rows a read by key keeps the interpreter lock: to get it back would cost more than the read.
constexpr int64_t kFew = 256;

// A key comes as bytes, or as Arrow arrays of one row; an array's NULL matches nothing.
Found find_rows(const Finder& finder, nb::sequence key) {
  const Shape& shape = finder.shape();
  std::vector<Column> held;
  std::vector<std::string_view> values;
  held.reserve(nb::len(key));
  for (nb::handle item : key) {
    if (PyBytes_Check(item.ptr())) {
      values.emplace_back(PyBytes_AS_STRING(item.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(item.ptr())));
      continue;
    }
    held.push_back(arrow::read_column(item));
    const Column& column = held.back();
    const size_t c = values.size();
    if (column.length != 1) throw std::invalid_argument("a key column has " + std::to_string(column.length) + " rows, expected 1");
    if (c >= shape.key.size() || !(column.format == shape.formats[static_cast<size_t>(shape.key[c])]))
      throw std::invalid_argument("key column " + std::to_string(c) + " has arrow format '" + column.format.text +
                                  "', which is not the layout's");
    if (!column.valid(0)) return {};
    values.push_back(column.format.layout == Layout::boolean ? std::string_view(column.boolean(0) ? "\1" : "\0", 1)
                                                             : column.bytes(0));
  }
  Found found;
  if (!finder.stored() && finder.find(values, kFew, found)) return found;
  nb::gil_scoped_release unlocked;
  finder.find(values, std::numeric_limits<int64_t>::max(), found);
  return found;
}

nb::tuple take_found(const Found& found, const std::vector<int64_t>& columns, const Shape& shape) {
  for (int64_t column : columns)
    if (column < 0 || column >= static_cast<int64_t>(shape.formats.size()))
      throw std::out_of_range("column " + std::to_string(column) + " does not exist");
  std::vector<Column> taken;
  {
    std::optional<nb::gil_scoped_release> unlocked;
    if (found.size() > kFew) unlocked.emplace();
    Matches matches;
    if (found.runs) matches.runs = *found.runs;
    matches.refs.assign(found.refs.begin(), found.refs.end());
    taken = matches.take(shape, columns, 0, found.size());
  }
  nb::list out;
  for (const Column& column : taken) out.append(arrow::write_column(column));
  auto* diffs = new std::vector<int64_t>(found.diffs);
  nb::capsule owner(diffs, [](void* p) noexcept { delete static_cast<std::vector<int64_t>*>(p); });
  return nb::make_tuple(out, nb::ndarray<nb::numpy, int64_t, nb::ndim<1>>(diffs->data(), {diffs->size()}, owner));
}

std::unique_ptr<Finder> make_finder(std::shared_ptr<Shape> shape, const std::vector<std::shared_ptr<Run>>& runs) {
  if (!shape || std::find(runs.begin(), runs.end(), nullptr) != runs.end())
    throw nb::type_error("None is neither a run nor a shape");
  return std::make_unique<RunFinder>(std::move(shape), std::vector<RunPtr>(runs.begin(), runs.end()));
}

}  // namespace

void bind_reads(nb::module_& m) {
  nb::class_<Found>(m, "Found")
      .def("__len__", &Found::size)
      .def("ones", &Found::ones)
      .def("take", &take_found, "columns"_a, "shape"_a);
  nb::class_<Finder>(m, "Finder").def("find", &find_rows, "key"_a);
  m.def("finder", &make_finder, "shape"_a, "runs"_a);
}

}  // namespace headwater::rows
