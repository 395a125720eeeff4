// Loops over rows that several kernels of arrays and maps share.
//
// Always true: NULL in, NULL out; the functions need the GIL, what they call has none and touches nothing of Python's.
#pragma once

#include "dataflow/scalars/kernels/array.h"

namespace headwater::arrays {

// Boolean by row: test(left, right) of the values' bytes.
template <class Test>
nb::tuple test_rows(nb::handle left, nb::handle right, int64_t rows, Test&& test) {
  const scalars::Arg a = scalars::read_arg(left, rows, -1), b = scalars::read_arg(right, rows, -1);
  scalars::Output<bool> out(rows);
  {
    scalars::Unlocked unlocked(rows);
    for (int64_t i = 0; i < rows; ++i) {
      if (a.valid(i) && b.valid(i)) out.set(i, test(a.bytes(i), b.bytes(i)));
      else out.set_null(i);
    }
  }
  return arrow::write_column(out.finish("b"));
}

// Text by row: put(view of the array, text) appends to a text that is empty. Raises std::invalid_argument for what is no text[].
template <class Put>
nb::tuple write_texts(nb::handle arrays, int64_t rows, Put&& put) {
  const scalars::Arg a = scalars::read_arg(arrays, rows, -1);
  Builder out("U");
  {
    scalars::Unlocked unlocked(rows);
    std::string text;
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i)) {
        out.append_null();
        continue;
      }
      const View view = View::read(a.bytes(i));
      if (view.width && view.shape.dimensions) throw std::invalid_argument("not an array of texts");
      text.clear();
      put(view, text);
      out.append_bytes(text);
    }
  }
  return arrow::write_column(out.finish());
}

}  // namespace headwater::arrays
