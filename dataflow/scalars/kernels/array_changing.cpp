// Arrays made of arrays: put together, and elements added, taken out and replaced.
#include "dataflow/scalars/kernels/array.h"

namespace headwater::arrays {
namespace {

using scalars::Arg;
using scalars::Errors;
using scalars::Unlocked;

// For each row `use(i, made)`: it makes the bytes of an array, or answers the message of a mistake.
template <class Use>
nb::tuple each(int64_t rows, Use&& use) {
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      made.clear();
      const char* message = use(i, made);
      if (!message && made.size() > kMostBytes) message = kTooLarge;
      if (message) errors.add(i, message);
      if (message || made.empty()) out.append_null();
      else out.append_bytes(made);
    }
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

constexpr const char* kIncompatible = "cannot concatenate incompatible arrays";

const char* join(std::string& made, const View& a, const View& b) {
  Shape shape = a.shape;
  const int more = a.shape.dimensions - b.shape.dimensions;
  if (more < -1 || more > 1) return kIncompatible;
  const Shape& larger = more >= 0 ? a.shape : b.shape;
  const Shape& smaller = more > 0 ? b.shape : a.shape;
  shape = larger;
  const int skip = more ? 1 : 0;  // the smaller one is an element of the larger one
  for (int d = more ? 0 : 1; d < smaller.dimensions; ++d) {
    if (smaller.lengths[d] != larger.lengths[d + skip] || (!more && b.shape.lengths[d] != a.shape.lengths[d])) return kIncompatible;
    if ((more ? smaller.lower[d] : b.shape.lower[d]) != larger.lower[d + skip]) return kIncompatible;
  }
  const int64_t length = more ? int64_t{larger.lengths[0]} + 1 : int64_t{a.shape.lengths[0]} + b.shape.lengths[0];
  if (a.shape.count() + b.shape.count() > kMostElements) return kTooLarge;
  shape.lengths[0] = static_cast<int32_t>(length);
  begin_array(made, a.width);
  made.append(a.body).append(b.body);
  put_shape(made, shape);
  return nullptr;
}

// array_cat: NULL and empty arrays add nothing. O(bytes).
nb::tuple cat(nb::handle first, nb::handle second, int64_t rows) {
  const Arg a = scalars::read_arg(first, rows, -1), b = scalars::read_arg(second, rows, -1);
  return each(rows, [&](int64_t i, std::string& made) -> const char* {
    if (!a.valid(i) || !b.valid(i)) {
      if (a.valid(i)) made = a.bytes(i);
      if (b.valid(i)) made = b.bytes(i);
      return nullptr;
    }
    const View left = View::read(a.bytes(i)), right = View::read(b.bytes(i));
    if (!right.shape.dimensions) made = a.bytes(i);
    else if (!left.shape.dimensions) made = b.bytes(i);
    else return join(made, left, right);
    return nullptr;
  });
}

// array_append, or with `front` array_prepend, of what `added`, an array of one, has. O(bytes).
nb::tuple push(nb::handle arrays, nb::handle added, int64_t rows, bool front) {
  const Arg a = scalars::read_arg(arrays, rows, -1), e = scalars::read_arg(added, rows, -1);
  return each(rows, [&](int64_t i, std::string& made) -> const char* {
    const View one = View::read(e.bytes(i));
    const View view = a.valid(i) ? View::read(a.bytes(i)) : View{};
    if (view.shape.dimensions > 1) return "argument must be empty or one-dimensional array";
    begin_array(made, one.width);
    if (front) made.append(one.body).append(view.body);
    else made.append(view.body).append(one.body);
    const int64_t count = view.shape.count() + 1;
    if (count > kMostElements) return kTooLarge;
    put_shape(made, Shape::line(count, view.shape.dimensions ? view.shape.lower[0] : 1));
    return nullptr;
  });
}

// array_remove: without the elements that are what `taken`, an array of one, has. O(elements).
nb::tuple remove(nb::handle arrays, nb::handle taken, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), t = scalars::read_arg(taken, rows, -1);
  return each(rows, [&](int64_t i, std::string& made) -> const char* {
    if (!a.valid(i) || !t.valid(i)) return nullptr;
    const View view = View::read(a.bytes(i));
    if (view.shape.dimensions > 1) return "removing elements from multidimensional arrays is not supported";
    const std::string_view gone = View::read(t.bytes(i)).body;
    begin_array(made, view.width);
    int64_t left = 0;
    std::string_view element;
    for (Walk walk(view); walk.next(element);) {
      if (element == gone) continue;
      made.append(element);
      ++left;
    }
    put_shape(made, Shape::line(left, view.shape.lower[0]));
    return nullptr;
  });
}

// array_replace: `from` and `to` are arrays of one. O(elements).
nb::tuple replace(nb::handle arrays, nb::handle from, nb::handle to, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), f = scalars::read_arg(from, rows, -1), t = scalars::read_arg(to, rows, -1);
  return each(rows, [&](int64_t i, std::string& made) -> const char* {
    if (!a.valid(i) || !f.valid(i) || !t.valid(i)) return nullptr;
    const View view = View::read(a.bytes(i));
    const std::string_view gone = View::read(f.bytes(i)).body, put = View::read(t.bytes(i)).body;
    begin_array(made, view.width);
    std::string_view element;
    for (Walk walk(view); walk.next(element) && made.size() <= kMostBytes;) made.append(element == gone ? put : element);
    put_shape(made, view.shape);
    return nullptr;
  });
}

// trim_array: without the last `n` of the first dimension. O(bytes).
nb::tuple trim(nb::handle arrays, nb::handle numbers, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), n = scalars::read_arg(numbers, rows, 4);
  Builder out("Z");
  Errors errors;
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    if (!a.valid(i) || !n.valid(i)) {
      out.append_null();
      continue;
    }
    const View view = View::read(a.bytes(i));
    const int32_t length = view.shape.dimensions ? view.shape.lengths[0] : 0, gone = n.get<int32_t>(i);
    if (gone < 0 || gone > length) {
      errors.add(i, "number of elements to trim must be between 0 and " + std::to_string(length));
      out.append_null();
      continue;
    }
    Shape shape = view.shape;
    shape.lengths[0] -= gone;
    for (int32_t& lower : shape.lower) lower = 1;
    if (gone == length) shape = {};
    begin_array(made, view.width);
    const int64_t kept = shape.count();
    std::string_view element;
    int64_t seen = 0;
    for (Walk walk(view); seen < kept && walk.next(element); ++seen) made.append(element);
    put_shape(made, shape);
    out.append_bytes(made);
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

}  // namespace

void add_changing(nb::module_& m) {
  m.def("cat", &cat);
  m.def("push", &push);
  m.def("remove", &remove);
  m.def("replace", &replace);
  m.def("trim", &trim);
}

}  // namespace headwater::arrays
