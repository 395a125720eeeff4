// Rows for the PostgreSQL wire: whole columns in, the bytes of one message for each row out.
//
//   DataRow   'D' length(int32) columns(int16), then for each: length(int32, -1 for NULL) value
//   CopyData  'd' length(int32), then one line of COPY's text or csv format
//
// Values that are sent as text come as columns of text (dataflow.scalars.format makes them), but for booleans and whole numbers,
// which are written here; so are binary values, in network order. O(bytes written), one allocation. Always true: a column whose layout is not what its form reads is refused, and
// a row longer than a message may be is an error. Deliberately unknown here: SQL types (the caller hands in a Form) and sockets.
#include "dataflow/kernels/arrow.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nb = nanobind;

namespace {

using headwater::arrow::Column;
using headwater::arrow::Layout;

// How a column's values are written. The numbers are the contract with serve/pg/rows.py.
enum class Form : int {
  bytes = 0, boolean, int16, int32, int64, real, double_, numeric, date, timestamp, jsonb, interval, uuid,
  text_boolean, text_int16, text_int32, text_int64,
};

constexpr size_t LONGEST_MESSAGE = 0x3fffffff;  // what clients take: libpq's limit of one message

constexpr int32_t EPOCH_DAYS = 10957;  // 2000-01-01, PostgreSQL's origin, in days since 1970
constexpr int64_t EPOCH_MICROS = EPOCH_DAYS * int64_t{86400} * 1000000;

template <class T>
inline char* put(char* out, T value) {
  if constexpr (std::endian::native == std::endian::little) {
    if constexpr (sizeof(T) == 2) value = static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
    if constexpr (sizeof(T) == 4) value = static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
    if constexpr (sizeof(T) == 8) value = static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
  }
  std::memcpy(out, &value, sizeof(T));
  return out + sizeof(T);
}

// PostgreSQL's numeric: groups of four decimal digits, where the first one stands, the sign, and the digits to show behind the
// point. Needs room for 8 + 2 * 12 bytes.
char* put_numeric(char* out, __int128 value, int scale, bool trims) {
  auto rest = static_cast<unsigned __int128>(value);
  bool negative = value < 0;
  if (negative) rest = -rest;
  uint8_t digits[48];  // least significant first; 2^127 has 39 digits
  int count = 0;
  for (; rest; rest /= 10) digits[count++] = static_cast<uint8_t>(rest % 10);
  while (count < scale) digits[count++] = 0;
  int first = 0;  // digits below it are not shown
  if (trims)
    while (first < scale && digits[first] == 0) ++first;
  auto at = [&](int place) { return place < first || place >= count ? 0 : digits[place]; };
  // Group g holds the digits of 10^(4g) to 10^(4g+3); the point is before place `scale`.
  int lowest = -((scale - first + 3) / 4), highest = (count - scale + 3) / 4 - 1;
  int16_t groups[24];
  int used = 0;
  for (int g = highest; g >= lowest; --g) {
    int place = scale + 4 * g;
    groups[used++] = static_cast<int16_t>(at(place) + 10 * at(place + 1) + 100 * at(place + 2) + 1000 * at(place + 3));
  }
  int begin = 0;
  while (begin < used && groups[begin] == 0) ++begin, --highest;
  while (used > begin && groups[used - 1] == 0) --used;
  if (begin == used) highest = 0;
  out = put(out, static_cast<int16_t>(used - begin));
  out = put(out, static_cast<int16_t>(highest));
  out = put(out, static_cast<uint16_t>(negative && begin < used ? 0x4000 : 0));
  out = put(out, static_cast<int16_t>(scale - first));
  for (int i = begin; i < used; ++i) out = put(out, groups[i]);
  return out;
}

// A whole number as text: at most 20 bytes.
inline char* put_digits(char* out, int64_t value) { return std::to_chars(out, out + 20, value).ptr; }

// A column beside the way in which it is written. trims: leave out zeros at the end of a numeric's fraction.
struct Field {
  Form form;
  bool trims;
  Column column;
  int scale;
};

constexpr size_t FIXED = 40;  // more than any value without a length of its own takes: a numeric has 32 bytes

// The Arrow layout that a form reads: refuse another one rather than read past its buffers.
bool fits(Form form, const Column& column) {
  switch (form) {
    case Form::boolean: case Form::text_boolean: return column.format.layout == Layout::boolean;
    case Form::bytes: case Form::jsonb: return column.format.layout == Layout::bytes;
    default: break;
  }
  if (column.format.layout != Layout::fixed) return false;
  switch (form) {
    case Form::int16: case Form::text_int16: return column.format.width == 2;
    case Form::int32: case Form::text_int32: case Form::real: case Form::date: return column.format.width == 4;
    case Form::interval: case Form::uuid: return column.format.width == 16;
    case Form::numeric: return column.format.width == 16 && column.format.scale() >= 0 && column.format.scale() <= 38;
    default: return column.format.width == 8;
  }
}

inline bool variable(Form form) { return form == Form::bytes || form == Form::jsonb; }

// One value of fixed width, without its length.
char* put_fixed(char* out, const Field& field, int64_t row) {
  const Column& column = field.column;
  switch (field.form) {
    case Form::boolean: *out = column.boolean(row) ? 1 : 0; return out + 1;
    case Form::int16: return put(out, column.value<int16_t>(row));
    case Form::int32: case Form::real: return put(out, column.value<int32_t>(row));
    case Form::numeric: return put_numeric(out, column.value<__int128>(row), field.scale, field.trims);
    // Unsigned arithmetic wraps where the origin is out of reach: the ends of int32 and int64 are no dates of PostgreSQL's.
    case Form::date: return put(out, static_cast<uint32_t>(column.value<int32_t>(row)) - static_cast<uint32_t>(EPOCH_DAYS));
    case Form::timestamp:
      return put(out, static_cast<uint64_t>(column.value<int64_t>(row)) - static_cast<uint64_t>(EPOCH_MICROS));
    case Form::interval: {  // Arrow's order is months, days, time; PostgreSQL's time, days, months
      auto packed = column.value<unsigned __int128>(row);
      out = put(out, static_cast<uint64_t>(packed >> 64));
      out = put(out, static_cast<uint32_t>(packed >> 32));
      return put(out, static_cast<uint32_t>(packed));
    }
    case Form::uuid: std::memcpy(out, column.bytes(row).data(), 16); return out + 16;
    case Form::text_boolean: *out = column.boolean(row) ? 't' : 'f'; return out + 1;
    case Form::text_int16: return put_digits(out, column.value<int16_t>(row));
    case Form::text_int32: return put_digits(out, column.value<int32_t>(row));
    case Form::text_int64: return put_digits(out, column.value<int64_t>(row));
    default: return put(out, column.value<int64_t>(row));
  }
}

char* put_field(char* out, const Field& field, int64_t row) {
  if (!field.column.valid(row)) return put(out, int32_t{-1});
  if (!variable(field.form)) {
    char* end = put_fixed(out + 4, field, row);
    put(out, static_cast<int32_t>(end - out - 4));
    return end;
  }
  std::string_view bytes = field.column.bytes(row);
  bool marked = field.form == Form::jsonb;
  out = put(out, static_cast<int32_t>(bytes.size() + marked));
  if (marked) *out++ = 1;  // jsonb's version
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

// A bytes object of at most `most` bytes, filled by `fill` without the interpreter lock; `fill` answers the end.
template <class Fill>
nb::bytes make_bytes(size_t most, Fill&& fill) {
  if (most > static_cast<size_t>(std::numeric_limits<Py_ssize_t>::max())) throw std::bad_alloc();
  PyObject* made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(most));
  if (!made) nb::raise_python_error();
  nb::object held = nb::steal(made);
  char* begin = PyBytes_AS_STRING(made);
  size_t size;
  {
    nb::gil_scoped_release release;
    size = static_cast<size_t>(fill(begin) - begin);
  }
  PyObject* resized = held.release().ptr();
  if (_PyBytes_Resize(&resized, static_cast<Py_ssize_t>(size)) != 0) nb::raise_python_error();
  return nb::steal<nb::bytes>(resized);
}

// The length of a message that began at `start`, without its type byte; written into it.
void close_message(char* start, char* end) {
  auto length = static_cast<size_t>(end - start - 1);
  if (length > LONGEST_MESSAGE)
    throw std::length_error("a row of " + std::to_string(length) + " bytes is longer than a message may be, 1 GiB");
  put(start + 1, static_cast<int32_t>(length));
}

nb::bytes data_rows(nb::list arrays, const std::vector<std::pair<int, bool>>& forms, int64_t rows) {
  if (arrays.size() != forms.size() || forms.size() > 32767 || rows < 0)
    throw std::invalid_argument("give one form for each column, at most 32767");
  std::vector<Field> fields;
  auto read = headwater::arrow::read_columns(arrays);
  size_t most = static_cast<size_t>(rows) * 7;
  for (size_t i = 0; i < forms.size(); ++i) {
    auto [number, trims] = forms[i];
    if (number < 0 || number > static_cast<int>(Form::text_int64)) throw std::invalid_argument("no such form");
    auto form = static_cast<Form>(number);
    if (!fits(form, read[i]) || read[i].length != rows)
      throw std::invalid_argument("column " + std::to_string(i) + " of arrow format '" + read[i].format.text +
                                  "' does not fit its form, or has not the rows");
    most += static_cast<size_t>(rows) * (variable(form) ? 5 : FIXED);
    if (variable(form)) most += static_cast<size_t>(read[i].size());
    fields.push_back({form, trims, read[i], read[i].format.scale()});
  }
  return make_bytes(most, [&](char* out) {
    for (int64_t row = 0; row < rows; ++row) {
      char* start = out;
      *out = 'D';
      out = put(out + 5, static_cast<int16_t>(fields.size()));
      for (const Field& field : fields) out = put_field(out, field, row);
      close_message(start, out);
    }
    return out;
  });
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
    if (!fits(Form::bytes, column) || column.length != rows)
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
  m.def("copy_rows", &copy_rows, nb::arg("columns"), nb::arg("rows"), nb::arg("csv"), nb::arg("delimiter"), nb::arg("null"));
}
