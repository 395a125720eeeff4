// Arrays made of values: ARRAY[...], array_agg, array_fill, and an array's elements replaced by others.
#include "dataflow/scalars/kernels/array.h"

#include <nanobind/stl/vector.h>

namespace headwater::arrays {
namespace {

using scalars::Arg;
using scalars::Errors;
using scalars::Unlocked;

std::vector<Arg> read_args(nb::handle sequence, int64_t rows) {
  std::vector<Arg> args;
  for (nb::handle item : sequence) {
    Arg arg{arrow::read_column(item)};
    if (arg.column.length == 1) arg.step = 0;
    else if (arg.column.length != rows) throw std::invalid_argument("an argument has another number of rows");
    args.push_back(std::move(arg));
  }
  return args;
}

// ARRAY[a, b, ...]: for each row an array of one value of each column. O(values).
nb::tuple make(nb::handle elements, int64_t rows) {
  const std::vector<Arg> args = read_args(elements, rows);
  if (args.empty()) throw std::invalid_argument("give one column at least");
  const Codec codec(args[0].column.format);
  for (const Arg& arg : args)
    if (!(arg.column.format == args[0].column.format)) throw std::invalid_argument("elements are of several types");
  Builder out("Z");
  {
    Unlocked unlocked(rows);
    std::string made;
    const Shape shape = Shape::line(static_cast<int64_t>(args.size()));
    for (int64_t i = 0; i < rows; ++i) {
      begin_array(made, codec.width);
      for (const Arg& arg : args) codec.put(made, arg.column, i * arg.step);
      put_shape(made, shape);
      out.append_bytes(made);
    }
  }
  return arrow::write_column(out.finish());
}

constexpr const char* kMismatch = "multidimensional arrays must have array expressions with matching dimensions";

// One array of several of a shape, with a dimension more; NULLs and empty ones make nothing. The message of a mistake, or null.
const char* stack_into(std::string& made, const std::vector<std::string_view>& parts, bool nulls) {
  Shape shape;
  bool empty = nulls;
  int width = 0;
  int64_t outer = 0;
  made.assign(1, '\0');
  for (const std::string_view part : parts) {
    const View view = View::read(part);
    width = view.width;
    if (!view.shape.dimensions) {
      empty = true;
      continue;
    }
    if (outer && !(view.shape == shape)) return kMismatch;
    shape = view.shape;
    made.append(view.body);
    ++outer;
  }
  made[0] = static_cast<char>(width);
  if (outer && empty) return kMismatch;
  if (outer) {
    if (shape.dimensions == kMostDimensions) return "number of array dimensions (7) exceeds the maximum allowed (6)";
    if (outer * shape.count() > kMostElements) return kTooLarge;
    for (int d = shape.dimensions++; d > 0; --d) shape.lengths[d] = shape.lengths[d - 1], shape.lower[d] = shape.lower[d - 1];
    shape.lengths[0] = static_cast<int32_t>(outer);
    shape.lower[0] = 1;
  }
  put_shape(made, shape);
  return nullptr;
}

// ARRAY[a, b, ...] of arrays. O(bytes).
nb::tuple stack(nb::handle arrays, int64_t rows) {
  const std::vector<Arg> args = read_args(arrays, rows);
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    std::vector<std::string_view> parts;
    for (int64_t i = 0; i < rows; ++i) {
      parts.clear();
      for (const Arg& arg : args)
        if (arg.valid(i)) parts.push_back(arg.bytes(i));
      if (const char* message = stack_into(made, parts, parts.size() < args.size())) {
        errors.add(i, message);
        out.append_null();
      } else {
        out.append_bytes(made);
      }
    }
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

void check_counts(const Column& counts, int64_t total) {
  if (counts.format.text != "l" || counts.validity) throw std::invalid_argument("counts are int64 and not NULL");
  int64_t sum = 0;
  for (int64_t i = 0; i < counts.length; ++i) {
    const auto count = counts.value<int64_t>(i);
    if (count < 0 || count > total - sum) throw std::invalid_argument("counts do not add up to the values");
    sum += count;
  }
  if (sum != total) throw std::invalid_argument("counts do not add up to the values");
}

// The arrays of as many values, one after another, as each of `counts` says; of none an empty one. O(values).
nb::tuple group(nb::handle values, nb::handle counts) {
  const Column column = arrow::read_column(values), sizes = arrow::read_column(counts);
  const Codec codec(column.format);
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(column.length);
    check_counts(sizes, column.length);
    std::string made;
    int64_t at = 0;
    for (int64_t i = 0; i < sizes.length; ++i) {
      const auto count = sizes.value<int64_t>(i);
      begin_array(made, codec.width);
      const int64_t end = at + count;
      for (; at < end && made.size() <= kMostBytes; ++at) codec.put(made, column, at);
      at = end;
      if (count > kMostElements || made.size() > kMostBytes) {
        errors.add(i, kTooLarge);
        out.append_null();
        continue;
      }
      put_shape(made, Shape::line(count));
      out.append_bytes(made);
    }
  }
  return scalars::give({out.finish(), errors.finish(sizes.length)});
}

// One array of several, along their first dimension; their other dimensions are alike. The message of a mistake, or null.
const char* merge_into(std::string& made, const Column& column, int64_t begin, int64_t end) {
  Shape shape;
  int64_t outer = 0;
  made.assign(1, '\0');
  for (int64_t i = begin; i < end; ++i) {
    if (!column.valid(i)) return "cannot accumulate null arrays";
    const View view = View::read(column.bytes(i));
    if (!view.shape.dimensions) return "cannot accumulate empty arrays";
    if (i == begin) shape = view.shape;
    bool alike = shape.dimensions == view.shape.dimensions;
    for (int d = 1; alike && d < shape.dimensions; ++d) alike = shape.lengths[d] == view.shape.lengths[d];
    if (!alike) return "cannot accumulate arrays of different dimensionality";
    outer += view.shape.lengths[0];
    made.append(view.body);
    made[0] = static_cast<char>(view.width);
    if (outer > kMostElements || made.size() > kMostBytes) return kTooLarge;
  }
  shape.lengths[0] = static_cast<int32_t>(outer);
  shape.lower[0] = 1;
  if (outer && shape.count() > kMostElements) return kTooLarge;
  put_shape(made, shape);
  return nullptr;
}

// As `group`, of arrays that are put one after another. O(bytes).
nb::tuple merge(nb::handle values, nb::handle counts) {
  const Column column = arrow::read_column(values), sizes = arrow::read_column(counts);
  if (column.format.layout != Layout::bytes) throw std::invalid_argument("not a column of arrays");
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(column.length);
    check_counts(sizes, column.length);
    std::string made;
    int64_t at = 0;
    for (int64_t i = 0; i < sizes.length; ++i) {
      const int64_t end = at + sizes.value<int64_t>(i);
      if (const char* message = merge_into(made, column, at, end)) {
        errors.add(i, message);
        out.append_null();
      } else {
        out.append_bytes(made);
      }
      at = end;
    }
  }
  return scalars::give({out.finish(), errors.finish(sizes.length)});
}

// Arrays of the same shapes with other elements: `values` are those of all rows, one after another. O(values).
nb::tuple rebuild(nb::handle arrays, nb::handle values) {
  const Column shapes = arrow::read_column(arrays), column = arrow::read_column(values);
  if (shapes.format.layout != Layout::bytes) throw std::invalid_argument("not a column of arrays");
  const Codec codec(column.format);
  Builder out("Z");
  {
    Unlocked unlocked(column.length);
    std::string made;
    int64_t at = 0;
    for (int64_t i = 0; i < shapes.length; ++i) {
      if (!shapes.valid(i)) {
        out.append_null();
        continue;
      }
      const Shape shape = View::read(shapes.bytes(i)).shape;
      const int64_t end = at + shape.count();
      if (end > column.length) throw std::invalid_argument("there are too few elements");
      begin_array(made, codec.width);
      for (; at < end; ++at) codec.put(made, column, at);
      put_shape(made, shape);
      out.append_bytes(made);
    }
    if (at != column.length) throw std::invalid_argument("there are too many elements");
  }
  return arrow::write_column(out.finish());
}

// The numbers of a line of int32 elements; false where one is NULL.
bool numbers(const View& view, std::vector<int32_t>& out) {
  out.clear();
  Walk walk(view);
  std::string_view element;
  while (walk.next(element)) {
    if (element[0] != kPresent) return false;
    out.push_back(static_cast<int32_t>(View::number(element.data() + 1) ^ 0x80000000u));
  }
  return true;
}

std::string fill_one(std::string& made, std::string_view value, const View& lengths, const View* lower) {
  std::vector<int32_t> sizes, firsts;
  auto other = [](const View& view) { return view.shape.dimensions && view.width != 4; };
  if (other(lengths) || (lower && other(*lower))) throw std::invalid_argument("dimensions are integers");
  if (lengths.shape.dimensions > 1) return "wrong number of array subscripts";
  if (!numbers(lengths, sizes)) return "dimension values cannot be null";
  if (lower && lower->shape.dimensions > 1) return "wrong number of array subscripts";
  if (lower && !numbers(*lower, firsts)) return "dimension values cannot be null";
  if (sizes.size() > kMostDimensions) return "number of dimensions exceeds the maximum allowed (6)";
  if (lower && firsts.size() != sizes.size()) return "wrong number of array subscripts";
  const View one = View::read(value);
  Shape shape;
  int64_t count = !sizes.empty();
  shape.dimensions = static_cast<int>(sizes.size());
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] < 0) return kTooLarge;
    shape.lengths[d] = sizes[d];
    shape.lower[d] = lower ? firsts[d] : 1;
    count *= sizes[d];
    if (count > kMostElements) return kTooLarge;
    if (static_cast<int64_t>(shape.lower[d]) + sizes[d] > std::numeric_limits<int32_t>::max()) return "array lower bound is too large: " + std::to_string(shape.lower[d]);
  }
  if (count == 0) shape = {};
  if (static_cast<size_t>(count) * one.body.size() > kMostBytes) return kTooLarge;
  begin_array(made, one.width);
  for (int64_t i = 0; i < count; ++i) made.append(one.body);
  put_shape(made, shape);
  return "";
}

// array_fill: `values` are arrays of one element; lower bounds may be None. O(bytes made).
nb::tuple fill(nb::handle values, nb::handle lengths, nb::handle lower, int64_t rows) {
  const Arg value = scalars::read_arg(values, rows, -1), sizes = scalars::read_arg(lengths, rows, -1);
  const bool bounded = !lower.is_none();
  const Arg firsts = bounded ? scalars::read_arg(lower, rows, -1) : sizes;
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      std::string message = "dimension array or low bound array cannot be null";
      if (sizes.valid(i) && firsts.valid(i)) {
        const View first = View::read(firsts.bytes(i));
        message = fill_one(made, value.bytes(i), View::read(sizes.bytes(i)), bounded ? &first : nullptr);
      }
      if (!message.empty()) {
        errors.add(i, message);
        out.append_null();
      } else {
        out.append_bytes(made);
      }
    }
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

}  // namespace

void add_making(nb::module_& m) {
  m.def("make", &make);
  m.def("stack", &stack);
  m.def("group", &group);
  m.def("merge", &merge);
  m.def("rebuild", &rebuild);
  m.def("fill", &fill, nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
}

}  // namespace headwater::arrays
