// How an interval lies in a column, and the length by which intervals compare.
#pragma once

#include <cstdint>

namespace headwater {

// A value of Arrow's month_day_nano_interval whose third field counts microseconds: nanoseconds would end at 292 years.
struct Interval {
  int32_t months = 0;
  int32_t days = 0;
  int64_t micros = 0;
};
static_assert(sizeof(Interval) == 16);

// In microseconds, a month being 30 days and a day 24 hours. At most 2^87, so that it never overflows.
inline __int128 interval_length(const Interval& v) {
  return static_cast<__int128>(int64_t{v.months} * 30 + v.days) * 86'400'000'000 + v.micros;
}

}  // namespace headwater
