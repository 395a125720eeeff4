// Casts between numbers, and between dates and timestamps.
#include <cmath>

#include "dataflow/scalars/kernels/decimal.h"
#include "dataflow/scalars/kernels/kind.h"
#include "dataflow/scalars/kernels/text.h"

namespace headwater::scalars {
namespace {

using arrow::Meaning;
using text::Status;

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
  if (from.substr(0, 3) == "tsu" && kind == Kind::time)
    return give(unary<int64_t, int64_t>(read_arg(values, rows, 8), rows, "tDu", [](int64_t micros, int64_t& out) -> const char* {
      out = micros - text::floor_div(micros, text::kMicrosPerDay) * text::kMicrosPerDay;
      return nullptr;
    }));
  if (from == "tin" && kind == Kind::time)
    return give(unary<int64_t, Interval>(
        read_arg(values, rows, 16), rows, "tDu", [](const Interval& v, int64_t& out) -> const char* {
          out = v.micros - text::floor_div(v.micros, text::kMicrosPerDay) * text::kMicrosPerDay;
          return nullptr;
        }));
  if (from == "tDu" && kind == Kind::interval)
    return give(unary<Interval, int64_t>(read_arg(values, rows, 8), rows, "tin", [](int64_t micros, Interval& out) -> const char* {
      out = {0, 0, micros};
      return nullptr;
    }));
  throw std::invalid_argument("no cast from arrow format '" + from + "' to " + kNames[code]);
}

}  // namespace

void add_casts(nb::module_& m) {
  m.def("cast_number", &cast_number);
  m.def("cast_time", &cast_time);
}

}  // namespace headwater::scalars
