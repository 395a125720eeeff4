// Casts: between numbers, between dates and timestamps, from text and from jsonb, and to text.
#include <cmath>

#include "dataflow/kernels/decimal.h"
#include "dataflow/kernels/scalars.h"
#include "dataflow/kernels/text.h"

namespace headwater::scalars {
namespace {

using arrow::Meaning;
using text::Status;

constexpr const char* kDecimalOverflow = "numeric field overflow";

// The order is the contract with dataflow/scalars.py.
enum class Kind {
  boolean, smallint, integer, bigint, numeric, real, double_precision, text, date, timestamp, timestamptz, jsonb, bytea
};

Kind to_kind(int code) {
  if (code < 0 || code > static_cast<int>(Kind::bytea)) throw std::invalid_argument("unknown kind of type");
  return static_cast<Kind>(code);
}

constexpr const char* kNames[] = {"boolean", "smallint", "integer", "bigint", "numeric", "real", "double precision",
                                  "text", "date", "timestamp", "timestamp with time zone", "json", "bytea"};
constexpr const char* kFormats[] = {"b", "s", "i", "l", "", "f", "g", "U", "tdD", "tsu:", "tsu:UTC", "U", "Z"};

template <class T>
constexpr const char* integer_range() {
  if (sizeof(T) == 2) return "smallint out of range";
  return sizeof(T) == 4 ? "integer out of range" : "bigint out of range";
}

template <class T, class V>
const char* narrow(V value, T& out) {
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) return integer_range<T>();
  out = static_cast<T>(value);
  return nullptr;
}

// Half to even, as PostgreSQL's rint does. 2^63 itself is not a bigint; the bounds are exact as doubles.
template <class T>
const char* from_float(double value, T& out) {
  value = std::rint(value);
  const double bound = std::ldexp(1.0, sizeof(T) * 8 - 1);
  if (!(value >= -bound && value < bound)) return integer_range<T>();
  out = static_cast<T>(value);
  return nullptr;
}

template <class T>
Outcome to_integer(nb::handle values, int64_t rows, const char* format) {
  const arrow::Format from = arrow::read_column(values).format;
  const Arg a = read_arg(values, rows, from.layout == arrow::Layout::boolean ? -2 : from.width);
  if (from.meaning == Meaning::boolean)
    return unary<T, bool>(a, rows, format, [](bool x, T& out) -> const char* { return out = x, nullptr; });
  if (from.text == "s") return unary<T, int16_t>(a, rows, format, narrow<T, int16_t>);
  if (from.text == "i") return unary<T, int32_t>(a, rows, format, narrow<T, int32_t>);
  if (from.text == "l") return unary<T, int64_t>(a, rows, format, narrow<T, int64_t>);
  if (from.text == "f") return unary<T, float>(a, rows, format, [](float x, T& out) { return from_float<T>(x, out); });
  if (from.text == "g") return unary<T, double>(a, rows, format, [](double x, T& out) { return from_float<T>(x, out); });
  if (from.meaning == Meaning::decimal) {
    const int scale = from.scale();
    return unary<T, Decimal>(a, rows, format,
                             [=](Decimal x, T& out) { return narrow<T, Decimal>(text::round_away(x, scale), out); });
  }
  throw std::invalid_argument("no cast from arrow format '" + from.text + "' to integers");
}

const char* fit(Status status, Decimal value, int precision) {
  return status == Status::ok && text::fits(value, precision) ? nullptr : kDecimalOverflow;
}

// PostgreSQL goes through the shortest decimal text with the digits that the float surely has: 15, or 6 for real.
const char* decimal_from_float(double value, int digits, int precision, int scale, Decimal& out) {
  if (std::isnan(value)) return "cannot convert NaN to numeric";
  if (std::isinf(value)) return "cannot convert infinity to numeric";
  char shown[64];
  const char* end = std::to_chars(shown, shown + sizeof(shown), value, std::chars_format::scientific, digits - 1).ptr;
  const Status status = text::parse_decimal({shown, static_cast<size_t>(end - shown)}, scale, out);
  return fit(status, out, precision);
}

Outcome to_decimal(nb::handle values, int64_t rows, int precision, int scale) {
  const arrow::Format from = arrow::read_column(values).format;
  const Arg a = read_arg(values, rows, from.width);
  const std::string format = decimal_format(scale);
  auto integer = [=](auto x, Decimal& out) {
    const Status status = text::rescale(x, 0, scale, out);
    return fit(status, out, precision);
  };
  if (from.text == "s") return unary<Decimal, int16_t>(a, rows, format.c_str(), integer);
  if (from.text == "i") return unary<Decimal, int32_t>(a, rows, format.c_str(), integer);
  if (from.text == "l") return unary<Decimal, int64_t>(a, rows, format.c_str(), integer);
  if (from.text == "f")
    return unary<Decimal, float>(
        a, rows, format.c_str(), [=](float x, Decimal& out) { return decimal_from_float(x, 6, precision, scale, out); });
  if (from.text == "g")
    return unary<Decimal, double>(
        a, rows, format.c_str(), [=](double x, Decimal& out) { return decimal_from_float(x, 15, precision, scale, out); });
  if (from.meaning == Meaning::decimal) {
    const int before = from.scale();
    return unary<Decimal, Decimal>(a, rows, format.c_str(), [=](Decimal x, Decimal& out) {
      const Status status = text::rescale(x, before, scale, out);
      return fit(status, out, precision);
    });
  }
  throw std::invalid_argument("no cast from arrow format '" + from.text + "' to numeric");
}

template <class T>
const char* float_from_decimal(Decimal value, int scale, T& out) {
  // Both exact in a double, so that the one division rounds once; everything else goes through the digits.
  constexpr Decimal exact = Decimal{1} << 53;
  if constexpr (sizeof(T) == 8) {
    if (value > -exact && value < exact && scale <= 22) {
      out = static_cast<T>(static_cast<double>(value) / static_cast<double>(text::power_of_ten(scale)));
      return nullptr;
    }
  }
  char shown[text::kDecimalChars];
  const char* end = text::format_decimal(value, scale, true, shown);
  return text::parse_float<T>({shown, static_cast<size_t>(end - shown)}, out) == Status::ok ? nullptr
                                                                                          : "value out of range: overflow";
}

template <class T>
Outcome to_float(nb::handle values, int64_t rows, const char* format) {
  const arrow::Format from = arrow::read_column(values).format;
  const Arg a = read_arg(values, rows, from.width);
  auto plain = [](auto x, T& out) -> const char* { return out = static_cast<T>(x), nullptr; };
  if (from.text == "s") return unary<T, int16_t>(a, rows, format, plain);
  if (from.text == "i") return unary<T, int32_t>(a, rows, format, plain);
  if (from.text == "l") return unary<T, int64_t>(a, rows, format, plain);
  if (from.text == "f") return unary<T, float>(a, rows, format, plain);
  if (from.text == "g")
    return unary<T, double>(a, rows, format, [](double x, T& out) -> const char* {
      out = static_cast<T>(x);
      if (std::isinf(out) && !std::isinf(x)) return "value out of range: overflow";
      return out == 0 && x != 0 ? "value out of range: underflow" : nullptr;
    });
  if (from.meaning == Meaning::decimal) {
    const int scale = from.scale();
    return unary<T, Decimal>(a, rows, format, [=](Decimal x, T& out) { return float_from_decimal<T>(x, scale, out); });
  }
  throw std::invalid_argument("no cast from arrow format '" + from.text + "' to floats");
}

nb::tuple cast_number(nb::handle values, int64_t rows, int code, int precision, int scale) {
  const Kind kind = to_kind(code);
  const char* format = kFormats[code];
  switch (kind) {
    case Kind::smallint: return give(to_integer<int16_t>(values, rows, format));
    case Kind::integer: return give(to_integer<int32_t>(values, rows, format));
    case Kind::bigint: return give(to_integer<int64_t>(values, rows, format));
    case Kind::real: return give(to_float<float>(values, rows, format));
    case Kind::double_precision: return give(to_float<double>(values, rows, format));
    case Kind::numeric:
      if (scale < 0 || scale > 38 || precision < 0 || precision > 38) throw std::invalid_argument("numeric out of bounds");
      return give(to_decimal(values, rows, precision, scale));
    default: throw std::invalid_argument("cast_number makes numbers only");
  }
}

nb::tuple cast_time(nb::handle values, int64_t rows, int code) {
  const std::string from = arrow::read_column(values).format.text;
  const Kind kind = to_kind(code);
  if (from == "tdD" && (kind == Kind::timestamp || kind == Kind::timestamptz))
    return give(unary<int64_t, int32_t>(
        read_arg(values, rows, 4), rows, kFormats[code], [](int32_t days, int64_t& out) -> const char* {
          if (days >= text::kLastTimestampDay || days < text::kFirstDay) return "date out of range for timestamp";
          out = days * text::kMicrosPerDay;
          return nullptr;
        }));
  if (from.substr(0, 3) == "tsu" && kind == Kind::date)
    return give(unary<int32_t, int64_t>(
        read_arg(values, rows, 8), rows, "tdD", [](int64_t micros, int32_t& out) -> const char* {
          out = static_cast<int32_t>(text::floor_div(micros, text::kMicrosPerDay));
          return nullptr;
        }));
  throw std::invalid_argument("no cast from arrow format '" + from + "' to " + kNames[code]);
}

// From text --------------------------------------------------------------------------------------------------------

std::string quoted(std::string_view value) {
  std::string out(1, '"');
  out.append(value).append(1, '"');
  return out;
}

std::string input_error(Kind kind, Status status, std::string_view value) {
  const std::string name = kNames[static_cast<int>(kind)];
  if (kind == Kind::jsonb) {
    if (status == Status::unsupported) return "unsupported Unicode escape sequence";
    return status == Status::range ? "json value is nested too deeply or has a number that is too long"
                                   : "invalid input syntax for type json";
  }
  if (status == Status::unsupported) return "numeric " + quoted(value) + " is not supported: only finite numbers are";
  if (status == Status::syntax) return "invalid input syntax for type " + name + ": " + quoted(value);
  switch (kind) {
    case Kind::numeric: return kDecimalOverflow;
    case Kind::real:
    case Kind::double_precision: return quoted(value) + " is out of range for type " + name;
    case Kind::date:
    case Kind::timestamp:
    case Kind::timestamptz: return "date/time field value out of range: " + quoted(value);
    default: return "value " + quoted(value) + " is out of range for type " + name;
  }
}

// parse(text, T& out) -> Status for each row.
template <class T, class F>
Outcome parse_all(const Arg& a, int64_t rows, Kind kind, const char* format, F&& parse) {
  Unlocked unlocked(rows);
  Output<T> out(rows);
  Errors errors;
  for (int64_t i = 0; i < rows; ++i) {
    if (!a.valid(i)) {
      out.set_null(i);
      continue;
    }
    T value{};
    if (const Status status = parse(a.bytes(i), value); status == Status::ok) {
      out.set(i, value);
    } else {
      errors.add(i, input_error(kind, status, a.bytes(i)));
      out.set_null(i);
    }
  }
  return {out.finish(format), errors.finish(rows)};
}

template <class T>
Outcome parse_integers(const Arg& a, int64_t rows, Kind kind) {
  return parse_all<T>(a, rows, kind, kFormats[static_cast<int>(kind)], [](std::string_view text, T& out) {
    int64_t value = 0;
    const Status status = text::parse_integer(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), value);
    out = static_cast<T>(value);
    return status;
  });
}

Outcome parse_json(const Arg& a, int64_t rows) {
  Unlocked unlocked(rows);
  Builder out("U");
  Errors errors;
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    made.clear();
    Status status = a.valid(i) ? text::canonical_json(a.bytes(i), text::Duplicates::last, made) : Status::ok;
    if (a.valid(i) && status == Status::ok) {
      out.append_bytes(made);
      continue;
    }
    if (status != Status::ok) errors.add(i, input_error(Kind::jsonb, status, a.bytes(i)));
    out.append_null();
  }
  return {out.finish(), errors.finish(rows)};
}

int hex_digit(char c) {
  if (text::is_digit(c)) return c - '0';
  c = text::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Hexadecimal (\x0aFF, blanks between bytes allowed) or escaped (\\ and \ooo); the message of the first mistake.
std::string parse_bytea(std::string_view from, std::string& out) {
  if (from.substr(0, 2) == "\\x") {
    for (size_t i = 2; i < from.size(); i += 2) {
      while (i < from.size() && (from[i] == ' ' || from[i] == '\n' || from[i] == '\t' || from[i] == '\r')) ++i;
      if (i == from.size()) break;
      if (hex_digit(from[i]) < 0) return "invalid hexadecimal digit: " + quoted(from.substr(i, 1));
      if (i + 1 == from.size()) return "invalid hexadecimal data: odd number of digits";
      if (hex_digit(from[i + 1]) < 0) return "invalid hexadecimal digit: " + quoted(from.substr(i + 1, 1));
      out += static_cast<char>(hex_digit(from[i]) * 16 + hex_digit(from[i + 1]));
    }
    return "";
  }
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != '\\') {
      out += from[i];
    } else if (i + 1 < from.size() && from[i + 1] == '\\') {
      out += from[++i];
    } else {
      const std::string_view octal = from.substr(i + 1, 3);
      if (octal.size() < 3 || octal[0] < '0' || octal[0] > '3' || octal[1] < '0' || octal[1] > '7' || octal[2] < '0' ||
          octal[2] > '7')
        return "invalid input syntax for type bytea";
      out += static_cast<char>((octal[0] - '0') * 64 + (octal[1] - '0') * 8 + octal[2] - '0');
      i += 3;
    }
  }
  return "";
}

Outcome parse_byteas(const Arg& a, int64_t rows) {
  Unlocked unlocked(rows);
  Builder out("Z");
  Errors errors;
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    made.clear();
    const std::string message = a.valid(i) ? parse_bytea(a.bytes(i), made) : "";
    if (!message.empty()) errors.add(i, message);
    if (a.valid(i) && message.empty())
      out.append_bytes(made);
    else
      out.append_null();
  }
  return {out.finish(), errors.finish(rows)};
}

nb::tuple parse(nb::handle values, int64_t rows, int code, int precision, int scale) {
  const Kind kind = to_kind(code);
  const Arg a = read_arg(values, rows, -1);
  if (scale < 0 || scale > 38 || precision < 0 || precision > 38) throw std::invalid_argument("numeric out of bounds");
  switch (kind) {
    case Kind::boolean: return give(parse_all<bool>(a, rows, kind, "b", text::parse_bool));
    case Kind::smallint: return give(parse_integers<int16_t>(a, rows, kind));
    case Kind::integer: return give(parse_integers<int32_t>(a, rows, kind));
    case Kind::bigint: return give(parse_integers<int64_t>(a, rows, kind));
    case Kind::real: return give(parse_all<float>(a, rows, kind, "f", text::parse_float<float>));
    case Kind::double_precision: return give(parse_all<double>(a, rows, kind, "g", text::parse_float<double>));
    case Kind::date: return give(parse_all<int32_t>(a, rows, kind, "tdD", text::parse_date));
    case Kind::timestamp:
    case Kind::timestamptz:
      return give(parse_all<int64_t>(a, rows, kind, kFormats[code], [=](std::string_view text, int64_t& out) {
        return text::parse_timestamp(text, kind == Kind::timestamptz, out);
      }));
    case Kind::numeric:
      return give(parse_all<Decimal>(a, rows, kind, decimal_format(scale).c_str(), [=](std::string_view text, Decimal& out) {
        const Status status = text::parse_decimal(text, scale, out);
        return status == Status::ok && !text::fits(out, precision) ? Status::range : status;
      }));
    case Kind::jsonb: return give(parse_json(a, rows));
    case Kind::bytea: return give(parse_byteas(a, rows));
    case Kind::text: break;
  }
  throw std::invalid_argument("text is not parsed");
}

// To text ----------------------------------------------------------------------------------------------------------

// format(i, char* to) -> end, at most 64 characters.
template <class F>
Column format_all(const Arg& a, int64_t rows, F&& format) {
  Unlocked unlocked(rows);
  Builder out("U");
  out.reserve(rows, rows * 12);
  char shown[64];
  for (int64_t i = 0; i < rows; ++i) {
    if (a.valid(i))
      out.append_bytes({shown, static_cast<size_t>(format(i, shown) - shown)});
    else
      out.append_null();
  }
  return out.finish();
}

Column format_bytea(const Arg& a, int64_t rows) {
  Unlocked unlocked(rows);
  Builder out("U");
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    if (!a.valid(i)) {
      out.append_null();
      continue;
    }
    made = "\\x";
    for (const char c : a.bytes(i)) {
      made += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
      made += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
    out.append_bytes(made);
  }
  return out.finish();
}

// short_boolean: t and f, as concat prints them, instead of true and false.
nb::tuple format(nb::handle values, int64_t rows, int code, bool trims, bool short_boolean) {
  const Kind kind = to_kind(code);
  const Arg a = read_arg(values, rows, kind == Kind::boolean ? -2 : kind == Kind::bytea ? -1 : 0);
  auto give_text = [](Column column) { return arrow::write_column(column); };
  const int width = a.column.format.width;
  auto need = [&](int expected) {
    if (width != expected) throw std::invalid_argument(std::string("not a column of ") + kNames[code]);
  };
  switch (kind) {
    case Kind::boolean:
      return give_text(format_all(a, rows, [&](int64_t i, char* to) {
        const std::string_view word = a.boolean(i) ? (short_boolean ? "t" : "true") : (short_boolean ? "f" : "false");
        return static_cast<char*>(std::memcpy(to, word.data(), word.size())) + word.size();
      }));
    case Kind::smallint:
      need(2);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_integer(a.get<int16_t>(i), to); }));
    case Kind::integer:
      need(4);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_integer(a.get<int32_t>(i), to); }));
    case Kind::bigint:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_integer(a.get<int64_t>(i), to); }));
    case Kind::real:
      need(4);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_float(a.get<float>(i), to); }));
    case Kind::double_precision:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_float(a.get<double>(i), to); }));
    case Kind::numeric: {
      need(16);
      const int scale = a.column.format.scale();
      return give_text(format_all(
          a, rows, [&](int64_t i, char* to) { return text::format_decimal(a.get<Decimal>(i), scale, trims, to); }));
    }
    case Kind::date:
      need(4);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_date(a.get<int32_t>(i), to); }));
    case Kind::timestamp:
    case Kind::timestamptz:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) {
        return text::format_timestamp(a.get<int64_t>(i), ' ', kind == Kind::timestamptz ? "+00" : "", to);
      }));
    case Kind::bytea: return give_text(format_bytea(a, rows));
    default: throw std::invalid_argument("text and jsonb are text already");
  }
}

}  // namespace

void add_casts(nb::module_& m) {
  m.def("cast_number", &cast_number);
  m.def("cast_time", &cast_time);
  m.def("parse", &parse);
  m.def("format", &format);
}

}  // namespace headwater::scalars
