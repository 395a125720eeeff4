// JSON row encoder: whole columns in, one JSON object for each row out, as the two buffers of a large_binary array.
//
// Always true: a column whose layout is not what its form reads is refused; the output is valid JSON if text columns are valid UTF-8 and jsonb columns hold JSON.
// Deliberately unknown here: column names (the caller hands in `"name":` already escaped) and SQL types (it hands in a Form).
#include "dataflow/kernels/arrow.h"
#include "dataflow/reads/find.h"
#include "dataflow/scalars/kernels/text_interval.h"
#include "dataflow/scalars/kernels/text_uuid.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace nb = nanobind;

namespace {

using headwater::arrow::Column;
using headwater::arrow::Layout;

// How a column's values are printed. The numbers are the contract with dataflow/json.py.
enum class Form : int {
  boolean = 0, int16, int32, int64, real, double_, decimal, date, timestamp, timestamptz, interval, time, uuid, text, json, base64
};

// A growable byte buffer that hands its memory to numpy without a copy.
class Output {
 public:
  explicit Output(size_t capacity) { reserve(capacity); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { std::free(data_); }

  // Room for `n` more bytes; the caller writes at the result and passes the end to `advance`.
  char* room(size_t n) {
    if (capacity_ - size_ < n) reserve(std::max(capacity_ + capacity_ / 2, size_ + n));
    return data_ + size_;
  }
  void advance(const char* end) { size_ = static_cast<size_t>(end - data_); }
  size_t size() const { return size_; }
  char* release() {
    if (capacity_ > size_ + size_ / 4 + 64) reserve(size_);
    char* out = data_;
    data_ = nullptr;
    size_ = capacity_ = 0;
    return out;
  }

 private:
  void reserve(size_t capacity) {
    void* grown = std::realloc(data_, capacity ? capacity : 1);
    if (!grown) throw std::bad_alloc();
    data_ = static_cast<char*>(grown);
    capacity_ = capacity;
  }
  char* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

// 0: as it is; 1: \u00XX; else the letter after the backslash.
struct Escapes {
  char of[256] = {};
  constexpr Escapes() {
    for (int c = 0; c < 0x20; ++c) of[c] = 1;
    of['\b'] = 'b', of['\f'] = 'f', of['\n'] = 'n', of['\r'] = 'r', of['\t'] = 't', of['"'] = '"', of['\\'] = '\\';
  }
};
constexpr Escapes escapes;
constexpr char hex[] = "0123456789abcdef";

// Whether any of 8 bytes is below 0x20, a quote or a backslash.
inline bool special(uint64_t word) {
  constexpr uint64_t ones = 0x0101010101010101ull, high = 0x8080808080808080ull;
  uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
  uint64_t below = (word - ones * 0x20) & ~word;
  return ((below | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & high) != 0;
}

// Needs room for 6 * n + 2 bytes.
char* put_text(char* out, const char* text, size_t n) {
  *out++ = '"';
  size_t i = 0;
  while (i < n) {
    if (n - i >= 8) {
      uint64_t word;
      std::memcpy(&word, text + i, 8);
      if (!special(word)) {
        std::memcpy(out, &word, 8);
        out += 8, i += 8;
        continue;
      }
    }
    size_t stop = std::min(n, i + 8);
    for (; i < stop; ++i) {
      auto c = static_cast<unsigned char>(text[i]);
      char e = escapes.of[c];
      if (e == 0) {
        *out++ = static_cast<char>(c);
      } else if (e == 1) {
        std::memcpy(out, "\\u00", 4);
        out[4] = hex[c >> 4], out[5] = hex[c & 15];
        out += 6;
      } else {
        *out++ = '\\', *out++ = e;
      }
    }
  }
  *out++ = '"';
  return out;
}

// Needs room for 4 * ((n + 2) / 3) + 2 bytes.
char* put_base64(char* out, const uint8_t* bytes, size_t n) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  *out++ = '"';
  size_t i = 0;
  for (; i + 3 <= n; i += 3, out += 4) {
    uint32_t v = uint32_t(bytes[i]) << 16 | uint32_t(bytes[i + 1]) << 8 | bytes[i + 2];
    out[0] = digits[v >> 18], out[1] = digits[v >> 12 & 63], out[2] = digits[v >> 6 & 63], out[3] = digits[v & 63];
  }
  if (size_t rest = n - i) {
    uint32_t v = uint32_t(bytes[i]) << 16 | (rest == 2 ? uint32_t(bytes[i + 1]) << 8 : 0);
    out[0] = digits[v >> 18], out[1] = digits[v >> 12 & 63], out[2] = rest == 2 ? digits[v >> 6 & 63] : '=', out[3] = '=';
    out += 4;
  }
  *out++ = '"';
  return out;
}

// A float keeps a point or an exponent, so that a reader which infers types sees one type in the whole column.
template <typename Float>
char* put_float(char* out, Float value) {
  if (std::isnan(value)) return static_cast<char*>(std::memcpy(out, "\"NaN\"", 5)) + 5;
  if (std::isinf(value)) {
    const char* name = value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    size_t n = std::strlen(name);
    return static_cast<char*>(std::memcpy(out, name, n)) + n;
  }
  char* end = std::to_chars(out, out + 64, value).ptr;
  for (char* p = out; p < end; ++p)
    if (*p == '.' || *p == 'e') return end;
  *end++ = '.', *end++ = '0';
  return end;
}

// Exactly `width` digits, or more if the number needs more.
char* put_padded(char* out, uint64_t value, int width) {
  char digits[20];
  int n = static_cast<int>(std::to_chars(digits, digits + 20, value).ptr - digits);
  for (; width > n; --width) *out++ = '0';
  std::memcpy(out, digits, n);
  return out + n;
}

char* put_decimal(char* out, __int128 value, int scale, bool trims) {
  auto rest = static_cast<unsigned __int128>(value);
  bool negative = value < 0;
  if (negative) rest = -rest;
  char digits[48];  // least significant first; 2^127 has 39 digits
  int n = 0;
  constexpr uint64_t chunk = 10000000000000000000ull;
  while (rest > UINT64_MAX) {
    auto low = static_cast<uint64_t>(rest % chunk);
    rest /= chunk;
    for (int i = 0; i < 19; ++i, low /= 10) digits[n++] = static_cast<char>('0' + low % 10);
  }
  for (auto low = static_cast<uint64_t>(rest); low; low /= 10) digits[n++] = static_cast<char>('0' + low % 10);
  while (n <= scale) digits[n++] = '0';
  int last = 0;
  if (trims)
    while (last < scale && digits[last] == '0') ++last;
  *out++ = '"';
  if (negative) *out++ = '-';
  for (int i = n - 1; i >= scale; --i) *out++ = digits[i];
  if (last < scale) {
    *out++ = '.';
    for (int i = scale - 1; i >= last; --i) *out++ = digits[i];
  }
  *out++ = '"';
  return out;
}

// Days since 1970-01-01 as a proleptic Gregorian date (eras of 400 years, years that begin in March). Years outside
// 0000..9999 take ISO 8601's expanded form with a sign and at least six digits: year 0000 is 1 BC, -000043 is 44 BC.
char* put_date(char* out, int64_t days) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  auto day_of_era = static_cast<uint32_t>(days - era * 146097);
  uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  uint32_t shifted = (5 * day_of_year + 2) / 153;
  uint32_t day = day_of_year - (153 * shifted + 2) / 5 + 1, month = shifted < 10 ? shifted + 3 : shifted - 9;
  int64_t year = static_cast<int64_t>(year_of_era) + era * 400 + (month <= 2);
  if (year < 0 || year > 9999) {
    *out++ = year < 0 ? '-' : '+';
    out = put_padded(out, static_cast<uint64_t>(year < 0 ? -year : year), 6);
  } else {
    auto y = static_cast<uint32_t>(year);
    *out++ = static_cast<char>('0' + y / 1000), *out++ = static_cast<char>('0' + y / 100 % 10);
    *out++ = static_cast<char>('0' + y / 10 % 10), *out++ = static_cast<char>('0' + y % 10);
  }
  *out++ = '-', *out++ = static_cast<char>('0' + month / 10), *out++ = static_cast<char>('0' + month % 10);
  *out++ = '-', *out++ = static_cast<char>('0' + day / 10), *out++ = static_cast<char>('0' + day % 10);
  return out;
}

// The fraction has no, three or six digits: what java.time, Go and JavaScript all read.
char* put_timestamp(char* out, int64_t micros, bool zone) {
  constexpr int64_t day = 86400ll * 1000000;
  int64_t days = micros / day, rest = micros % day;
  if (rest < 0) --days, rest += day;
  *out++ = '"';
  out = put_date(out, days);
  auto seconds = static_cast<uint32_t>(rest / 1000000), fraction = static_cast<uint32_t>(rest % 1000000);
  const uint32_t parts[3] = {seconds / 3600, seconds / 60 % 60, seconds % 60};
  for (int i = 0; i < 3; ++i) {
    *out++ = i ? ':' : 'T';
    *out++ = static_cast<char>('0' + parts[i] / 10), *out++ = static_cast<char>('0' + parts[i] % 10);
  }
  if (fraction) {
    *out++ = '.';
    out = fraction % 1000 ? put_padded(out, fraction, 6) : put_padded(out, fraction / 1000, 3);
  }
  if (zone) *out++ = 'Z';
  *out++ = '"';
  return out;
}

// How one column prints. prefix: `{"name":` or `,"name":`. trims: leave out zeros at the end of a decimal's fraction.
struct Spec {
  std::string prefix;
  Form form;
  bool trims;
};

constexpr size_t FIXED = 96;  // more than any value of fixed width prints: a decimal takes 42, a float 26

void put_variable(Output& output, Form form, std::string_view bytes) {
  size_t n = bytes.size();
  char* out;
  if (form == Form::text) {
    out = put_text(output.room(6 * n + 2), bytes.data(), n);
  } else if (form == Form::json) {
    out = output.room(n);
    if (n) std::memcpy(out, bytes.data(), n);
    out += n;
  } else {
    out = put_base64(output.room(4 * ((n + 2) / 3) + 2), reinterpret_cast<const uint8_t*>(bytes.data()), n);
  }
  output.advance(out);
}

char* put_fixed(char* out, const Spec& spec, const Column& column, int scale, int64_t i) {
  switch (spec.form) {
    case Form::boolean: {
      bool value = column.boolean(i);
      size_t n = value ? 4 : 5;
      return static_cast<char*>(std::memcpy(out, value ? "true" : "false", n)) + n;
    }
    case Form::int16: return std::to_chars(out, out + FIXED, column.value<int16_t>(i)).ptr;
    case Form::int32: return std::to_chars(out, out + FIXED, column.value<int32_t>(i)).ptr;
    case Form::int64: return std::to_chars(out, out + FIXED, column.value<int64_t>(i)).ptr;
    case Form::real: return put_float(out, column.value<float>(i));
    case Form::double_: return put_float(out, column.value<double>(i));
    case Form::decimal: return put_decimal(out, column.value<__int128>(i), scale, spec.trims);
    case Form::date:
      *out++ = '"';
      out = put_date(out, column.value<int32_t>(i));
      *out++ = '"';
      return out;
    case Form::interval:
      *out++ = '"';
      out = headwater::text::format_interval(column.value<headwater::Interval>(i), out);
      *out++ = '"';
      return out;
    case Form::time:
      *out++ = '"';
      out = headwater::text::format_time(column.value<int64_t>(i), out);
      *out++ = '"';
      return out;
    case Form::uuid:
      *out++ = '"';
      out = headwater::text::format_uuid(column.value<headwater::text::Uuid>(i), out);
      *out++ = '"';
      return out;
    default: return put_timestamp(out, column.value<int64_t>(i), spec.form == Form::timestamptz);
  }
}

// A column beside its spec. scale: of a decimal.
struct Printed {
  Spec spec;
  Column column;
  int scale;
};

void put_value(Output& output, const Spec& spec, const Column& column, int scale, int64_t row) {
  char* out = output.room(spec.prefix.size() + FIXED);
  std::memcpy(out, spec.prefix.data(), spec.prefix.size());
  out += spec.prefix.size();
  if (!column.valid(row)) {
    output.advance(static_cast<char*>(std::memcpy(out, "null", 4)) + 4);
  } else if (spec.form >= Form::text) {
    output.advance(out);
    put_variable(output, spec.form, column.bytes(row));
  } else {
    output.advance(put_fixed(out, spec, column, scale, row));
  }
}

void put_char(Output& output, char c) {
  char* out = output.room(1);
  *out++ = c;
  output.advance(out);
}

void put_row(Output& output, const std::vector<Printed>& columns, int64_t row) {
  for (const auto& [spec, column, scale] : columns) put_value(output, spec, column, scale, row);
  put_char(output, '}');
}

// The Arrow layout that a form reads: refuse another one rather than read past its buffers.
bool fits(Form form, const Column& column) {
  if (form == Form::boolean) return column.format.layout == Layout::boolean;
  if (form >= Form::text) return column.format.layout == Layout::bytes;
  if (column.format.layout != Layout::fixed) return false;
  switch (form) {
    case Form::int16: return column.format.width == 2;
    case Form::int32: case Form::real: case Form::date: return column.format.width == 4;
    case Form::decimal: return column.format.width == 16 && column.format.scale() >= 0 && column.format.scale() <= 38;
    case Form::uuid: return column.format.width == 16 && column.format.meaning == headwater::arrow::Meaning::bytes;
    case Form::interval: return column.format.meaning == headwater::arrow::Meaning::interval;
    default: return column.format.width == 8;
  }
}

template <typename T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> own(T* data, size_t n) {
  nb::capsule owner(data, [](void* p) noexcept { std::free(p); });
  return {data, {n}, owner};
}

// The offsets and the bytes of a large_binary array with one object for each row.
nb::tuple encode_rows(nb::list arrays, const std::vector<Spec>& specs) {
  if (arrays.size() != specs.size() || specs.empty()) throw std::invalid_argument("give one spec for each column");
  std::vector<Printed> columns;
  // Enough for most relations, so that the output is seldom moved; what is not used costs address space only.
  size_t size = 0;
  auto read = headwater::arrow::read_columns(arrays);
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!fits(specs[i].form, read[i]))
      throw std::invalid_argument("column " + std::to_string(i) + " of arrow format '" + read[i].format.text +
                                  "' does not fit its form");
    columns.push_back({specs[i], read[i], read[i].format.scale()});
    size += static_cast<size_t>(read[i].length) * (specs[i].prefix.size() + 24);
    if (read[i].format.layout == Layout::bytes) size += static_cast<size_t>(read[i].size());
  }
  int64_t rows = read[0].length;
  auto* offsets = static_cast<int64_t*>(std::malloc((static_cast<size_t>(rows) + 1) * sizeof(int64_t)));
  if (!offsets) throw std::bad_alloc();
  nb::object first = nb::cast(own(offsets, static_cast<size_t>(rows) + 1));
  Output output(size + 2 * static_cast<size_t>(rows));
  {
    nb::gil_scoped_release release;
    for (int64_t row = 0; row < rows; ++row) {
      offsets[row] = static_cast<int64_t>(output.size());
      put_row(output, columns, row);
    }
    offsets[rows] = static_cast<int64_t>(output.size());
  }
  size = output.size();
  return nb::make_tuple(first, own(reinterpret_cast<uint8_t*>(output.release()), size));
}

// The rows of one key, all their columns, with commas between them. They are few: the interpreter lock stays.
nb::bytes encode_found(const headwater::rows::Found& found, const std::vector<Spec>& specs) {
  Output output(256);
  for (size_t row = 0; row < found.refs.size(); ++row) {
    if ((*found.runs)[found.refs[row].source]->columns.size() != specs.size())
      throw std::invalid_argument("give one spec for each column");
    if (row) put_char(output, ',');
    for (size_t c = 0; c < specs.size(); ++c) {
      const Column& column = found.column(row, static_cast<int64_t>(c));
      if (!fits(specs[c].form, column))
        throw std::invalid_argument("column " + std::to_string(c) + " of arrow format '" + column.format.text +
                                    "' does not fit its form");
      put_value(output, specs[c], column, column.format.scale(), found.refs[row].row);
    }
    put_char(output, '}');
  }
  size_t size = output.size();
  return nb::bytes(output.room(0) - size, size);
}

Spec make_spec(nb::bytes prefix, int form, bool trims) {
  if (form < 0 || form > static_cast<int>(Form::base64)) throw std::invalid_argument("no such form");
  return {std::string(prefix.c_str(), prefix.size()), static_cast<Form>(form), trims};
}

}  // namespace

NB_MODULE(_json, m) {
  nb::class_<Spec>(m, "Spec").def(
      "__init__", [](Spec* self, nb::bytes prefix, int form, bool trims) {
        new (self) Spec(make_spec(prefix, form, trims));
      }, nb::arg("prefix"), nb::arg("form"), nb::arg("trims"));
  m.def("encode_rows", &encode_rows, nb::arg("columns"), nb::arg("specs"));
  m.def("encode_found", &encode_found, nb::arg("found"), nb::arg("specs"));
}
