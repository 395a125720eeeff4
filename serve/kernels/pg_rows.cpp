// Rows for the PostgreSQL wire: whole columns in, the bytes of one message for each row out.
//
//   DataRow   'D' length(int32) columns(int16), then for each: length(int32, -1 for NULL) value
//   CopyData  'd' length(int32), then one line of COPY's text or csv format
//
// O(bytes written), one allocation. Always true: a column whose layout is not what its form reads is refused, and a row longer than
// a message may be is an error. COPY's lines are of columns of text (dataflow.scalars.format makes them).
// Deliberately unknown here: SQL types (the caller hands in a Form) and sockets.
#include "dataflow/kernels/arrow.h"
#include "dataflow/scalars/kernels/array.h"
#include "serve/kernels/pg_fields.h"
#include "serve/kernels/pg_lookups.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nb = nanobind;

namespace headwater::pg {

namespace {

constexpr size_t MUCH = 1 << 16;  // bytes from which on others may have the interpreter lock meanwhile: to get it back may take long

// A bytes object of at most `most` bytes, filled by `fill`, which answers the end.
template <class Fill>
nb::bytes make_bytes(size_t most, Fill&& fill) {
  if (most > static_cast<size_t>(std::numeric_limits<Py_ssize_t>::max())) throw std::bad_alloc();
  PyObject* made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(most));
  if (!made) nb::raise_python_error();
  nb::object held = nb::steal(made);
  char* begin = PyBytes_AS_STRING(made);
  size_t size;
  if (most < MUCH) {
    size = static_cast<size_t>(fill(begin) - begin);
  } else {
    nb::gil_scoped_release release;
    size = static_cast<size_t>(fill(begin) - begin);
  }
  PyObject* resized = held.release().ptr();
  if (_PyBytes_Resize(&resized, static_cast<Py_ssize_t>(size)) != 0) nb::raise_python_error();
  return nb::steal<nb::bytes>(resized);
}

nb::bytes data_rows(nb::list arrays, const std::vector<std::pair<int, bool>>& forms, int64_t rows) {
  if (arrays.size() != forms.size() || forms.size() > 32767 || rows < 0)
    throw std::invalid_argument("give one form for each column, at most 32767");
  std::vector<Style> styles;
  auto read = headwater::arrow::read_columns(arrays);
  size_t most = static_cast<size_t>(rows) * 7;
  for (size_t i = 0; i < forms.size(); ++i) {
    Style style = make_style(forms[i]);
    if (!fits(style.form, read[i].format) || read[i].length != rows)
      throw std::invalid_argument("column " + std::to_string(i) + " of arrow format '" + read[i].format.text +
                                  "' does not fit its form, or has not the rows");
    style.scale = read[i].format.scale();
    most += static_cast<size_t>(rows) * most_bytes(style.form);
    if (variable(style.form)) most += text_bytes(style.form, static_cast<size_t>(read[i].size()));
    styles.push_back(style);
  }
  return make_bytes(most, [&](char* out) {
    for (int64_t row = 0; row < rows; ++row) {
      char* start = out;
      *out = 'D';
      out = put(out + 5, static_cast<int16_t>(styles.size()));
      for (size_t i = 0; i < styles.size(); ++i) out = put_field(out, styles[i], read[i], row);
      close_message(start, out);
    }
    return out;
  });
}

// Arrays as binary values: dimensions, whether there are NULLs, the elements' type, each dimension's length and lower bound, and
// the elements, which are those of all rows one after another. The result is a column of bytes. O(bytes written).
nb::tuple arrays(nb::handle values, nb::handle elements, const std::pair<int, bool>& form, int64_t oid) {
  using headwater::arrays::View;
  const Column column = headwater::arrow::read_column(values), flat = headwater::arrow::read_column(elements);
  Style style = make_style(form);
  style.scale = flat.format.scale();
  if (!fits(Form::bytes, column.format) || !fits(style.form, flat.format)) throw std::invalid_argument("an array's column does not fit its form");
  headwater::arrow::Builder out("Z");
  {
    nb::gil_scoped_release release;
    std::string made;
    int64_t at = 0;
    for (int64_t row = 0; row < column.length; ++row) {
      if (!column.valid(row)) {
        out.append_null();
        continue;
      }
      const headwater::arrays::Shape shape = View::read(column.bytes(row)).shape;
      const int64_t end = at + shape.count();
      if (end > flat.length) throw std::invalid_argument("there are too few elements");
      bool nulls = false;
      size_t most = 12 + 8 * static_cast<size_t>(shape.dimensions);
      for (int64_t i = at; i < end; ++i) {
        nulls = nulls || !flat.valid(i);
        most += most_bytes(style.form) + (variable(style.form) ? flat.bytes(i).size() : 0);
      }
      made.resize(most);
      char* to = put(put(put(made.data(), int32_t{shape.dimensions}), int32_t{nulls}), static_cast<uint32_t>(oid));
      for (int d = 0; d < shape.dimensions; ++d) to = put(put(to, shape.lengths[d]), shape.lower[d]);
      for (; at < end; ++at) to = put_field(to, style, flat, at);
      out.append_bytes({made.data(), static_cast<size_t>(to - made.data())});
    }
    if (at != flat.length) throw std::invalid_argument("there are too many elements");
  }
  return headwater::arrow::write_column(out.finish());
}

// COPY's text format: a tab between values, and a letter behind a backslash for what would be misread.
char* put_escaped(char* out, std::string_view text, char delimiter) {
  for (char c : text) {
    char letter = 0;
    switch (c) {
      case '\b': letter = 'b'; break;
      case '\f': letter = 'f'; break;
      case '\n': letter = 'n'; break;
      case '\r': letter = 'r'; break;
      case '\t': letter = 't'; break;
      case '\v': letter = 'v'; break;
      case '\\': letter = '\\'; break;
      default: break;
    }
    if (letter || c == delimiter) {
      *out++ = '\\';
      *out++ = letter ? letter : c;
    } else {
      *out++ = c;
    }
  }
  return out;
}

// RFC 4180, as PostgreSQL writes it: quotes where the value would be misread, or would look like NULL.
char* put_quoted(char* out, std::string_view text, char delimiter, std::string_view null, bool only) {
  bool quoted = text == null || (only && text == "\\.");
  for (char c : text) quoted |= c == delimiter || c == '"' || c == '\n' || c == '\r';
  if (!quoted) {
    if (!text.empty()) std::memcpy(out, text.data(), text.size());
    return out + text.size();
  }
  *out++ = '"';
  for (char c : text) {
    if (c == '"') *out++ = '"';
    *out++ = c;
  }
  *out++ = '"';
  return out;
}

nb::bytes copy_rows(nb::list arrays, int64_t rows, bool csv, const std::string& delimiter, const std::string& null) {
  if (delimiter.size() != 1 || rows < 0 || null.size() > 1024)
    throw std::invalid_argument("the delimiter is one byte, NULL's text at most 1024");
  auto columns = headwater::arrow::read_columns(arrays);
  size_t most = static_cast<size_t>(rows) * 6;
  for (const Column& column : columns) {
    if (!fits(Form::bytes, column.format) || column.length != rows)
      throw std::invalid_argument("COPY writes columns of text, all of the same length");
    most += static_cast<size_t>(rows) * (3 + null.size()) + 2 * static_cast<size_t>(column.size());
  }
  return make_bytes(most, [&](char* out) {
    for (int64_t row = 0; row < rows; ++row) {
      char* start = out;
      *out = 'd';
      out += 5;
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i) *out++ = delimiter[0];
        if (!columns[i].valid(row)) {
          if (!null.empty()) std::memcpy(out, null.data(), null.size());
          out += null.size();
        } else if (csv) {
          out = put_quoted(out, columns[i].bytes(row), delimiter[0], null, columns.size() == 1);
        } else {
          out = put_escaped(out, columns[i].bytes(row), delimiter[0]);
        }
      }
      *out++ = '\n';
      close_message(start, out);
    }
    return out;
  });
}

}  // namespace

NB_MODULE(_pg_rows, m) {
  m.def("data_rows", &data_rows, nb::arg("columns"), nb::arg("forms"), nb::arg("rows"));
  m.def("arrays", &arrays);
  m.def("copy_rows", &copy_rows, nb::arg("columns"), nb::arg("rows"), nb::arg("csv"), nb::arg("delimiter"), nb::arg("null"));
  bind_lookups(m);
}

}  // namespace headwater::pg
