// What arrays have: elements, measures, subscripts, and whether one holds what another one does.
#include "dataflow/scalars/kernels/array_rows.h"

#include <nanobind/stl/vector.h>

#include <unordered_set>

namespace headwater::arrays {
namespace {

using scalars::Arg;
using scalars::Errors;
using scalars::Output;
using scalars::Unlocked;

// (counts, values): how many elements each row has, 0 where it is NULL, and those of all rows one after another. O(elements).
nb::tuple elements(nb::handle arrays, int64_t rows, const std::string& format) {
  const Arg a = scalars::read_arg(arrays, rows, -1);
  const Format wanted = Format::parse(format.c_str());
  const Codec codec(wanted);
  Output<int64_t> counts(rows);
  Builder values(wanted);
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i)) continue;
      const View view = View::read(a.bytes(i));
      const int64_t count = view.shape.count();
      if (count && view.width != codec.width) throw std::invalid_argument("elements are of another type");
      Walk walk(view);
      std::string_view element;
      int64_t seen = 0;
      for (; walk.next(element); ++seen) codec.take(values, element, made);
      if (seen != count) throw std::invalid_argument("malformed array");
      counts.set(i, count);
    }
  }
  return nb::make_tuple(arrow::write_column(counts.finish("l")), arrow::write_column(values.finish()));
}

// The numbers are the contract with dataflow/scalars/arrays.py.
enum class Measure : int { dimensions, cardinality, length, lower, upper };

// A measure of each array, of dimension `of` where it is one of a dimension; NULL where there is none.
nb::tuple measure(int what, nb::handle arrays, nb::handle of, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), d = scalars::read_arg(of, rows, 4);
  const auto kind = static_cast<Measure>(what);
  Output<int32_t> out(rows);
  {
    Unlocked unlocked(rows);
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i) || !d.valid(i)) {
        out.set_null(i);
        continue;
      }
      const Shape shape = View::read(a.bytes(i)).shape;
      const auto dimension = static_cast<int64_t>(d.get<int32_t>(i)) - 1;
      const bool there = dimension >= 0 && dimension < shape.dimensions;
      if (kind == Measure::cardinality) out.set(i, static_cast<int32_t>(shape.count()));
      else if (kind == Measure::dimensions ? !shape.dimensions : !there) out.set_null(i);
      else if (kind == Measure::dimensions) out.set(i, shape.dimensions);
      else if (kind == Measure::length) out.set(i, shape.lengths[dimension]);
      else if (kind == Measure::lower) out.set(i, shape.lower[dimension]);
      else out.set(i, static_cast<int32_t>(int64_t{shape.lower[dimension]} + shape.lengths[dimension] - 1));
    }
  }
  return arrow::write_column(out.finish("i"));
}

// array_dims: `[1:2][1:3]`; NULL of an empty array.
nb::tuple dims(nb::handle arrays, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1);
  Builder out("U");
  std::string text;
  for (int64_t i = 0; i < rows; ++i) {
    text.clear();
    if (a.valid(i)) put_bounds(text, View::read(a.bytes(i)).shape);
    if (text.empty()) out.append_null();
    else out.append_bytes(text);
  }
  return arrow::write_column(out.finish());
}

std::vector<std::optional<Arg>> read_places(nb::handle sequence, int64_t rows) {
  std::vector<std::optional<Arg>> args;
  for (nb::handle item : sequence) {
    if (item.is_none()) args.emplace_back();
    else args.emplace_back(scalars::read_arg(item, rows, 4));
  }
  return args;
}

// a[i][j]: NULL beyond the bounds, and where there are more or fewer subscripts than dimensions. O(1), of texts O(bytes).
nb::tuple subscript(nb::handle arrays, nb::handle places, int64_t rows, const std::string& format) {
  const Arg a = scalars::read_arg(arrays, rows, -1);
  const auto at = read_places(places, rows);
  const Format wanted = Format::parse(format.c_str());
  const Codec codec(wanted);
  Builder out(wanted);
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      bool known = a.valid(i);
      for (const auto& place : at) known = known && place && place->valid(i);
      if (!known) {
        out.append_null();
        continue;
      }
      const View view = View::read(a.bytes(i));
      bool inside = view.shape.dimensions == static_cast<int>(at.size());
      int64_t flat = 0;
      for (int d = 0; inside && d < view.shape.dimensions; ++d) {
        const int64_t offset = int64_t{at[static_cast<size_t>(d)]->get<int32_t>(i)} - view.shape.lower[d];
        inside = offset >= 0 && offset < view.shape.lengths[d];
        flat = flat * view.shape.lengths[d] + offset;
      }
      if (inside && view.width != codec.width) throw std::invalid_argument("elements are of another type");
      if (inside) codec.take(out, element_at(view, flat), made);
      else out.append_null();
    }
  }
  return arrow::write_column(out.finish());
}

// The part of an array from `low` to `high` in each dimension, both within its bounds and not empty.
void cut(std::string& made, const View& view, const int64_t* low, const int64_t* high) {
  Shape shape = view.shape;
  for (int d = 0; d < shape.dimensions; ++d) {
    shape.lengths[d] = static_cast<int32_t>(high[d] - low[d] + 1);
    shape.lower[d] = 1;
  }
  begin_array(made, view.width);
  int64_t place[kMostDimensions] = {};
  Walk walk(view);
  std::string_view element;
  while (walk.next(element)) {
    bool inside = true;
    for (int d = 0; inside && d < shape.dimensions; ++d) {
      const int64_t index = view.shape.lower[d] + place[d];
      inside = index >= low[d] && index <= high[d];
    }
    if (inside) made.append(element);
    for (int d = shape.dimensions - 1; d >= 0 && ++place[d] == view.shape.lengths[d]; --d) place[d] = 0;
  }
  put_shape(made, shape);
}

// a[l:h][...]: what lies within; bounds that are None are the array's own, dimensions without any whole. O(elements).
nb::tuple slice(nb::handle arrays, nb::handle lows, nb::handle highs, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1);
  const auto from = read_places(lows, rows), to = read_places(highs, rows);
  if (from.size() != to.size() || from.size() > kMostDimensions) throw std::invalid_argument("slices have pairs of bounds");
  Builder out("Z");
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      bool known = a.valid(i);
      for (size_t d = 0; d < from.size(); ++d)
        known = known && (!from[d] || from[d]->valid(i)) && (!to[d] || to[d]->valid(i));
      if (!known) {
        out.append_null();
        continue;
      }
      const View view = View::read(a.bytes(i));
      int64_t low[kMostDimensions], high[kMostDimensions];
      bool some = view.shape.dimensions > 0 && static_cast<int>(from.size()) <= view.shape.dimensions;
      for (int d = 0; some && d < view.shape.dimensions; ++d) {
        const auto place = static_cast<size_t>(d);
        low[d] = view.shape.lower[d];
        high[d] = low[d] + view.shape.lengths[d] - 1;
        if (place < from.size() && from[place]) low[d] = std::max<int64_t>(low[d], from[place]->get<int32_t>(i));
        if (place < to.size() && to[place]) high[d] = std::min<int64_t>(high[d], to[place]->get<int32_t>(i));
        some = low[d] <= high[d];
      }
      if (some) {
        cut(made, view, low, high);
      } else {
        begin_array(made, view.width);
        put_shape(made, {});
      }
      out.append_bytes(made);
    }
  }
  return arrow::write_column(out.finish());
}

constexpr int64_t kFew = 64;

// Whether each element of `part` that is not NULL (all), or one of them (any), is in `whole`; with `all` a NULL is in nothing.
// O(n + m), of few O(n m) without a table.
bool holds(const View& whole, const View& part, bool all) {
  std::string_view element, other;
  const int64_t pairs = whole.shape.count() * part.shape.count();
  std::unordered_set<std::string_view> known;
  if (pairs > kFew) {
    for (Walk walk(whole); walk.next(other);) known.insert(other);
  }
  for (Walk walk(part); walk.next(element);) {
    bool found = false;
    if (element[0] == kPresent) {
      if (pairs > kFew) {
        found = known.contains(element);
      } else {
        for (Walk inner(whole); !found && inner.next(other);) found = element == other;
      }
    }
    if (found != all) return found;
  }
  return all;
}

// `whole @> part`, or with `all` false `&&`.
nb::tuple contains(nb::handle wholes, nb::handle parts, int64_t rows, bool all) {
  return test_rows(wholes, parts, rows, [all](std::string_view whole, std::string_view part) {
    return holds(View::read(whole), View::read(part), all);
  });
}

constexpr const char* kSearched = "searching for elements in multidimensional arrays is not supported";

// array_position: the first place, from `start` on (None: from the beginning), of what `wanted`, an array of one, has. O(elements).
nb::tuple position(nb::handle arrays, nb::handle wanted, nb::handle start, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), w = scalars::read_arg(wanted, rows, -1);
  const bool bounded = !start.is_none();
  const Arg from = bounded ? scalars::read_arg(start, rows, 4) : Arg{};
  Output<int32_t> out(rows);
  Errors errors;
  {
    Unlocked unlocked(rows);
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i) || !w.valid(i)) {
        out.set_null(i);
        continue;
      }
      const View view = View::read(a.bytes(i));
      const char* message = view.shape.dimensions > 1                 ? kSearched
                            : view.shape.dimensions && bounded && !from.valid(i) ? "initial position must not be null"
                                                        : nullptr;
      if (message) {
        errors.add(i, message);
        out.set_null(i);
        continue;
      }
      const std::string_view searched = View::read(w.bytes(i)).body;
      int64_t index = view.shape.lower[0];
      const int64_t first = bounded ? from.get<int32_t>(i) : index;
      std::string_view element;
      bool found = false;
      for (Walk walk(view); !found && walk.next(element); ++index) found = index >= first && element == searched;
      if (found) out.set(i, static_cast<int32_t>(index - 1));
      else out.set_null(i);
    }
  }
  return scalars::give({out.finish("i"), errors.finish(rows)});
}

// array_positions: all of them, as an array. O(elements).
nb::tuple positions(nb::handle arrays, nb::handle wanted, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), w = scalars::read_arg(wanted, rows, -1);
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      const bool known = a.valid(i) && w.valid(i);
      const View view = known ? View::read(a.bytes(i)) : View{};
      if (view.shape.dimensions > 1) errors.add(i, kSearched);
      if (!known || view.shape.dimensions > 1) {
        out.append_null();
        continue;
      }
      const std::string_view searched = View::read(w.bytes(i)).body;
      begin_array(made, 4);
      int64_t index = view.shape.lower[0], count = 0;
      std::string_view element;
      for (Walk walk(view); walk.next(element); ++index) {
        if (element != searched) continue;
        made += kPresent;
        put_number(made, static_cast<uint32_t>(index) ^ 0x80000000u);
        ++count;
      }
      put_shape(made, Shape::line(count));
      out.append_bytes(made);
    }
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

// `value operator ANY (array)`, or ALL, from the comparison with each element: three-valued OR, or AND, of `counts` each.
nb::tuple fold(nb::handle tests, nb::handle counts, bool all) {
  const Column results = arrow::read_column(tests), sizes = arrow::read_column(counts);
  if (results.format.layout != Layout::boolean || sizes.format.text != "l" || sizes.validity)
    throw std::invalid_argument("fold takes booleans and counts");
  Output<bool> out(sizes.length);
  {
    Unlocked unlocked(results.length);
    int64_t at = 0;
    for (int64_t i = 0; i < sizes.length; ++i) {
      const auto count = sizes.value<int64_t>(i);
      if (count < 0 || count > results.length - at) throw std::invalid_argument("counts do not add up to the values");
      bool unknown = false, decided = false;
      for (const int64_t end = at + count; at < end; ++at) {
        if (!results.valid(at)) unknown = true;
        else decided = decided || results.boolean(at) != all;
      }
      if (!decided && unknown) out.set_null(i);
      else out.set(i, decided != all);
    }
  }
  return arrow::write_column(out.finish("b"));
}

}  // namespace

void add_reading(nb::module_& m) {
  m.def("elements", &elements);
  m.def("measure", &measure);
  m.def("dims", &dims);
  m.def("subscript", &subscript);
  m.def("slice", &slice);
  m.def("contains", &contains);
  m.def("position", &position, nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  m.def("positions", &positions);
  m.def("fold", &fold);
}

}  // namespace headwater::arrays
