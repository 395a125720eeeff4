// Dates and timestamps: fields, truncation, days added, seconds since the epoch. All in UTC.
#include <cmath>
#include <cstdio>

#include "dataflow/scalars/kernels/scalars.h"
#include "dataflow/scalars/kernels/text_time.h"

namespace headwater::scalars {
namespace {

using text::Civil;
using text::civil_from_days;
using text::days_from_civil;
using text::floor_div;
using text::kMicrosPerDay;
using text::kMicrosPerSecond;

constexpr const char* kDateRange = "date out of range";
constexpr const char* kTimestampRange = "timestamp out of range";

// The order is the contract with dataflow/scalars.py; the first 13 are also units of truncation.
enum class Field {
  microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade, century, millennium,
  isoyear, dow, isodow, doy, epoch
};

// Monday is 1; 1970-01-01 was a Thursday.
int64_t iso_weekday(int64_t days) { return (((days + 3) % 7) + 7) % 7 + 1; }

// The Monday of the first ISO week of the ISO year that the day belongs to, and that year.
int64_t iso_year(int64_t days) { return civil_from_days(days + 4 - iso_weekday(days)).year; }

// Years before 1 AD count without a year zero, as people do.
int64_t shown_year(int64_t year) { return year > 0 ? year : year - 1; }

int64_t century_of(int64_t year, int64_t size) {
  return year > 0 ? (year + size - 1) / size : -((size - 1 - (year - 1)) / size);
}

// The field as an integer count of 10^-6.
Decimal extract_field(Field field, int64_t days, int64_t micros_of_day) {
  const Civil civil = civil_from_days(days);
  int64_t value = 0;
  switch (field) {
    case Field::microseconds: return static_cast<Decimal>(micros_of_day % (60 * kMicrosPerSecond)) * kMicrosPerSecond;
    case Field::milliseconds: return static_cast<Decimal>(micros_of_day % (60 * kMicrosPerSecond)) * 1000;
    case Field::second: return micros_of_day % (60 * kMicrosPerSecond);
    case Field::epoch: return static_cast<Decimal>(days) * kMicrosPerDay + micros_of_day;
    case Field::minute: value = micros_of_day / (60 * kMicrosPerSecond) % 60; break;
    case Field::hour: value = micros_of_day / (3600 * kMicrosPerSecond); break;
    case Field::day: value = civil.day; break;
    case Field::week: {
      const int64_t thursday = days + 4 - iso_weekday(days);
      value = (thursday - days_from_civil(civil_from_days(thursday).year, 1, 1)) / 7 + 1;
      break;
    }
    case Field::month: value = civil.month; break;
    case Field::quarter: value = (civil.month - 1) / 3 + 1; break;
    case Field::year: value = shown_year(civil.year); break;
    case Field::decade: value = floor_div(civil.year, 10); break;
    case Field::century: value = century_of(civil.year, 100); break;
    case Field::millennium: value = century_of(civil.year, 1000); break;
    case Field::isoyear: value = shown_year(iso_year(days)); break;
    case Field::dow: value = iso_weekday(days) % 7; break;
    case Field::isodow: value = iso_weekday(days); break;
    case Field::doy: value = days - days_from_civil(civil.year, 1, 1) + 1; break;
  }
  return static_cast<Decimal>(value) * kMicrosPerSecond;
}

int64_t truncate_days(Field unit, int64_t days) {
  const Civil civil = civil_from_days(days);
  auto first_of = [](int64_t year) { return days_from_civil(year, 1, 1); };
  // Centuries and millennia start with their year 1.
  auto era = [&](int64_t size) { return first_of(floor_div(civil.year - 1, size) * size + 1); };
  switch (unit) {
    case Field::week: return days - (iso_weekday(days) - 1);
    case Field::month: return days_from_civil(civil.year, civil.month, 1);
    case Field::quarter: return days_from_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1);
    case Field::year: return first_of(civil.year);
    case Field::decade: return first_of(floor_div(civil.year, 10) * 10);
    case Field::century: return era(100);
    case Field::millennium: return era(1000);
    default: return days;
  }
}

const char* truncate(Field unit, int64_t micros, int64_t& out) {
  static constexpr int64_t sizes[] = {1, 1000, kMicrosPerSecond, 60 * kMicrosPerSecond, 3600 * kMicrosPerSecond, kMicrosPerDay};
  if (unit <= Field::day) {
    const int64_t size = sizes[static_cast<int>(unit)];
    return __builtin_mul_overflow(floor_div(micros, size), size, &out) ? kTimestampRange : nullptr;
  }
  const int64_t days = truncate_days(unit, floor_div(micros, kMicrosPerDay));
  return __builtin_mul_overflow(days, kMicrosPerDay, &out) ? kTimestampRange : nullptr;
}

Field to_field(int code, Field last) {
  if (code < 0 || code > static_cast<int>(last)) throw std::invalid_argument("unknown field");
  return static_cast<Field>(code);
}

// values: date32 or timestamp[us]; the result is decimal128(38, scale), or double when scale is -1.
nb::tuple extract(int code, nb::handle values, int64_t rows, int scale) {
  const Field field = to_field(code, Field::epoch);
  const bool date = arrow::read_column(values).format.text == "tdD";
  const Arg a = read_arg(values, rows, date ? 4 : 8);
  auto get = [&](int64_t i) {
    if (date) return extract_field(field, a.get<int32_t>(i), 0);
    const int64_t micros = a.get<int64_t>(i), days = floor_div(micros, kMicrosPerDay);
    return extract_field(field, days, micros - days * kMicrosPerDay);
  };
  if (scale < -1 || scale > 38) throw std::invalid_argument("scale out of range");
  auto finish = [&](auto zero, const char* format, auto convert) {
    Unlocked unlocked(rows);
    Output<decltype(zero)> out(rows);
    for (int64_t i = 0; i < rows; ++i) {
      if (a.valid(i))
        out.set(i, convert(get(i)));
      else
        out.set_null(i);
    }
    return out.finish(format);
  };
  if (scale == -1)
    return arrow::write_column(finish(double{}, "g", [](Decimal v) {
      return static_cast<double>(v) / static_cast<double>(kMicrosPerSecond);
    }));
  return arrow::write_column(finish(Decimal{}, decimal_format(scale).c_str(), [=](Decimal v) {
    Decimal out = 0;
    text::rescale(v, 6, scale, out);
    return out;
  }));
}

Outcome to_timestamp(const Arg& seconds, int64_t rows) {
  // PostgreSQL rounds the microseconds since 2000: later instants round differently otherwise.
  constexpr int64_t epoch = 946'684'800;
  constexpr double first = static_cast<double>(text::kFirstDay) * 86'400, last = static_cast<double>(text::kLastTimestampDay) * 86'400;
  Unlocked unlocked(rows);
  Output<int64_t> out(rows);
  Errors errors;
  for (int64_t i = 0; i < rows; ++i) {
    const double value = seconds.valid(i) ? seconds.get<double>(i) : 0;
    if (!seconds.valid(i)) {
      out.set_null(i);
    } else if (value >= first && value < last) {
      const double micros = std::rint((value - epoch) * static_cast<double>(kMicrosPerSecond));
      out.set(i, static_cast<int64_t>(micros) + epoch * kMicrosPerSecond);
    } else {
      char message[64];
      std::snprintf(message, sizeof(message), "timestamp out of range: \"%g\"", value);
      errors.add(i, std::isnan(value) ? "timestamp cannot be NaN" : message);
      out.set_null(i);
    }
  }
  return {out.finish("tsu:UTC"), errors.finish(rows)};
}

}  // namespace

void add_time(nb::module_& m) {
  m.def("extract", &extract);
  m.def("date_trunc", [](int code, nb::handle values, int64_t rows) {
    const Field unit = to_field(code, Field::millennium);
    const Arg a = read_arg(values, rows, 8);
    return give(unary<int64_t, int64_t>(a, rows, a.column.format.text.c_str(),
                                        [=](int64_t v, int64_t& out) { return truncate(unit, v, out); }));
  });
  // sign: 1 or -1.
  m.def("date_add", [](nb::handle dates, nb::handle days, int64_t sign, int64_t rows) {
    return give(binary<int32_t, int32_t, int32_t>(
        read_arg(dates, rows, 4), read_arg(days, rows, 4), rows, "tdD", [=](int32_t a, int32_t b, int32_t& out) {
          const int64_t sum = a + sign * b;
          if (sum < text::kFirstDay || sum > text::kLastDay) return kDateRange;
          out = static_cast<int32_t>(sum);
          return static_cast<const char*>(nullptr);
        }));
  });
  m.def("date_difference", [](nb::handle left, nb::handle right, int64_t rows) {
    return give(binary<int32_t, int32_t, int32_t>(
        read_arg(left, rows, 4), read_arg(right, rows, 4), rows, "i", [](int32_t a, int32_t b, int32_t& out) {
          return __builtin_sub_overflow(a, b, &out) ? "integer out of range" : nullptr;
        }));
  });
  m.def("to_timestamp", [](nb::handle seconds, int64_t rows) { return give(to_timestamp(read_arg(seconds, rows, 8), rows)); });
}

}  // namespace headwater::scalars
