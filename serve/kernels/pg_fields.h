// Values as the PostgreSQL wire has them: text in PostgreSQL's spelling, binary in network order.
//
// Always true: nothing is written beyond the bytes that `most_bytes` and `text_bytes` promise; a column whose layout is not what its
// form reads is refused by `fits`. Deliberately unknown: which columns make a row, SQL types (the caller has a Form), sockets.
#pragma once

#include "dataflow/kernels/column.h"
#include "dataflow/scalars/kernels/text.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace headwater::pg {

using headwater::arrow::Column;
using headwater::arrow::Layout;

// How a column's values are written. The numbers are the contract with serve/pg/rows.py.
enum class Form : int {
  bytes = 0, boolean, int16, int32, int64, real, double_, numeric, date, timestamp, jsonb, interval, uuid,
  text_boolean, text_int16, text_int32, text_int64, text_real, text_double, text_numeric, text_date, text_timestamp,
  text_timestamptz, text_interval, text_uuid, text_time, text_bytea, array,
};
constexpr int FORMS = static_cast<int>(Form::array) + 1;

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
inline char* put_numeric(char* out, __int128 value, int scale, bool trims) {
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

// The way in which a column is written. trims: leave out zeros at the end of a numeric's fraction.
struct Style {
  Form form;
  bool trims;
  int scale = 0;  // of a numeric
};

inline Style make_style(std::pair<int, bool> style) {
  if (style.first < 0 || style.first >= FORMS) throw std::invalid_argument("no such form");
  return {static_cast<Form>(style.first), style.second, 0};
}

// The Arrow layout that a form reads: refuse another one rather than read past its buffers.
inline bool fits(Form form, const headwater::arrow::Format& format) {
  switch (form) {
    case Form::boolean: case Form::text_boolean: return format.layout == Layout::boolean;
    case Form::bytes: case Form::jsonb: case Form::text_bytea: case Form::array: return format.layout == Layout::bytes;
    default: break;
  }
  if (format.layout != Layout::fixed) return false;
  switch (form) {
    case Form::int16: case Form::text_int16: return format.width == 2;
    case Form::int32: case Form::text_int32: case Form::real: case Form::text_real: case Form::date: case Form::text_date:
      return format.width == 4;
    case Form::interval: case Form::uuid: case Form::text_interval: case Form::text_uuid: return format.width == 16;
    case Form::numeric: case Form::text_numeric: return format.width == 16 && format.scale() >= 0 && format.scale() <= 38;
    default: return format.width == 8;
  }
}

// Bytes that one value takes at most, with its length; of a form without a width of its own those beside what `text_bytes` says.
inline size_t most_bytes(Form form) {
  switch (form) {
    case Form::bytes: case Form::jsonb: case Form::text_bytea: case Form::array: return 7;
    case Form::text_interval: return 4 + headwater::text::kIntervalChars;
    case Form::text_numeric: case Form::text_timestamp: case Form::text_timestamptz:
      return 4 + std::max(headwater::text::kDecimalChars, headwater::text::kTimestampChars);
    default: return 4 + 36;  // a numeric has 32 bytes, a UUID's text 36
  }
}

// Bytes that text or bytes of this length take.
inline size_t text_bytes(Form form, size_t size) { return form == Form::text_bytea ? 2 * size : size; }

inline bool variable(Form form) { return form == Form::bytes || form == Form::jsonb || form == Form::text_bytea || form == Form::array; }

// One value of fixed width, without its length.
inline char* put_fixed(char* out, Style style, const Column& column, int64_t row) {
  namespace text = headwater::text;
  switch (style.form) {
    case Form::boolean: *out = column.boolean(row) ? 1 : 0; return out + 1;
    case Form::int16: return put(out, column.value<int16_t>(row));
    case Form::int32: case Form::real: return put(out, column.value<int32_t>(row));
    case Form::numeric: return put_numeric(out, column.value<__int128>(row), style.scale, style.trims);
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
    case Form::text_int16: return text::format_integer(column.value<int16_t>(row), out);
    case Form::text_int32: return text::format_integer(column.value<int32_t>(row), out);
    case Form::text_int64: return text::format_integer(column.value<int64_t>(row), out);
    case Form::text_real: return text::format_float(column.value<float>(row), out);
    case Form::text_double: return text::format_float(column.value<double>(row), out);
    case Form::text_numeric: return text::format_decimal(column.value<__int128>(row), style.scale, style.trims, out);
    case Form::text_date: return text::format_date(column.value<int32_t>(row), out);
    case Form::text_timestamp: return text::format_timestamp(column.value<int64_t>(row), ' ', "", out);
    case Form::text_timestamptz: return text::format_timestamp(column.value<int64_t>(row), ' ', "+00", out);
    case Form::text_interval: return text::format_interval(column.value<headwater::Interval>(row), out);
    case Form::text_uuid: return text::format_uuid(column.value<text::Uuid>(row), out);
    case Form::text_time: return text::format_time(column.value<int64_t>(row), out);
    default: return put(out, column.value<int64_t>(row));
  }
}

// \x and two digits for each byte.
inline char* put_hex(char* out, std::string_view bytes) {
  *out++ = '\\', *out++ = 'x';
  for (unsigned char byte : bytes) *out++ = "0123456789abcdef"[byte >> 4], *out++ = "0123456789abcdef"[byte & 15];
  return out;
}

// A value with its length, -1 for NULL. Needs the room that `most_bytes` and `text_bytes` say.
inline char* put_field(char* out, Style style, const Column& column, int64_t row) {
  if (!column.valid(row)) return put(out, int32_t{-1});
  char* value = out + 4;
  char* end = value;
  if (!variable(style.form)) {
    end = put_fixed(value, style, column, row);
  } else if (std::string_view bytes = column.bytes(row); style.form == Form::text_bytea) {
    end = put_hex(value, bytes);
  } else {
    if (style.form == Form::jsonb) *end++ = 1;  // jsonb's version
    if (!bytes.empty()) std::memcpy(end, bytes.data(), bytes.size());
    end += bytes.size();
  }
  put(out, static_cast<int32_t>(end - value));
  return end;
}

// The length of a message that began at `start`, without its type byte; written into it.
inline void close_message(char* start, char* end) {
  auto length = static_cast<size_t>(end - start - 1);
  if (length > LONGEST_MESSAGE)
    throw std::length_error("a row of " + std::to_string(length) + " bytes is longer than a message may be, 1 GiB");
  put(start + 1, static_cast<int32_t>(length));
}

}  // namespace headwater::pg
