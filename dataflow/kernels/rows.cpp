// The Python module `_rows`. Columns come in as anything with `__arrow_c_array__` and go out as pairs of capsules;
// numbers are numpy arrays. Loops over many rows run without the GIL.
#include "dataflow/kernels/group.h"
#include "dataflow/kernels/numpy.h"
#include "dataflow/kernels/pool.h"
#include "dataflow/kernels/probe.h"
#include "dataflow/kernels/window.h"

#include <malloc.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace headwater::scalars {
void bind_floats(nb::module_& m);  // exact sums of floats, by groups as others: dataflow/scalars/kernels/floats.cpp
}

namespace headwater::rows {

void bind_reads(nb::module_& m);  // reads by key: dataflow/reads/find.cpp, which no operator needs

namespace {

using arrow::read_column;
using arrow::read_columns;
using arrow::write_column;

// A read-only numpy view of a run's numbers; it keeps the run alive.
template <class T>
Numpy<const T> view(const RunPtr& run, const Numbers<T>& numbers) {
  auto* held = new RunPtr(run);
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<RunPtr*>(p); });
  return Numpy<const T>(numbers.begin(), {static_cast<size_t>(numbers.size())}, owner);
}

nb::list write_columns(const std::vector<Column>& columns) {
  nb::list out;
  for (const Column& column : columns) out.append(write_column(column));
  return out;
}

void check_rows(const std::vector<Column>& columns, int64_t rows) {
  if (rows < 0) throw std::invalid_argument("rows is negative: " + std::to_string(rows));
  for (const Column& column : columns) same_rows("a column", column.length, rows);
}

Numpy<uint64_t> hash_columns(nb::handle columns_, int64_t rows) {
  std::vector<Column> columns = read_columns(columns_);
  check_rows(columns, rows);
  Raw<uint64_t> out(static_cast<size_t>(rows));
  {
    Unlocked unlocked(rows);
    hash_rows(columns, rows, kKeySeed, out.data());
  }
  return to_numpy(std::move(out));
}

nb::list take(nb::handle columns_, Int64s indices) {
  std::vector<Column> columns = read_columns(columns_), out;
  {
    Unlocked unlocked(size(indices));
    int64_t rows = columns.empty() ? 0 : columns.front().length;
    if (rows > kMaxRows) throw std::invalid_argument("cannot take from " + std::to_string(rows) + " rows at once");
    Raw<Ref> refs(columns.empty() ? 0 : static_cast<size_t>(size(indices)));
    split(static_cast<int64_t>(refs.size()), [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t row = indices.data()[i];
        if (row < 0 || row >= rows)
          throw std::out_of_range("row " + std::to_string(row) + " of " + std::to_string(rows) + " does not exist");
        refs[static_cast<size_t>(i)] = {0, static_cast<uint32_t>(row)};
      }
    });
    out = gather(columns, refs.data(), static_cast<int64_t>(refs.size()));
  }
  return write_columns(out);
}

nb::tuple group(nb::handle columns_, int64_t rows) {
  std::vector<Column> columns = read_columns(columns_);
  check_rows(columns, rows);
  Groups groups = unlocked(rows, [&] { return group_rows(columns, rows); });
  return nb::make_tuple(to_numpy(std::move(groups.ids)), to_numpy(std::move(groups.representatives)));
}

nb::tuple consolidate(nb::handle columns_, Int64s diffs) {
  std::vector<Column> columns = read_columns(columns_), out;
  check_rows(columns, size(diffs));
  std::vector<int64_t> sums;
  {
    Unlocked unlocked(size(diffs));
    Groups groups = group_rows(columns, size(diffs));
    auto count = static_cast<int64_t>(groups.representatives.size());
    std::vector<int64_t> all = sum_diffs(groups.ids.data(), size(diffs), count, diffs.data());
    if (size(diffs) > kMaxRows) throw std::invalid_argument("a delta of " + std::to_string(size(diffs)) + " rows is too large");
    std::vector<Ref> refs;
    for (size_t g = 0; g < all.size(); ++g) {
      if (!all[g]) continue;
      sums.push_back(all[g]);
      refs.push_back({0, static_cast<uint32_t>(groups.representatives[g])});
    }
    out = gather(columns, refs.data(), static_cast<int64_t>(refs.size()));
  }
  return nb::make_tuple(write_columns(out), to_numpy(std::move(sums)));
}

Numpy<int64_t> sum_diffs_by(Int64s ids, int64_t groups, Int64s diffs) {
  same_rows("diffs", size(diffs), size(ids));
  int64_t rows = std::max(size(ids), groups);
  return to_numpy(unlocked(rows, [&] { return sum_diffs(ids.data(), size(ids), groups, diffs.data()); }));
}

nb::tuple sum_values_by(Int64s ids, int64_t groups, nb::handle values_, Int64s diffs) {
  Column values = read_column(values_), out;
  same_rows("values", values.length, size(ids));
  same_rows("diffs", size(diffs), size(ids));
  Sums sums;
  {
    Unlocked unlocked(std::max(values.length, groups));
    sums = sum_values(ids.data(), groups, values, diffs.data());
    arrow::Builder builder(("d:38," + std::to_string(values.format.scale())).c_str());
    builder.reserve(groups);
    for (int128 sum : sums.values) builder.append(sum);
    out = builder.finish();
  }
  nb::object overflow = nb::none();
  if (sums.any_overflow) overflow = nb::cast(to_numpy(std::move(sums.overflow)));
  return nb::make_tuple(write_column(out), overflow);
}

Numpy<int64_t> leaders_of_groups(Int64s ids, int64_t groups, nb::handle values_, Int64s diffs, nb::handle current_,
                                 bool descending) {
  Column values = read_column(values_), current = read_column(current_);
  same_rows("values", values.length, size(ids));
  same_rows("diffs", size(diffs), size(ids));
  same_rows("current", current.length, groups);
  int64_t rows = std::max(values.length, groups);
  return to_numpy(unlocked(rows, [&] { return leaders(ids.data(), groups, values, diffs.data(), current, descending); }));
}

std::shared_ptr<Shape> make_shape(nb::handle empty_columns, std::vector<int64_t> key,
                                  const std::vector<std::tuple<int64_t, bool, bool>>& order) {
  std::vector<Order> orders;
  for (const auto& [column, descending, nulls_first] : order) orders.push_back({column, descending, nulls_first});
  std::vector<Format> formats;
  for (const Column& column : read_columns(empty_columns)) formats.push_back(column.format);
  return std::make_shared<Shape>(std::move(formats), std::move(key), orders);
}

// Python's None arrives as null.
template <class T>
void refuse_none(const std::shared_ptr<T>& object) {
  if (!object) throw nb::type_error("None is neither a run nor a shape");
}

std::vector<RunPtr> constant(const std::vector<std::shared_ptr<Run>>& runs) {
  for (const auto& run : runs) refuse_none(run);
  return {runs.begin(), runs.end()};
}

std::shared_ptr<Run> build_run(std::shared_ptr<Shape> shape, nb::handle columns_, Int64s diffs) {
  refuse_none(shape);
  std::vector<Column> columns = read_columns(columns_);
  check_rows(columns, size(diffs));
  Unlocked unlocked(size(diffs));
  return std::const_pointer_cast<Run>(make_run(shape, columns, diffs.data(), size(diffs)));
}

std::shared_ptr<Run> open_stored(std::shared_ptr<Shape> shape, nb::handle columns_, nb::handle hashes_, nb::handle seconds_,
                                 nb::handle diffs_) {
  refuse_none(shape);
  std::vector<Column> columns = read_columns(columns_);
  Column hashes = read_column(hashes_), seconds = read_column(seconds_), diffs;
  const bool ones = diffs_.is_none();
  if (!ones) diffs = read_column(diffs_);
  nb::gil_scoped_release unlocked;
  return std::const_pointer_cast<Run>(open_run(shape, std::move(columns), hashes, seconds, ones ? nullptr : &diffs));
}

Matches probe_runs(std::shared_ptr<Shape> shape, const std::vector<std::shared_ptr<Run>>& runs, nb::handle keys_,
                   int64_t rows, bool nulls_match) {
  std::vector<Column> keys = read_columns(keys_);
  check_rows(keys, rows);
  refuse_none(shape);
  std::vector<RunPtr> held = constant(runs);
  nb::gil_scoped_release unlocked;
  return probe(*shape, std::move(held), keys, rows, nulls_match);
}

Matches first_of_runs(std::shared_ptr<Shape> shape, const std::vector<std::shared_ptr<Run>>& runs, nb::handle keys_,
                      int64_t rows, int64_t limit, bool negatives) {
  std::vector<Column> keys = read_columns(keys_);
  check_rows(keys, rows);
  refuse_none(shape);
  std::vector<RunPtr> held = constant(runs);
  nb::gil_scoped_release unlocked;
  return first(*shape, std::move(held), keys, rows, limit, negatives);
}

nb::tuple take_matches(const Matches& matches, std::shared_ptr<Shape> shape, const std::vector<int64_t>& columns,
                       int64_t begin, int64_t end) {
  refuse_none(shape);
  if (begin < 0 || end < begin || end > matches.size())
    throw std::out_of_range("matches " + std::to_string(begin) + " to " + std::to_string(end) + " of " +
                            std::to_string(matches.size()) + " do not exist");
  for (int64_t column : columns)
    if (column < 0 || column >= static_cast<int64_t>(shape->formats.size()))
      throw std::out_of_range("column " + std::to_string(column) + " does not exist");
  Raw<int64_t> probe_rows(static_cast<size_t>(end - begin)), diffs(static_cast<size_t>(end - begin));
  std::vector<Column> out;
  {
    Unlocked unlocked(end - begin);
    split(end - begin, [&](int64_t first, int64_t last, int64_t) {
      std::copy_n(matches.probe_rows.begin() + begin + first, last - first, probe_rows.begin() + first);
      std::copy_n(matches.diffs.begin() + begin + first, last - first, diffs.begin() + first);
    });
    out = matches.take(*shape, columns, begin, end);
  }
  return nb::make_tuple(to_numpy(std::move(probe_rows)), write_columns(out), to_numpy(std::move(diffs)));
}

nb::tuple stretches_of_runs(std::shared_ptr<Shape> shape, const std::vector<std::shared_ptr<Run>>& runs,
                            std::shared_ptr<Run> delta, int64_t own, int64_t terms, bool groups, bool whole_groups, bool base,
                            int64_t before, int64_t after) {
  refuse_none(shape);
  refuse_none(delta);
  std::vector<RunPtr> held = constant(runs);
  auto found = std::make_unique<Stretches>();
  Raw<int64_t> numbers, counts;
  {
    nb::gil_scoped_release unlocked;
    Reach reach{own, terms, groups, whole_groups, base, before, after};
    *found = stretches(*shape, std::move(held), delta, reach);
    numbers.assign(found->matches.probe_rows.begin(), found->matches.probe_rows.end());
    counts = found->matches.diffs;
  }
  auto numbered = to_numpy(std::move(numbers));
  auto counted = to_numpy(std::move(counts));
  auto changes = to_numpy(std::move(found->changes));
  auto bases = to_numpy(std::move(found->bases));
  return nb::make_tuple(std::move(found->matches), numbered, counted, changes, bases);
}

void bind_state(nb::module_& m) {
  nb::class_<Shape>(m, "Shape").def_static("make", &make_shape, "empty_columns"_a, "key"_a, "order"_a);
  nb::class_<Run>(m, "Run", nb::is_weak_referenceable())
      .def_static("make", &build_run, "shape"_a, "columns"_a, "diffs"_a)
      .def_prop_ro("rows", &Run::rows)
      .def_prop_ro("bytes", &Run::bytes)
      .def_ro("negatives", &Run::negatives)
      .def_prop_ro("total", [](const Run& run) { return static_cast<int64_t>(run.total); })
      .def_prop_ro("stored_bytes", &Run::stored_bytes)
      .def_ro("named", &Run::named)
      .def("ones", [](const Run& run) { return run.diffs.bytes() == 0; })
      .def_static("open", &open_stored, "shape"_a, "columns"_a, "hashes"_a, "seconds"_a, "diffs"_a.none())
      .def("columns", [](const std::shared_ptr<Run>& run) { return write_columns(run->columns); })
      .def("diffs", [](const std::shared_ptr<Run>& run) {
        std::vector<int64_t> diffs(static_cast<size_t>(run->rows()));
        for (size_t i = 0; i < diffs.size(); ++i) diffs[i] = run->diffs[static_cast<int64_t>(i)];
        return to_numpy(std::move(diffs));
      })
      .def("hashes", [](const std::shared_ptr<Run>& run) { return view(run, run->hashes); })
      .def("seconds", [](const std::shared_ptr<Run>& run) { return view(run, run->seconds); });
  nb::class_<Merge>(m, "Merge")
      .def("__init__",
           [](Merge* self, const std::vector<std::shared_ptr<Run>>& runs, std::optional<std::pair<int, int64_t>> scratch) {
             std::shared_ptr<Scratch> memory;
             if (scratch) memory = std::make_shared<Scratch>(scratch->first, scratch->second);
             new (self) Merge(constant(runs), std::move(memory));
           },
           "runs"_a, "scratch"_a.none() = nb::none())
      .def_static("most_bytes", [](const std::vector<std::shared_ptr<Run>>& runs) { return Merge::most_bytes(constant(runs)); },
                  "runs"_a)
      .def("step", &Merge::step, "fuel"_a, nb::call_guard<nb::gil_scoped_release>())
      .def("finish", [](Merge& merge) {
        nb::gil_scoped_release unlocked;
        return std::const_pointer_cast<Run>(merge.finish());
      });
  nb::class_<Matches>(m, "Matches")
      .def("__len__", &Matches::size)
      .def("take", &take_matches, "shape"_a, "columns"_a, "begin"_a, "end"_a);
  m.def("probe", &probe_runs, "shape"_a, "runs"_a, "keys"_a, "rows"_a, "nulls_match"_a);
  m.def("first", &first_of_runs, "shape"_a, "runs"_a, "keys"_a, "rows"_a, "limit"_a, "negatives"_a = false);
  m.def("stretches", &stretches_of_runs, "shape"_a, "runs"_a, "delta"_a, "own"_a, "terms"_a, "groups"_a, "whole_groups"_a,
        "base"_a, "before"_a, "after"_a);
}

}  // namespace

NB_MODULE(_rows, m) {
  // What a step needs for a moment comes back for the next one: pages that are new to the process cost more than all work on them.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  m.def("hash_rows", &hash_columns, "columns"_a, "rows"_a);
  m.def("take", &take, "columns"_a, "indices"_a);
  m.def("group", &group, "columns"_a, "rows"_a);
  m.def("consolidate", &consolidate, "columns"_a, "diffs"_a);
  m.def("sum_diffs", &sum_diffs_by, "ids"_a, "groups"_a, "diffs"_a);
  m.def("sum_values", &sum_values_by, "ids"_a, "groups"_a, "values"_a, "diffs"_a);
  m.def("leaders", &leaders_of_groups, "ids"_a, "groups"_a, "values"_a, "diffs"_a, "current"_a, "descending"_a);
  constexpr nb::call_guard<nb::gil_scoped_release> without_lock;
  m.def("trim", [] { return malloc_trim(0) != 0; }, without_lock);
  m.def("set_threads", [](int n, int64_t piece_rows) { Pool::shared().resize(n, piece_rows); }, "threads"_a, "piece_rows"_a, without_lock);
  m.def("occupy", [](int by) { Pool::shared().occupy(by); }, "by"_a);
  m.def("set_hash_mask", &set_hash_mask, "mask"_a);
  bind_state(m);
  bind_reads(m);
  scalars::bind_floats(m);
}

}  // namespace headwater::rows
