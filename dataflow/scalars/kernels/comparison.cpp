// Comparison by value: eight operators over every pair of columns of one kind, and decimals of any two scales.
#include "dataflow/kernels/interval.h"
#include "dataflow/scalars/kernels/decimal.h"
#include "dataflow/scalars/kernels/scalars.h"

namespace headwater::scalars {
namespace {

enum class Operator { equal, not_equal, less, less_equal, greater, greater_equal, distinct, not_distinct };

template <class T>
int order(T a, T b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// NaN equals NaN and is larger than every number; the zeros are equal.
template <class T>
int order_float(T a, T b) {
  if (a != a || b != b) return a == a ? -1 : b == b ? 1 : 0;
  return order(a, b);
}

bool holds(Operator op, int order) {
  switch (op) {
    case Operator::equal:
    case Operator::not_distinct: return order == 0;
    case Operator::not_equal:
    case Operator::distinct: return order != 0;
    case Operator::less: return order < 0;
    case Operator::less_equal: return order <= 0;
    case Operator::greater: return order > 0;
    case Operator::greater_equal: return order >= 0;
  }
  return false;
}

template <class T, class Order>
Column compare_with(Operator op, const Arg& a, const Arg& b, int64_t rows, Order order_of) {
  Unlocked unlocked(rows);
  Output<bool> out(rows);
  const bool all = a.never_null() && b.never_null();
  const bool null_aware = op == Operator::distinct || op == Operator::not_distinct;
  // Which orders make the operator true, looked up instead of branched on.
  const bool truth[3] = {holds(op, -1), holds(op, 0), holds(op, 1)};
  for (int64_t i = 0; i < rows; ++i) {
    if (!all) {
      const bool left = a.valid(i), right = b.valid(i);
      if (!left || !right) {
        if (null_aware)
          out.set(i, (left != right) == (op == Operator::distinct));
        else
          out.set_null(i);
        continue;
      }
    }
    out.set(i, truth[order_of(a.get<T>(i), b.get<T>(i)) + 1]);
  }
  return out.finish("b");
}

Column compare(Operator op, const Arg& a, const Arg& b, int64_t rows) {
  using arrow::Meaning;
  const auto& format = a.column.format;
  if (format.meaning != b.column.format.meaning || format.width != b.column.format.width)
    throw std::invalid_argument("cannot compare arrow formats '" + format.text + "' and '" + b.column.format.text + "'");
  const int sa = format.scale(), sb = b.column.format.scale();
  switch (format.meaning) {
    case Meaning::boolean: return compare_with<bool>(op, a, b, rows, order<bool>);
    case Meaning::bytes:
      return compare_with<std::string_view>(op, a, b, rows, [](std::string_view x, std::string_view y) {
        return order(x.compare(y), 0);
      });
    case Meaning::decimal:
      if (sa == sb) return compare_with<Decimal>(op, a, b, rows, order<Decimal>);
      return compare_with<Decimal>(op, a, b, rows, [=](Decimal x, Decimal y) { return decimal::compare(x, sa, y, sb); });
    case Meaning::interval:
      return compare_with<Interval>(op, a, b, rows, [](const Interval& x, const Interval& y) {
        return order(interval_length(x), interval_length(y));
      });
    case Meaning::real:
      if (format.width == 4) return compare_with<float>(op, a, b, rows, order_float<float>);
      return compare_with<double>(op, a, b, rows, order_float<double>);
    case Meaning::integer:
      if (format.width == 2) return compare_with<int16_t>(op, a, b, rows, order<int16_t>);
      if (format.width == 4) return compare_with<int32_t>(op, a, b, rows, order<int32_t>);
      if (format.width == 8) return compare_with<int64_t>(op, a, b, rows, order<int64_t>);
      [[fallthrough]];
    default: throw std::invalid_argument("cannot compare arrow format '" + format.text + "'");
  }
}

Arg read_any(nb::handle object, int64_t rows) {
  Arg arg{arrow::read_column(object)};
  arg.step = arg.column.length == 1 ? 0 : 1;
  if (arg.step && arg.column.length != rows) throw std::invalid_argument("arguments differ in length");
  return arg;
}

}  // namespace

void add_comparison(nb::module_& m) {
  m.def("compare", [](int op, nb::handle a, nb::handle b, int64_t rows) {
    if (op < 0 || op > static_cast<int>(Operator::not_distinct)) throw std::invalid_argument("unknown comparison");
    return arrow::write_column(compare(static_cast<Operator>(op), read_any(a, rows), read_any(b, rows), rows));
  });
}

}  // namespace headwater::scalars
