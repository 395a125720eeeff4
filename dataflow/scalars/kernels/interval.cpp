// Intervals: arithmetic with each other, with numbers, dates and timestamps, justification, fields, bins. By PostgreSQL's rules.
#include <cmath>

#include "dataflow/scalars/kernels/scalars.h"
#include "dataflow/scalars/kernels/text_interval.h"

namespace headwater::scalars {
namespace {

using text::Civil;
using text::floor_div;
using text::kMicrosPerDay;
using text::kMicrosPerSecond;

constexpr const char* kIntervalRange = "interval out of range";
constexpr const char* kTimestampRange = "timestamp out of range";
constexpr const char* kZero = "division by zero";
constexpr int64_t kFirstMicro = text::kFirstDay * kMicrosPerDay, kEndMicro = text::kLastTimestampDay * kMicrosPerDay;

const char* add(const Interval& a, const Interval& b, int sign, Interval& out) {
  bool wrong;
  if (sign > 0)
    wrong = __builtin_add_overflow(a.months, b.months, &out.months) | __builtin_add_overflow(a.days, b.days, &out.days) |
            __builtin_add_overflow(a.micros, b.micros, &out.micros);
  else
    wrong = __builtin_sub_overflow(a.months, b.months, &out.months) | __builtin_sub_overflow(a.days, b.days, &out.days) |
            __builtin_sub_overflow(a.micros, b.micros, &out.micros);
  return wrong ? kIntervalRange : nullptr;
}

// PostgreSQL's TSROUND: what is left of a product is kept to the microsecond, so that 0.1 * 30 days is no fraction of a day.
double micro_round(double seconds) { return std::rint(seconds * 1e6) / 1e6; }

template <class T>
bool to_int(double value, T& out) {
  const double bound = std::ldexp(1.0, sizeof(T) * 8 - 1);
  if (!(value >= -bound && value < bound)) return false;
  out = static_cast<T>(value);
  return true;
}

// `apply` multiplies by, or divides by, the factor: fractions of months become days of 30 to a month, of days time.
template <class Apply>
const char* scale(const Interval& v, Apply apply, Interval& out) {
  const double months = apply(v.months), days = apply(v.days);
  if (!to_int(months, out.months) || !to_int(days, out.days)) return kIntervalRange;
  const double month_days = micro_round((months - out.months) * 30);
  double seconds = (days - out.days + month_days - std::trunc(month_days)) * 86'400;
  seconds = micro_round(seconds);
  if (std::fabs(seconds) >= 86'400) {
    int32_t carried = 0;
    if (!to_int(seconds / 86'400, carried) || __builtin_add_overflow(out.days, carried, &out.days)) return kIntervalRange;
    seconds -= carried * 86'400.0;
  }
  if (__builtin_add_overflow(out.days, static_cast<int32_t>(month_days), &out.days)) return kIntervalRange;
  const double micros = std::rint(apply(static_cast<double>(v.micros)) + seconds * 1e6);
  return to_int(micros, out.micros) ? nullptr : kIntervalRange;
}

// Months first (the day cut to the month's last), then days, then time: with sign 1 or -1.
const char* shift_timestamp(int64_t micros, const Interval& v, int sign, int64_t& out) {
  int64_t days = floor_div(micros, kMicrosPerDay);
  const int64_t of_day = micros - days * kMicrosPerDay;
  if (v.months != 0) {
    const Civil civil = text::civil_from_days(days);
    const int64_t months = civil.year * 12 + civil.month - 1 + sign * int64_t{v.months};
    const int64_t year = floor_div(months, 12);
    const int month = static_cast<int>(months - year * 12) + 1;
    days = text::days_from_civil(year, month, std::min(civil.day, text::days_in_month(year, month)));
  }
  const __int128 sum = (static_cast<__int128>(days) + sign * int64_t{v.days}) * kMicrosPerDay + of_day +
                       static_cast<__int128>(sign) * v.micros;
  if (sum < kFirstMicro || sum >= kEndMicro) return kTimestampRange;
  out = static_cast<int64_t>(sum);
  return nullptr;
}

// Whole days out of the time, and the same sign for both where one can borrow from the other.
const char* justify_hours(const Interval& v, Interval& out) {
  out = v;
  const int64_t whole = out.micros / kMicrosPerDay;
  out.micros -= whole * kMicrosPerDay;
  if (__builtin_add_overflow(int64_t{out.days}, whole, &out.days)) return kIntervalRange;
  if (out.days > 0 && out.micros < 0) out.micros += kMicrosPerDay, --out.days;
  else if (out.days < 0 && out.micros > 0) out.micros -= kMicrosPerDay, ++out.days;
  return nullptr;
}

const char* justify_days(const Interval& v, Interval& out) {
  out = v;
  const int32_t whole = out.days / 30;
  out.days -= whole * 30;
  if (__builtin_add_overflow(out.months, whole, &out.months)) return kIntervalRange;
  if (out.months > 0 && out.days < 0) out.days += 30, --out.months;
  else if (out.months < 0 && out.days > 0) out.days -= 30, ++out.months;
  return nullptr;
}

const char* justify_interval(const Interval& v, Interval& out) {
  out = v;
  int64_t days = out.days, months = out.months;
  auto borrow_days = [&] {
    const int64_t whole = days / 30;
    days -= whole * 30, months += whole;
  };
  if ((days > 0 && out.micros > 0) || (days < 0 && out.micros < 0)) borrow_days();
  const int64_t whole = out.micros / kMicrosPerDay;
  out.micros -= whole * kMicrosPerDay, days += whole;
  borrow_days();
  if (months > 0 && (days < 0 || (days == 0 && out.micros < 0))) days += 30, --months;
  else if (months < 0 && (days > 0 || (days == 0 && out.micros > 0))) days -= 30, ++months;
  if (days > 0 && out.micros < 0) out.micros += kMicrosPerDay, --days;
  else if (days < 0 && out.micros > 0) out.micros -= kMicrosPerDay, ++days;
  out.days = static_cast<int32_t>(days);
  return __builtin_add_overflow(months, 0, &out.months) ? kIntervalRange : nullptr;
}

// The calendar difference a - b in years, months, days and time, days borrowed from the month of the earlier instant.
const char* age(int64_t a, int64_t b, Interval& out) {
  const bool negative = a < b;
  auto split = [](int64_t micros, Civil& civil) {
    const int64_t days = floor_div(micros, kMicrosPerDay);
    civil = text::civil_from_days(days);
    return micros - days * kMicrosPerDay;
  };
  Civil later, earlier;
  int64_t micros = split(negative ? b : a, later) - split(negative ? a : b, earlier);
  int64_t days = later.day - earlier.day, months = (later.year - earlier.year) * 12 + later.month - earlier.month;
  if (micros < 0) micros += kMicrosPerDay, --days;
  while (days < 0) days += text::days_in_month(earlier.year, earlier.month), --months;
  const int sign = negative ? -1 : 1;
  out = {static_cast<int32_t>(sign * months), static_cast<int32_t>(sign * days), sign * micros};
  return nullptr;
}

// The start of the bin of `stride` microseconds, counted from `origin`, that the value is in.
const char* bin(const Interval& stride, int64_t value, int64_t origin, int64_t& out) {
  if (stride.months != 0) return "timestamps cannot be binned into intervals containing months or years";
  int64_t size = 0;
  if (__builtin_mul_overflow(int64_t{stride.days}, kMicrosPerDay, &size) || __builtin_add_overflow(size, stride.micros, &size))
    return kIntervalRange;
  if (size <= 0) return "stride must be greater than zero";
  int64_t difference = 0;
  if (__builtin_sub_overflow(value, origin, &difference)) return kIntervalRange;
  const __int128 start = static_cast<__int128>(origin) + static_cast<__int128>(floor_div(difference, size)) * size;
  if (start < kFirstMicro || start >= kEndMicro) return kTimestampRange;
  out = static_cast<int64_t>(start);
  return nullptr;
}

// The codes are those of dataflow/scalars.py's FIELD_CODE; a field that intervals lack is a caller's mistake.
Decimal extract_field(int code, const Interval& v) {
  const int64_t minute = 60 * kMicrosPerSecond, years = v.months / 12, months = v.months % 12;
  int64_t value = 0;
  switch (code) {
    case 0: return static_cast<Decimal>(v.micros % minute) * kMicrosPerSecond;
    case 1: return static_cast<Decimal>(v.micros % minute) * 1000;
    case 2: return v.micros % minute;
    case 3: value = v.micros / minute % 60; break;
    case 4: value = v.micros / (60 * minute); break;
    case 5: value = v.days; break;
    case 7: value = months; break;
    case 8: value = months / 3 + 1; break;
    case 9: value = years; break;
    case 10: value = years / 10; break;
    case 11: value = years / 100; break;
    case 12: value = years / 1000; break;
    case 17: {  // a year has 365.25 days here
      const Decimal quarter_days = static_cast<Decimal>(1461) * years + 4 * (30 * months + v.days);
      return quarter_days * (kMicrosPerDay / 4) + v.micros;
    }
    default: throw std::invalid_argument("intervals have no such field");
  }
  return static_cast<Decimal>(value) * kMicrosPerSecond;
}

const char* truncate(int code, const Interval& v, Interval& out) {
  out = v;
  static constexpr int64_t sizes[] = {1, 1000, kMicrosPerSecond, 60 * kMicrosPerSecond, 3600 * kMicrosPerSecond};
  static constexpr int32_t months[] = {1, 3, 12, 120, 1200, 12'000};
  if (code <= 4) {
    out.micros -= out.micros % sizes[code];
    return nullptr;
  }
  out.micros = 0;
  if (code == 5) return nullptr;
  if (code == 6 || code > 12) throw std::invalid_argument("intervals are not cut to that unit");
  out.days = 0;
  out.months -= out.months % months[code - 7];
  return nullptr;
}

nb::tuple extract(int code, nb::handle values, int64_t rows, int scale) {
  const Arg a = read_arg(values, rows, 16);
  if (scale < -1 || scale > 38 || code < 0 || code > 17 || code == 6 || (code > 12 && code < 17))
    throw std::invalid_argument("no such field of an interval, or scale out of range");
  if (scale == -1)
    return arrow::write_column(unary<double, Interval>(a, rows, "g", [=](const Interval& v, double& out) -> const char* {
                                 out = static_cast<double>(extract_field(code, v)) / static_cast<double>(kMicrosPerSecond);
                                 return nullptr;
                               }).values);
  return arrow::write_column(
      unary<Decimal, Interval>(a, rows, decimal_format(scale).c_str(), [=](const Interval& v, Decimal& out) -> const char* {
        text::rescale(extract_field(code, v), 6, scale, out);
        return nullptr;
      }).values);
}

// Years, months, weeks, days, hours, minutes (int32) and seconds (double).
Outcome make_interval(const std::vector<Arg>& parts, int64_t rows) {
  Unlocked unlocked(rows);
  Output<Interval> out(rows);
  Errors errors;
  for (int64_t i = 0; i < rows; ++i) {
    bool valid = true;
    for (const Arg& part : parts) valid &= part.valid(i);
    if (!valid) {
      out.set_null(i);
      continue;
    }
    auto at = [&](size_t which) { return int64_t{parts[which].get<int32_t>(i)}; };
    const double seconds = std::rint(parts[6].get<double>(i) * 1e6);
    const __int128 months = static_cast<__int128>(at(0)) * 12 + at(1), days = static_cast<__int128>(at(2)) * 7 + at(3);
    int64_t fraction = 0;
    Interval made;
    if (to_int(seconds, fraction) && !__builtin_add_overflow(months, 0, &made.months) &&
        !__builtin_add_overflow(days, 0, &made.days) &&
        !__builtin_add_overflow((at(4) * 60 + at(5)) * 60 * kMicrosPerSecond, fraction, &made.micros)) {
      out.set(i, made);
    } else {
      errors.add(i, kIntervalRange);
      out.set_null(i);
    }
  }
  return {out.finish("tin"), errors.finish(rows)};
}

}  // namespace

void add_intervals(nb::module_& m) {
  // sign: 1 or -1.
  m.def("interval_add", [](nb::handle a, nb::handle b, int sign, int64_t rows) {
    return give(binary<Interval, Interval, Interval>(
        read_arg(a, rows, 16), read_arg(b, rows, 16), rows, "tin",
        [=](const Interval& x, const Interval& y, Interval& out) { return add(x, y, sign, out); }));
  });
  m.def("interval_scale", [](nb::handle a, nb::handle factor, bool divide, int64_t rows) {
    return give(binary<Interval, Interval, double>(
        read_arg(a, rows, 16), read_arg(factor, rows, 8), rows, "tin", [=](const Interval& v, double by, Interval& out) {
          if (divide && by == 0) return kZero;
          return divide ? scale(v, [=](double x) { return x / by; }, out) : scale(v, [=](double x) { return x * by; }, out);
        }));
  });
  // Timestamps, of one format with the result.
  m.def("timestamp_shift", [](nb::handle values, nb::handle intervals, int sign, int64_t rows) {
    const Arg a = read_arg(values, rows, 8);
    return give(binary<int64_t, int64_t, Interval>(
        a, read_arg(intervals, rows, 16), rows, a.column.format.text.c_str(),
        [=](int64_t micros, const Interval& v, int64_t& out) { return shift_timestamp(micros, v, sign, out); }));
  });
  m.def("timestamp_difference", [](nb::handle left, nb::handle right, int64_t rows) {
    return give(binary<Interval, int64_t, int64_t>(
        read_arg(left, rows, 8), read_arg(right, rows, 8), rows, "tin", [](int64_t a, int64_t b, Interval& out) {
          Interval time;
          if (__builtin_sub_overflow(a, b, &time.micros)) return kIntervalRange;
          return justify_hours(time, out);
        }));
  });
  m.def("age", [](nb::handle left, nb::handle right, int64_t rows) {
    return give(binary<Interval, int64_t, int64_t>(read_arg(left, rows, 8), read_arg(right, rows, 8), rows, "tin", age));
  });
  // 0: hours, 1: days, 2: both.
  m.def("interval_justify", [](int which, nb::handle values, int64_t rows) {
    const Arg a = read_arg(values, rows, 16);
    if (which == 0) return give(unary<Interval, Interval>(a, rows, "tin", justify_hours));
    if (which == 1) return give(unary<Interval, Interval>(a, rows, "tin", justify_days));
    return give(unary<Interval, Interval>(a, rows, "tin", justify_interval));
  });
  m.def("interval_trunc", [](int code, nb::handle values, int64_t rows) {
    if (code < 0 || code > 12 || code == 6) throw std::invalid_argument("intervals are not cut to that unit");
    return give(unary<Interval, Interval>(read_arg(values, rows, 16), rows, "tin",
                                          [=](const Interval& v, Interval& out) { return truncate(code, v, out); }));
  });
  m.def("interval_extract", &extract);
  m.def("date_bin", [](nb::handle strides, nb::handle values, nb::handle origins, int64_t rows) {
    const Arg stride = read_arg(strides, rows, 16), value = read_arg(values, rows, 8), origin = read_arg(origins, rows, 8);
    Outcome made;
    {
      Unlocked unlocked(rows);
      Output<int64_t> out(rows);
      Errors errors;
      for (int64_t i = 0; i < rows; ++i) {
        int64_t start = 0;
        if (!stride.valid(i) || !value.valid(i) || !origin.valid(i)) {
          out.set_null(i);
        } else if (const char* message = bin(stride.get<Interval>(i), value.get<int64_t>(i), origin.get<int64_t>(i), start)) {
          errors.add(i, message);
          out.set_null(i);
        } else {
          out.set(i, start);
        }
      }
      made = {out.finish(value.column.format.text.c_str()), errors.finish(rows)};
    }
    return give(made);
  });
  // Times of day plus (sign 1) or minus (sign -1) the time of intervals, around midnight; months and days do not count.
  m.def("time_shift", [](nb::handle times, nb::handle intervals, int sign, int64_t rows) {
    return give(binary<int64_t, int64_t, Interval>(
        read_arg(times, rows, 8), read_arg(intervals, rows, 16), rows, "tDu",
        [=](int64_t micros, const Interval& v, int64_t& out) -> const char* {
          const int64_t sum = micros + sign * (v.micros % kMicrosPerDay);
          out = sum - floor_div(sum, kMicrosPerDay) * kMicrosPerDay;
          return nullptr;
        }));
  });
  m.def("time_difference", [](nb::handle left, nb::handle right, int64_t rows) {
    return give(binary<Interval, int64_t, int64_t>(read_arg(left, rows, 8), read_arg(right, rows, 8), rows, "tin",
                                                   [](int64_t a, int64_t b, Interval& out) -> const char* {
                                                     out = {0, 0, a - b};
                                                     return nullptr;
                                                   }));
  });
  // The timestamp of a date and a time of day.
  m.def("date_time", [](nb::handle dates, nb::handle times, int64_t rows) {
    return give(binary<int64_t, int32_t, int64_t>(
        read_arg(dates, rows, 4), read_arg(times, rows, 8), rows, "tsu:", [](int32_t days, int64_t micros, int64_t& out) {
          if (days >= text::kLastTimestampDay || days < text::kFirstDay) return "date out of range for timestamp";
          out = days * kMicrosPerDay + micros;
          return out >= kEndMicro ? kTimestampRange : nullptr;
        }));
  });
  m.def("make_interval", [](nb::list values, int64_t rows) {
    if (values.size() != 7) throw std::invalid_argument("make_interval takes seven parts");
    std::vector<Arg> parts;
    for (size_t i = 0; i < 7; ++i) parts.push_back(read_arg(values[i], rows, i == 6 ? 8 : 4));
    return give(make_interval(parts, rows));
  });
}

}  // namespace headwater::scalars
