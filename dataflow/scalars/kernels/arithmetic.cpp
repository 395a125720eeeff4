// Arithmetic of integers, floats and decimals with PostgreSQL's row errors.
#include <cmath>

#include "dataflow/scalars/kernels/decimal.h"
#include "dataflow/scalars/kernels/scalars.h"

namespace headwater::scalars {
namespace {

constexpr const char* kZero = "division by zero";
constexpr const char* kOverflow = "value out of range: overflow";
constexpr const char* kUnderflow = "value out of range: underflow";
constexpr const char* kDecimalOverflow = "numeric field overflow";

enum class Operator { add, subtract, multiply, divide, modulo };

Operator to_operator(int op) {
  if (op < 0 || op > static_cast<int>(Operator::modulo)) throw std::invalid_argument("unknown arithmetic operator");
  return static_cast<Operator>(op);
}

template <class T>
constexpr const char* range_message() {
  if (sizeof(T) == 2) return "smallint out of range";
  return sizeof(T) == 4 ? "integer out of range" : "bigint out of range";
}

template <class T>
const char* integer_apply(Operator op, T a, T b, T& out) {
  switch (op) {
    case Operator::add: return __builtin_add_overflow(a, b, &out) ? range_message<T>() : nullptr;
    case Operator::subtract: return __builtin_sub_overflow(a, b, &out) ? range_message<T>() : nullptr;
    case Operator::multiply: return __builtin_mul_overflow(a, b, &out) ? range_message<T>() : nullptr;
    case Operator::divide:
      if (b == 0) return kZero;
      // The one quotient that does not fit; the processor would trap.
      if (b == -1) return __builtin_sub_overflow(T{0}, a, &out) ? range_message<T>() : nullptr;
      out = static_cast<T>(a / b);
      return nullptr;
    case Operator::modulo:
      if (b == 0) return kZero;
      out = b == -1 ? T{0} : static_cast<T>(a % b);
      return nullptr;
  }
  return nullptr;
}

template <class T>
Outcome integers(Operator op, nb::handle left, nb::handle right, int64_t rows) {
  const Arg a = read_arg(left, rows, sizeof(T)), b = read_arg(right, rows, sizeof(T));
  auto with = [&](auto fixed) {
    return binary<T, T, T>(a, b, rows, a.column.format.text.c_str(), [](T x, T y, T& out) {
      return integer_apply<T>(decltype(fixed)::value, x, y, out);
    });
  };
  switch (op) {
    case Operator::add: return with(std::integral_constant<Operator, Operator::add>{});
    case Operator::subtract: return with(std::integral_constant<Operator, Operator::subtract>{});
    case Operator::multiply: return with(std::integral_constant<Operator, Operator::multiply>{});
    case Operator::divide: return with(std::integral_constant<Operator, Operator::divide>{});
    default: return with(std::integral_constant<Operator, Operator::modulo>{});
  }
}

template <class T>
const char* float_apply(Operator op, T a, T b, T& out) {
  switch (op) {
    case Operator::add: out = a + b; break;
    case Operator::subtract: out = a - b; break;
    case Operator::multiply: out = a * b; break;
    default:
      if (b == 0 && a == a) return kZero;
      out = a / b;
  }
  if (std::isinf(out) && !std::isinf(a) && !std::isinf(b)) return kOverflow;
  if (out == 0 && op == Operator::multiply && a != 0 && b != 0) return kUnderflow;
  if (out == 0 && op == Operator::divide && a != 0 && !std::isinf(b)) return kUnderflow;
  return nullptr;
}

template <class T>
Outcome floats(Operator op, nb::handle left, nb::handle right, int64_t rows) {
  const Arg a = read_arg(left, rows, sizeof(T)), b = read_arg(right, rows, sizeof(T));
  return binary<T, T, T>(a, b, rows, a.column.format.text.c_str(),
                         [=](T x, T y, T& out) { return float_apply<T>(op, x, y, out); });
}

nb::tuple arithmetic(int code, nb::handle a, nb::handle b, int64_t rows) {
  const Operator op = to_operator(code);
  const std::string format = arrow::read_column(a).format.text;
  if (format == "s") return give(integers<int16_t>(op, a, b, rows));
  if (format == "i") return give(integers<int32_t>(op, a, b, rows));
  if (format == "l") return give(integers<int64_t>(op, a, b, rows));
  if (format == "f") return give(floats<float>(op, a, b, rows));
  if (format == "g") return give(floats<double>(op, a, b, rows));
  throw std::invalid_argument("no arithmetic for arrow format '" + format + "'");
}

// `scale` is that of the result; + - % need the larger of both.
nb::tuple decimal_arithmetic(int code, nb::handle left, nb::handle right, int64_t rows, int scale) {
  const Operator op = to_operator(code);
  const Arg a = read_arg(left, rows, 16), b = read_arg(right, rows, 16);
  const int sa = a.column.format.scale(), sb = b.column.format.scale();
  const int drop = sa + sb - scale, shift = scale + sb - sa;
  if (scale < 0 || scale > text::kDecimalDigits || sa < 0 || sb < 0 || sa > 38 || sb > 38 ||
      (op == Operator::multiply && drop < 0) || (op == Operator::divide && (shift < -38 || shift > 76)) ||
      (op != Operator::multiply && op != Operator::divide && scale != std::max(sa, sb)))
    throw std::invalid_argument("scale " + std::to_string(scale) + " does not fit the operands");
  auto apply = [=](Decimal x, Decimal y, Decimal& out) -> const char* {
    if ((op == Operator::divide || op == Operator::modulo) && y == 0) return kZero;
    bool fits = false;
    switch (op) {
      case Operator::add: fits = decimal::add(x, sa, y, sb, out); break;
      case Operator::subtract: fits = decimal::add(x, sa, -y, sb, out); break;
      case Operator::multiply: fits = decimal::multiply(x, y, drop, out); break;
      case Operator::divide: fits = decimal::divide(x, y, shift, out); break;
      case Operator::modulo: fits = decimal::remainder(x, sa, y, sb, out); break;
    }
    return fits ? nullptr : kDecimalOverflow;
  };
  return give(binary<Decimal, Decimal, Decimal>(a, b, rows, decimal_format(scale).c_str(), apply));
}

enum class Sign { negate, absolute, sign };

template <class T>
Outcome signs(Sign op, nb::handle values, int64_t rows) {
  const Arg a = read_arg(values, rows, sizeof(T));
  return unary<T, T>(a, rows, a.column.format.text.c_str(), [=](T x, T& out) -> const char* {
    if constexpr (std::is_floating_point_v<T>) {
      if (op == Sign::sign)
        out = x > 0 ? T{1} : x < 0 ? T{-1} : T{0};  // NaN has sign 0, as in PostgreSQL
      else
        out = op == Sign::negate ? -x : std::fabs(x);
      return nullptr;
    } else {
      if (op == Sign::sign) {
        out = static_cast<T>((x > 0) - (x < 0));
      } else if (op == Sign::absolute && x >= 0) {
        out = x;
      } else {
        return __builtin_sub_overflow(T{0}, x, &out) ? range_message<T>() : nullptr;
      }
      return nullptr;
    }
  });
}

nb::tuple sign_of(int code, nb::handle values, int64_t rows) {
  if (code < 0 || code > static_cast<int>(Sign::sign)) throw std::invalid_argument("unknown sign operator");
  const Sign op = static_cast<Sign>(code);
  const arrow::Format format = arrow::read_column(values).format;
  if (format.meaning == arrow::Meaning::decimal) {
    // sign() has scale 0: the caller says so by asking for a sign; the others keep the scale.
    const Arg a = read_arg(values, rows, 16);
    const std::string result = op == Sign::sign ? decimal_format(0) : format.text;
    return give(unary<Decimal, Decimal>(a, rows, result.c_str(), [=](Decimal x, Decimal& out) -> const char* {
      out = op == Sign::sign ? Decimal{(x > 0) - (x < 0)} : op == Sign::absolute && x >= 0 ? x : -x;
      return nullptr;
    }));
  }
  if (format.text == "s") return give(signs<int16_t>(op, values, rows));
  if (format.text == "i") return give(signs<int32_t>(op, values, rows));
  if (format.text == "l") return give(signs<int64_t>(op, values, rows));
  if (format.text == "f") return give(signs<float>(op, values, rows));
  if (format.text == "g") return give(signs<double>(op, values, rows));
  throw std::invalid_argument("no sign for arrow format '" + format.text + "'");
}

enum class Round { nearest, truncate, floor, ceiling };

// `value` at scale `from` brought to `digits` digits after the point (negative: before it), at scale `to`.
const char* round_decimal(Round mode, Decimal value, int from, int64_t digits, int to, Decimal& out) {
  const int64_t drop = from - std::clamp<int64_t>(digits, -1000, from);
  if (drop > text::kDecimalDigits) {
    value = mode == Round::floor && value < 0 ? -1 : mode == Round::ceiling && value > 0 ? 1 : 0;
  } else if (drop > 0) {
    const Decimal by = text::power_of_ten(static_cast<int>(drop));
    const Decimal rest = value % by;
    if (mode == Round::nearest)
      value = text::round_away(value, static_cast<int>(drop));
    else
      value = value / by - (mode == Round::floor && rest < 0) + (mode == Round::ceiling && rest > 0);
  }
  // The value now has scale from - drop, which may be negative.
  const int64_t scale = from - drop;
  if (value == 0) {
    out = 0;
    return nullptr;
  }
  if (to < scale || to - scale > text::kDecimalDigits) return kDecimalOverflow;
  return decimal::scale_up(value, static_cast<int>(to - scale), out) ? nullptr : kDecimalOverflow;
}

nb::tuple decimal_round(int code, nb::handle values, nb::handle digits, int64_t rows, int scale) {
  if (code < 0 || code > static_cast<int>(Round::ceiling)) throw std::invalid_argument("unknown rounding");
  const Round mode = static_cast<Round>(code);
  const Arg a = read_arg(values, rows, 16), b = read_arg(digits, rows, 4);
  const int from = a.column.format.scale();
  if (scale < 0 || scale > text::kDecimalDigits) throw std::invalid_argument("scale out of range");
  return give(binary<Decimal, Decimal, int32_t>(
      a, b, rows, decimal_format(scale).c_str(), [=](Decimal x, int32_t n, Decimal& out) -> const char* {
        // A result type with fewer digits than asked for keeps what it has: the rest are zeros or were not in the value.
        return round_decimal(mode, x, from, std::min<int64_t>(n, scale), scale, out);
      }));
}

const char* checked(double out, bool finite_input, bool may_vanish, bool zero_input) {
  if (std::isinf(out) && finite_input) return kOverflow;
  if (out == 0 && may_vanish && !zero_input) return kUnderflow;
  return nullptr;
}

const char* logarithm(double x, double& out, double (*f)(double)) {
  if (x == 0) return "cannot take logarithm of zero";
  if (x < 0) return "cannot take logarithm of a negative number";
  out = f(x);
  return checked(out, std::isfinite(x), false, false);
}

const char* math_apply(int code, double x, double& out) {
  switch (code) {
    case 0: out = std::ceil(x); return nullptr;
    case 1: out = std::floor(x); return nullptr;
    case 2: out = std::rint(x); return nullptr;
    case 3: out = std::trunc(x); return nullptr;
    case 4:
      if (x < 0) return "cannot take square root of a negative number";
      out = std::sqrt(x);
      return nullptr;
    case 5:
      out = std::exp(x);
      return checked(out, std::isfinite(x), std::isfinite(x), false);
    case 6: return logarithm(x, out, std::log);
    default: return logarithm(x, out, std::log10);
  }
}

const char* power(double x, double y, double& out) {
  if (x == 0 && y < 0) return "zero raised to a negative power is undefined";
  if (x < 0 && y == y && std::floor(y) != y) return "a negative number raised to a non-integer power yields a complex result";
  out = std::pow(x, y);
  const bool finite = std::isfinite(x) && std::isfinite(y);
  return checked(out, finite, finite, x == 0);
}

// The distance counts modulo the bits of the register: 64 for bigint, 32 for the others.
template <class T>
Outcome shift(nb::handle values, nb::handle distances, int64_t rows, bool right) {
  using Register = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  constexpr int32_t mask = sizeof(Register) * 8 - 1;
  const Arg a = read_arg(values, rows, sizeof(T)), b = read_arg(distances, rows, 4);
  return binary<T, T, int32_t>(a, b, rows, a.column.format.text.c_str(), [=](T x, int32_t n, T& out) -> const char* {
    const auto bits = static_cast<std::make_unsigned_t<Register>>(static_cast<Register>(x));
    out = static_cast<T>(right ? static_cast<Register>(x) >> (n & mask) : static_cast<Register>(bits << (n & mask)));
    return nullptr;
  });
}

}  // namespace

void add_arithmetic(nb::module_& m) {
  m.def("arithmetic", &arithmetic);
  m.def("decimal_arithmetic", &decimal_arithmetic);
  m.def("sign", &sign_of);
  m.def("decimal_round", &decimal_round);
  m.def("math", [](int code, nb::handle values, int64_t rows) {
    if (code < 0 || code > 7) throw std::invalid_argument("unknown function of a double");
    const Arg a = read_arg(values, rows, 8);
    return give(unary<double, double>(a, rows, "g", [=](double x, double& out) { return math_apply(code, x, out); }));
  });
  m.def("shift", [](nb::handle values, nb::handle distances, int64_t rows, bool right) {
    const std::string format = arrow::read_column(values).format.text;
    if (format == "s") return give(shift<int16_t>(values, distances, rows, right));
    if (format == "i") return give(shift<int32_t>(values, distances, rows, right));
    if (format == "l") return give(shift<int64_t>(values, distances, rows, right));
    throw std::invalid_argument("no shift of arrow format '" + format + "'");
  });
  m.def("power", [](nb::handle base, nb::handle exponent, int64_t rows) {
    return give(binary<double, double, double>(read_arg(base, rows, 8), read_arg(exponent, rows, 8), rows, "g", power));
  });
}

}  // namespace headwater::scalars
