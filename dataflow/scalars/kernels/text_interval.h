// Intervals: months, days and microseconds, which are kept apart as in PostgreSQL; from and to text, and compared.
//
// Read: PostgreSQL's own form (`1 year 2 mons -3 days 04:05:06.7`, units in every spelling of PostgreSQL, `@` and `ago`), the
// standard's `1-2` for years and months and `3 04:05` for days and a time, and ISO 8601's designators (P1Y2M3DT4H5M6.7S).
// A number without a unit counts seconds. Written: PostgreSQL's own form. One month compares as 30 days, one day as 24 hours.
#pragma once

#include <cmath>

#include "dataflow/kernels/interval.h"
#include "dataflow/scalars/kernels/text_time.h"

namespace headwater::text {

inline constexpr size_t kIntervalChars = 80;  // what format_interval may write

namespace detail {

enum class IntervalUnit { microsecond, millisecond, second, minute, hour, day, week, month, year, decade, century, millennium };

struct IntervalWord {
  std::string_view word;
  IntervalUnit unit;
};

inline constexpr IntervalWord kIntervalWords[] = {
    {"us", IntervalUnit::microsecond},      {"usec", IntervalUnit::microsecond},     {"usecs", IntervalUnit::microsecond},
    {"usecond", IntervalUnit::microsecond}, {"useconds", IntervalUnit::microsecond}, {"microsecond", IntervalUnit::microsecond},
    {"microsecon", IntervalUnit::microsecond}, {"microseconds", IntervalUnit::microsecond},
    {"ms", IntervalUnit::millisecond},      {"msec", IntervalUnit::millisecond},     {"msecs", IntervalUnit::millisecond},
    {"msecond", IntervalUnit::millisecond}, {"mseconds", IntervalUnit::millisecond}, {"millisecond", IntervalUnit::millisecond},
    {"millisecon", IntervalUnit::millisecond}, {"milliseconds", IntervalUnit::millisecond},
    {"s", IntervalUnit::second},            {"sec", IntervalUnit::second},           {"secs", IntervalUnit::second},
    {"second", IntervalUnit::second},       {"seconds", IntervalUnit::second},
    {"m", IntervalUnit::minute},            {"min", IntervalUnit::minute},           {"mins", IntervalUnit::minute},
    {"minute", IntervalUnit::minute},       {"minutes", IntervalUnit::minute},
    {"h", IntervalUnit::hour},              {"hr", IntervalUnit::hour},              {"hrs", IntervalUnit::hour},
    {"hour", IntervalUnit::hour},           {"hours", IntervalUnit::hour},
    {"d", IntervalUnit::day},               {"day", IntervalUnit::day},              {"days", IntervalUnit::day},
    {"w", IntervalUnit::week},              {"week", IntervalUnit::week},            {"weeks", IntervalUnit::week},
    {"mon", IntervalUnit::month},           {"mons", IntervalUnit::month},           {"month", IntervalUnit::month},
    {"months", IntervalUnit::month},
    {"y", IntervalUnit::year},              {"yr", IntervalUnit::year},              {"yrs", IntervalUnit::year},
    {"year", IntervalUnit::year},           {"years", IntervalUnit::year},
    {"dec", IntervalUnit::decade},          {"decs", IntervalUnit::decade},          {"decade", IntervalUnit::decade},
    {"decades", IntervalUnit::decade},
    {"c", IntervalUnit::century},           {"cent", IntervalUnit::century},         {"century", IntervalUnit::century},
    {"centuries", IntervalUnit::century},
    {"mil", IntervalUnit::millennium},      {"mils", IntervalUnit::millennium},      {"millennia", IntervalUnit::millennium},
    {"millennium", IntervalUnit::millennium},
};

// Adds up the parts of a written interval, each as PostgreSQL carries its fraction to the next smaller unit.
class IntervalSum {
 public:
  // value: the whole part with its sign; fraction: of the same sign, below 1. `once`: a unit may be named once.
  Status add(IntervalUnit unit, int64_t value, double fraction, bool once = true) {
    const unsigned mask = 1u << static_cast<int>(unit);
    if (once && (seen_ & mask)) return Status::syntax;
    seen_ |= mask;
    switch (unit) {
      case IntervalUnit::microsecond: return add_micros(value, 1, fraction);
      case IntervalUnit::millisecond: return add_micros(value, 1000, fraction);
      case IntervalUnit::second: return add_micros(value, kMicrosPerSecond, fraction);
      case IntervalUnit::minute: return add_micros(value, 60 * kMicrosPerSecond, fraction);
      case IntervalUnit::hour: return add_micros(value, 3600 * kMicrosPerSecond, fraction);
      case IntervalUnit::day: return first(add_days(value, 1), fraction_of_days(fraction, 1));
      case IntervalUnit::week: return first(add_days(value, 7), fraction_of_days(fraction, 7));
      case IntervalUnit::month: return first(add_months(value, 1), fraction_of_days(fraction, 30));
      case IntervalUnit::year: return first(add_months(value, 12), fraction_of_years(fraction, 1));
      case IntervalUnit::decade: return first(add_months(value, 120), fraction_of_years(fraction, 10));
      case IntervalUnit::century: return first(add_months(value, 1200), fraction_of_years(fraction, 100));
      case IntervalUnit::millennium: return first(add_months(value, 12'000), fraction_of_years(fraction, 1000));
    }
    return Status::syntax;
  }
  Status finish(bool ago, Interval& out) const {
    const int64_t sign = ago ? -1 : 1;
    if (ago && micros_ == std::numeric_limits<int64_t>::min()) return Status::range;
    const int64_t months = sign * months_, days = sign * days_;
    constexpr int64_t low = std::numeric_limits<int32_t>::min(), high = std::numeric_limits<int32_t>::max();
    if (months < low || months > high || days < low || days > high) return Status::range;
    out = {static_cast<int32_t>(months), static_cast<int32_t>(days), sign * micros_};
    return Status::ok;
  }
  bool empty() const { return seen_ == 0; }

 private:
  static Status first(Status a, Status b) { return a != Status::ok ? a : b; }
  static Status add_scaled(int64_t value, int64_t scale, int64_t bound, int64_t& to) {
    int64_t scaled = 0;
    if (__builtin_mul_overflow(value, scale, &scaled) || __builtin_add_overflow(to, scaled, &to)) return Status::range;
    return to < -bound - 1 || to > bound ? Status::range : Status::ok;
  }
  Status add_months(int64_t value, int64_t scale) {
    return add_scaled(value, scale, std::numeric_limits<int32_t>::max(), months_);
  }
  Status add_days(int64_t value, int64_t scale) {
    return add_scaled(value, scale, std::numeric_limits<int32_t>::max(), days_);
  }
  Status add_micros(int64_t value, int64_t scale, double fraction) {
    int64_t scaled = 0;
    if (__builtin_mul_overflow(value, scale, &scaled) || __builtin_add_overflow(micros_, scaled, &micros_)) return Status::range;
    return fraction_of_micros(fraction, scale);
  }
  Status fraction_of_micros(double fraction, int64_t scale) {
    return __builtin_add_overflow(micros_, static_cast<int64_t>(std::rint(fraction * static_cast<double>(scale))), &micros_)
               ? Status::range
               : Status::ok;
  }
  Status fraction_of_days(double fraction, int scale) {
    fraction *= scale;
    const double whole = std::trunc(fraction);
    return first(add_days(static_cast<int64_t>(whole), 1), fraction_of_micros(fraction - whole, kMicrosPerDay));
  }
  Status fraction_of_years(double fraction, int scale) {
    return add_months(static_cast<int64_t>(std::rint(fraction * scale * 12)), 1);
  }

  unsigned seen_ = 0;
  int64_t months_ = 0, days_ = 0, micros_ = 0;
};

// Digits with an optional point, or a point alone, which PostgreSQL takes for zero; no sign. Out of range: 0.
inline Status take_interval_number(Cursor& in, int64_t& whole, double& fraction) {
  const size_t from = in.at;
  whole = 0;
  bool wide = false;
  for (; is_digit(in.peek()); ++in.at)
    wide |= __builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, in.peek() - '0', &whole);
  const size_t digits = in.at - from;
  fraction = 0;
  if (in.peek() == '.') {
    const size_t point = in.at++;
    while (is_digit(in.peek())) ++in.at;
    if (in.at > point + 1 && parse_float<double>(in.text.substr(point, in.at - point), fraction) != Status::ok) return Status::syntax;
  } else if (digits == 0) {
    return Status::syntax;
  }
  if (wide) whole = 0;
  return wide ? Status::range : Status::ok;
}

// What follows the first number of HH:MM[:SS[.fraction]] or, with a fraction, MM:SS.fraction.
inline Status take_interval_clock(Cursor& in, bool negative, int64_t hours, IntervalSum& sum) {
  int64_t second = 0, third = 0;
  double fraction = 0;
  Cursor ahead = in;
  if (!in.take(':')) return Status::syntax;
  if (!in.take_digits(1, 9, second)) return Status::syntax;
  if (in.take(':')) {
    if (take_interval_number(in, third, fraction) != Status::ok) return Status::syntax;
  } else if (in.peek() == '.') {
    ahead.take(':');
    if (take_interval_number(ahead, second, fraction) != Status::ok) return Status::syntax;
    in = ahead;
    third = second, second = hours, hours = 0;
  }
  if (second > 59 || third > 60) return Status::range;
  const int64_t sign = negative ? -1 : 1;
  Status status = sum.add(IntervalUnit::hour, sign * hours, 0);
  if (status == Status::ok) status = sum.add(IntervalUnit::minute, sign * second, 0);
  if (status == Status::ok) status = sum.add(IntervalUnit::second, sign * third, negative ? -fraction : fraction);
  return status;
}

inline bool take_interval_unit(Cursor& in, IntervalUnit& unit) {
  size_t end = in.at;
  while (end < in.text.size() && lower(in.text[end]) >= 'a' && lower(in.text[end]) <= 'z') ++end;
  const std::string_view word = in.text.substr(in.at, end - in.at);
  for (const IntervalWord& known : kIntervalWords) {
    if (known.word.size() != word.size() || !equals_word(word, known.word)) continue;
    unit = known.unit;
    in.at = end;
    return true;
  }
  return false;
}

// P[nY][nM][nW][nD][T[nH][nM][nS]], each number with a sign and a fraction.
inline Status parse_iso_interval(Cursor in, Interval& out) {
  IntervalSum sum;
  bool time = false;
  if (in.at == in.text.size()) return Status::syntax;
  while (in.at < in.text.size()) {
    if (in.peek() == 'T' && !time) {
      ++in.at, time = true;
      continue;
    }
    const bool negative = in.peek() == '-';
    if (negative || in.peek() == '+') ++in.at;
    int64_t whole = 0;
    double fraction = 0;
    if (const Status status = take_interval_number(in, whole, fraction); status != Status::ok) return status;
    const char letter = in.peek();
    ++in.at;
    IntervalUnit unit{};
    if (!time && letter == 'Y') unit = IntervalUnit::year;
    else if (!time && letter == 'M') unit = IntervalUnit::month;
    else if (!time && letter == 'W') unit = IntervalUnit::week;
    else if (!time && letter == 'D') unit = IntervalUnit::day;
    else if (time && letter == 'H') unit = IntervalUnit::hour;
    else if (time && letter == 'M') unit = IntervalUnit::minute;
    else if (time && letter == 'S') unit = IntervalUnit::second;
    else return Status::syntax;
    const Status status = sum.add(unit, negative ? -whole : whole, negative ? -fraction : fraction, false);
    if (status != Status::ok) return status;
  }
  return sum.finish(false, out);
}

}  // namespace detail

inline Status parse_interval(std::string_view text, Interval& out) {
  using detail::IntervalUnit;
  detail::Cursor in{trim(text)};
  if (in.take('P')) return detail::parse_iso_interval(in, out);
  detail::IntervalSum sum;
  bool ago = false;
  Status worst = Status::ok;  // a field out of range counts only when the syntax is right
  auto note = [&](Status status) {
    if (status == Status::range) worst = status;
    return status != Status::syntax;
  };
  in.take('@');
  in.skip_spaces();
  while (in.at < in.text.size()) {
    if (!sum.empty() && in.take_word("ago")) {
      if (in.at < in.text.size()) return Status::syntax;
      ago = true;
      break;
    }
    const bool negative = in.peek() == '-';
    if (negative || in.peek() == '+') ++in.at;
    in.skip_spaces();
    int64_t whole = 0;
    double fraction = 0;
    if (!note(detail::take_interval_number(in, whole, fraction))) return Status::syntax;
    const int64_t value = negative ? -whole : whole;
    if (negative) fraction = -fraction;
    if (in.peek() == ':') {
      if (fraction != 0 || !note(detail::take_interval_clock(in, negative, whole, sum))) return Status::syntax;
    } else if (int64_t months = 0; in.peek() == '-' && fraction == 0) {
      ++in.at;
      if (!in.take_digits(1, 2, months) || (in.at < in.text.size() && !is_space(in.peek()))) return Status::syntax;
      if (months >= 12) worst = Status::range;
      if (!note(sum.add(IntervalUnit::year, value, 0)) || !note(sum.add(IntervalUnit::month, negative ? -months : months, 0)))
        return Status::syntax;
    } else {
      in.skip_spaces();
      IntervalUnit unit = IntervalUnit::second;
      if (!detail::take_interval_unit(in, unit) && in.at < in.text.size()) {
        // `3 04:05`: a number in front of a time counts days.
        detail::Cursor ahead = in;
        if (ahead.peek() == '-' || ahead.peek() == '+') ++ahead.at;
        int64_t hours = 0;
        if (!ahead.take_digits(1, 19, hours) || ahead.peek() != ':') return Status::syntax;
        unit = IntervalUnit::day;
      }
      if (!note(sum.add(unit, value, fraction))) return Status::syntax;
    }
    in.skip_spaces();
  }
  if (worst != Status::ok) return worst;
  return sum.empty() ? Status::syntax : sum.finish(ago, out);
}

namespace detail {

inline char* put_chars(std::string_view text, char* to) {
  return static_cast<char*>(std::memcpy(to, text.data(), text.size())) + text.size();
}

}  // namespace detail

// 1 year 2 mons -3 days +04:05:06.7: a sign is written after a negative part. Returns the end.
inline char* format_interval(const Interval& v, char* to) {
  bool first = true, before = false;
  auto part = [&](int64_t value, std::string_view unit) {
    if (value == 0) return;
    if (!first) *to++ = ' ';
    if (before && value > 0) *to++ = '+';
    to = std::to_chars(to, to + 20, value).ptr;
    *to++ = ' ';
    to = detail::put_chars(unit, to);
    if (value != 1) *to++ = 's';
    before = value < 0;
    first = false;
  };
  part(v.months / 12, "year");
  part(v.months % 12, "mon");
  part(v.days, "day");
  if (!first && v.micros == 0) return to;
  if (!first) *to++ = ' ';
  if (v.micros < 0) *to++ = '-';
  else if (before) *to++ = '+';
  const uint64_t rest = v.micros < 0 ? ~static_cast<uint64_t>(v.micros) + 1 : static_cast<uint64_t>(v.micros);
  // The one number that is too large: 2^63 microseconds.
  const bool most = rest > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return most ? detail::put_chars("2562047788:00:54.775808", to) : format_time(static_cast<int64_t>(rest), to);
}

}  // namespace headwater::text
