// Functions of doubles from the C library, with PostgreSQL's errors; common divisors and multiples of integers; buckets.
#include <cmath>
#include <numbers>

#include "dataflow/scalars/kernels/scalars.h"

namespace headwater::scalars {
namespace {

constexpr const char* kInput = "input is out of range";
constexpr const char* kOverflow = "value out of range: overflow";

struct RealFunction {
  const char* name;
  double (*apply)(double);
  bool finite;      // of infinities there is no value
  double low, high;  // beyond these there is no value
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const RealFunction kFunctions[] = {
    {"sin", std::sin, true, -kInfinity, kInfinity},
    {"cos", std::cos, true, -kInfinity, kInfinity},
    {"tan", std::tan, true, -kInfinity, kInfinity},
    {"cot", [](double x) { return 1.0 / std::tan(x); }, true, -kInfinity, kInfinity},
    {"asin", std::asin, false, -1, 1},
    {"acos", std::acos, false, -1, 1},
    {"atan", std::atan, false, -kInfinity, kInfinity},
    {"sinh", std::sinh, false, -kInfinity, kInfinity},
    {"cosh", std::cosh, false, -kInfinity, kInfinity},
    {"tanh", std::tanh, false, -kInfinity, kInfinity},
    {"asinh", std::asinh, false, -kInfinity, kInfinity},
    {"acosh", std::acosh, false, 1, kInfinity},
    {"atanh", std::atanh, false, -1, 1},
    {"cbrt", std::cbrt, false, -kInfinity, kInfinity},
    {"degrees", [](double x) { return x / (std::numbers::pi / 180.0); }, false, -kInfinity, kInfinity},
    {"radians", [](double x) { return x * (std::numbers::pi / 180.0); }, false, -kInfinity, kInfinity},
};

Outcome real(const std::string& name, const Arg& a, int64_t rows) {
  for (const RealFunction& f : kFunctions) {
    if (name != f.name) continue;
    const bool converts = name == "degrees" || name == "radians";
    return unary<double, double>(a, rows, "g", [&](double x, double& out) -> const char* {
      if (x < f.low || x > f.high || (f.finite && std::isinf(x))) return kInput;
      out = f.apply(x);
      return converts && std::isinf(out) && std::isfinite(x) ? kOverflow : nullptr;
    });
  }
  throw std::invalid_argument("no function of doubles is named " + name);
}

// With 0 for the common divisor of zeros, and nothing where the result does not fit.
template <class T>
const char* common(T a, T b, bool multiple, T& out) {
  using Wide = std::conditional_t<sizeof(T) == 4, int64_t, __int128>;
  const Wide x = a < 0 ? -static_cast<Wide>(a) : a, y = b < 0 ? -static_cast<Wide>(b) : b;
  Wide divisor = x;
  for (Wide other = y; other != 0;) {
    const Wide rest = divisor % other;
    divisor = other, other = rest;
  }
  const Wide value = !multiple ? divisor : divisor == 0 ? 0 : x / divisor * y;
  if (value > std::numeric_limits<T>::max()) return sizeof(T) == 4 ? "integer out of range" : "bigint out of range";
  out = static_cast<T>(value);
  return nullptr;
}

template <class T>
Outcome common_rows(nb::handle left, nb::handle right, int64_t rows, bool multiple, const char* format) {
  return binary<T, T, T>(read_arg(left, rows, sizeof(T)), read_arg(right, rows, sizeof(T)), rows, format,
                         [=](T a, T b, T& out) { return common<T>(a, b, multiple, out); });
}

const char* bucket(double value, double low, double high, int32_t count, int32_t& out) {
  if (count <= 0) return "count must be greater than zero";
  if (std::isnan(value) || std::isnan(low) || std::isnan(high)) return "operand, lower bound, and upper bound cannot be NaN";
  if (std::isinf(low) || std::isinf(high)) return "lower and upper bounds must be finite";
  if (low == high) return "lower bound cannot equal upper bound";
  const bool down = low > high;
  if (down ? value > low : value < low) {
    out = 0;
  } else if (down ? value <= high : value >= high) {
    if (__builtin_add_overflow(count, 1, &out)) return "integer out of range";
  } else {
    const double width = down ? low - high : high - low, place = down ? low - value : value - low;
    const double part = std::isinf(width) ? (down ? low / 2 - value / 2 : value / 2 - low / 2) / (down ? low / 2 - high / 2 : high / 2 - low / 2)
                                          : place / width;
    out = std::min(static_cast<int32_t>(count * part), count - 1) + 1;
  }
  return nullptr;
}

}  // namespace

void add_math(nb::module_& m) {
  m.def("real", [](const std::string& name, nb::handle values, int64_t rows) {
    return give(real(name, read_arg(values, rows, 8), rows));
  });
  m.def("atan2", [](nb::handle y, nb::handle x, int64_t rows) {
    return give(binary<double, double, double>(read_arg(y, rows, 8), read_arg(x, rows, 8), rows, "g",
                                               [](double a, double b, double& out) -> const char* {
                                                 out = std::atan2(a, b);
                                                 return nullptr;
                                               }));
  });
  // Of int32 or int64: the greatest common divisor or the least common multiple.
  m.def("common", [](nb::handle a, nb::handle b, int64_t rows, bool multiple) {
    const std::string format = arrow::read_column(a).format.text;
    if (format == "i") return give(common_rows<int32_t>(a, b, rows, multiple, "i"));
    return give(common_rows<int64_t>(a, b, rows, multiple, "l"));
  });
  m.def("width_bucket", [](nb::handle values, nb::handle lows, nb::handle highs, nb::handle counts, int64_t rows) {
    const Arg value = read_arg(values, rows, 8), low = read_arg(lows, rows, 8), high = read_arg(highs, rows, 8),
              count = read_arg(counts, rows, 4);
    Outcome made;
    {
      Unlocked unlocked(rows);
      Output<int32_t> out(rows);
      Errors errors;
      for (int64_t i = 0; i < rows; ++i) {
        int32_t found = 0;
        if (!value.valid(i) || !low.valid(i) || !high.valid(i) || !count.valid(i)) {
          out.set_null(i);
        } else if (const char* message = bucket(value.get<double>(i), low.get<double>(i), high.get<double>(i), count.get<int32_t>(i), found)) {
          errors.add(i, message);
          out.set_null(i);
        } else {
          out.set(i, found);
        }
      }
      made = {out.finish("i"), errors.finish(rows)};
    }
    return give(made);
  });
}

}  // namespace headwater::scalars
