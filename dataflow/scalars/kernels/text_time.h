// Dates and timestamps from and to text: the proleptic Gregorian calendar, days and microseconds since 1970-01-01, UTC.
//
// Accepted: ISO 8601's YYYY-MM-DD (months and days may have one digit, years four or more digits) and YYYYMMDD, then
// optionally a blank or T and HH:MM[:SS[.fraction]], then optionally Z, UTC, GMT or +-HH[[:]MM[[:]SS]], then optionally
// BC or AD. Other spellings that PostgreSQL reads (`Jan 5 2024`, `now`, `infinity`, zone names) are a syntax error.
// Fractions of a microsecond round to the nearest, 24:00:00 and a 60th second carry over, as in PostgreSQL.
#pragma once

#include "dataflow/scalars/kernels/text_number.h"

namespace headwater::text {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
inline constexpr int64_t kFirstDay = -2'440'588;     // 4714-11-24 BC, Julian day zero: PostgreSQL's first date
inline constexpr int64_t kLastDay = 2'145'042'905;   // 5874897-12-31: PostgreSQL's last date
inline constexpr int64_t kLastTimestampDay = 106'751'990;  // the last whole day that int64 microseconds hold (year 294247)
inline constexpr size_t kDateChars = 24;             // what format_date may write
inline constexpr size_t kTimestampChars = 48;        // what format_timestamp may write

struct Civil {
  int64_t year;  // astronomical: 0 is 1 BC
  int month, day;
};

// Days since 1970-01-01 of a valid civil date. Years run from March, so that the leap day is the last of its year.
inline constexpr int64_t days_from_civil(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

inline constexpr Civil civil_from_days(int64_t days) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t march = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(march < 10 ? march + 3 : march - 9);
  return {year_of_era + era * 400 + (month <= 2), month, static_cast<int>(day_of_year - (153 * march + 2) / 5 + 1)};
}

inline constexpr int days_in_month(int64_t year, int month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Floor division: microseconds -> days also before 1970.
inline constexpr int64_t floor_div(int64_t value, int64_t by) { return value / by - (value % by < 0); }

namespace detail {

// Reads text from left to right; every take_* leaves the position alone when it fails.
struct Cursor {
  std::string_view text;
  size_t at = 0;

  char peek() const { return at < text.size() ? text[at] : '\0'; }
  bool take(char c) { return peek() == c && at < text.size() ? (++at, true) : false; }
  bool skip_spaces() {
    const size_t from = at;
    while (at < text.size() && is_space(text[at])) ++at;
    return at > from;
  }
  // least..most digits as a number; returns how many, 0 when there are fewer than `least` or more than `most`.
  int take_digits(int least, int most, int64_t& out) {
    size_t end = at;
    int64_t value = 0;
    while (end < text.size() && is_digit(text[end])) {
      if (end - at == static_cast<size_t>(most)) return 0;
      value = value * 10 + (text[end++] - '0');
    }
    const int count = static_cast<int>(end - at);
    if (count < least) return 0;
    out = value;
    at = end;
    return count;
  }
  bool take_word(std::string_view word) {
    if (!equals_word(text.substr(at, word.size()), word)) return false;
    at += word.size();
    return true;
  }
};

struct Moment {
  int64_t days = 0;    // of the date as written
  int64_t micros = 0;  // of the time of day as written, up to and including one day and a second
  int64_t zone = 0;    // seconds east of UTC
  bool has_time = false, has_zone = false;
};

inline Status parse_date_fields(Cursor& in, int64_t& year, int64_t& month, int64_t& day) {
  if (in.take_digits(8, 8, year)) {
    if (in.peek() != '-') {
      day = year % 100;
      month = year / 100 % 100;
      year /= 10'000;
      return Status::ok;
    }
  } else if (!in.take_digits(4, 7, year)) {
    return Status::syntax;
  }
  if (!in.take('-') || !in.take_digits(1, 2, month) || !in.take('-') || !in.take_digits(1, 2, day)) return Status::syntax;
  return Status::ok;
}

inline Status parse_time_fields(Cursor& in, int64_t& micros) {
  int64_t hour = 0, minute = 0, second = 0, fraction = 0;
  if (!in.take_digits(1, 2, hour) || !in.take(':') || !in.take_digits(1, 2, minute)) return Status::syntax;
  if (in.take(':')) {
    if (!in.take_digits(1, 2, second)) return Status::syntax;
    if (in.take('.')) {
      int64_t scale = kMicrosPerSecond;
      bool up = false;
      for (int place = 0; is_digit(in.peek()); ++place, ++in.at) {
        if (place < 6) fraction += (in.peek() - '0') * (scale /= 10);
        if (place == 6) up = in.peek() >= '5';
      }
      fraction += up;
    }
  }
  if (hour > 24 || minute > 59 || second > 60 || (hour == 24 && (minute || second || fraction))) return Status::range;
  micros = ((hour * 60 + minute) * 60 + second) * kMicrosPerSecond + fraction;
  return Status::ok;
}

inline Status parse_zone(Cursor& in, int64_t& zone) {
  if (in.take_word("utc") || in.take_word("gmt") || in.take_word("z")) return Status::ok;
  const bool west = in.peek() == '-';
  if (!in.take('+') && !in.take('-')) return Status::syntax;
  int64_t hour = 0, minute = 0, second = 0;
  if (in.take_digits(1, 2, hour)) {
    if (in.take(':') && !in.take_digits(2, 2, minute)) return Status::syntax;
    if (in.take(':') && !in.take_digits(2, 2, second)) return Status::syntax;
  } else if (in.take_digits(3, 4, hour)) {
    minute = hour % 100;
    hour /= 100;
  } else {
    return Status::syntax;
  }
  if (hour > 15 || minute > 59 || second > 59) return Status::range;
  zone = (hour * 60 + minute) * 60 + second;
  if (west) zone = -zone;
  return Status::ok;
}

inline Status parse_moment(std::string_view text, Moment& out) {
  Cursor in{trim(text)};
  int64_t year = 0, month = 0, day = 0;
  if (Status status = parse_date_fields(in, year, month, day); status != Status::ok) return status;
  Status fields = Status::ok;
  bool blank = in.skip_spaces();
  if (blank ? is_digit(in.peek()) : in.take_word("t")) {
    fields = parse_time_fields(in, out.micros);
    if (fields == Status::syntax) return fields;
    out.has_time = true;
    blank = in.skip_spaces();
  }
  const bool era = in.at < in.text.size() && (lower(in.peek()) == 'b' || lower(in.peek()) == 'a');
  if (in.at < in.text.size() && !era) {
    const Status status = parse_zone(in, out.zone);
    if (status == Status::syntax) return status;
    if (status != Status::ok) fields = status;
    out.has_zone = true;
    in.skip_spaces();
  }
  bool before_christ = false;
  if (in.at < in.text.size()) {
    before_christ = in.take_word("bc");
    if (!before_christ && !in.take_word("ad")) return Status::syntax;
  }
  if (in.at != in.text.size()) return Status::syntax;
  if (fields != Status::ok) return fields;
  if (year == 0 || month < 1 || month > 12) return Status::range;
  if (before_christ) year = 1 - year;
  if (day < 1 || day > days_in_month(year, static_cast<int>(month))) return Status::range;
  out.days = days_from_civil(year, static_cast<int>(month), static_cast<int>(day));
  return out.days < kFirstDay || out.days > kLastDay ? Status::range : Status::ok;
}

}  // namespace detail

// A date; a time of day and a zone behind it are read and ignored, as PostgreSQL does.
inline Status parse_date(std::string_view text, int32_t& days) {
  detail::Moment moment;
  const Status status = detail::parse_moment(text, moment);
  if (status == Status::ok) days = static_cast<int32_t>(moment.days);
  return status;
}

// Microseconds since 1970-01-01. with_zone (timestamptz): a written zone is applied, none means UTC. Otherwise (timestamp)
// a written zone is read and ignored, as PostgreSQL does. *has_zone, when asked for, says whether a zone was written.
inline Status parse_timestamp(std::string_view text, bool with_zone, int64_t& micros, bool* has_zone = nullptr) {
  detail::Moment moment;
  const Status status = detail::parse_moment(text, moment);
  if (status != Status::ok) return status;
  if (moment.days >= kLastTimestampDay) return Status::range;
  micros = moment.days * kMicrosPerDay + moment.micros;
  if (with_zone) micros -= moment.zone * kMicrosPerSecond;
  if (has_zone) *has_zone = moment.has_zone;
  return Status::ok;
}

namespace detail {

inline char* format_digits(int64_t value, int width, char* to) {
  char digits[20];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  for (int64_t i = end - digits; i < width; ++i) *to++ = '0';
  std::memcpy(to, digits, static_cast<size_t>(end - digits));
  return to + (end - digits);
}

inline char* format_civil(const Civil& civil, char* to) {
  to = format_digits(civil.year > 0 ? civil.year : 1 - civil.year, 4, to);
  *to++ = '-';
  to = format_digits(civil.month, 2, to);
  *to++ = '-';
  return format_digits(civil.day, 2, to);
}

}  // namespace detail

// Microseconds since midnight, up to 24:00 itself: HH:MM[:SS[.fraction]] or HHMM[SS], AM or PM behind it; a date in front and
// a zone behind are read and ignored.
inline Status parse_time(std::string_view text, int64_t& micros) {
  detail::Cursor in{trim(text)};
  detail::Moment moment;
  if (detail::parse_moment(in.text, moment) == Status::ok && moment.has_time) {
    micros = moment.micros;
    return micros > kMicrosPerDay ? Status::range : Status::ok;
  }
  in.take_word("t");
  int64_t packed = 0;
  detail::Cursor ahead = in;
  if (const int digits = ahead.take_digits(4, 6, packed); digits == 4 || digits == 6) {
    const int64_t seconds = digits == 6 ? packed % 100 : 0;
    if (digits == 6) packed /= 100;
    if (packed / 100 > 24 || packed % 100 > 59 || seconds > 60) return Status::range;
    micros = ((packed / 100 * 60 + packed % 100) * 60 + seconds) * kMicrosPerSecond;
    in = ahead;
  } else if (const Status status = detail::parse_time_fields(in, micros); status != Status::ok) {
    return status;
  }
  in.skip_spaces();
  const bool after = in.take_word("pm"), before = !after && in.take_word("am");
  if (after || before) {
    if (micros >= 13 * 3600 * kMicrosPerSecond) return Status::range;
    const bool twelve = micros >= 12 * 3600 * kMicrosPerSecond;
    if (after && !twelve) micros += kMicrosPerDay / 2;
    if (before && twelve) micros -= kMicrosPerDay / 2;
    in.skip_spaces();
  }
  int64_t zone = 0;
  if (in.at < in.text.size()) {
    if (const Status status = detail::parse_zone(in, zone); status != Status::ok) return status;
  }
  if (in.at != in.text.size()) return Status::syntax;
  return micros > kMicrosPerDay ? Status::range : Status::ok;
}

// 2024-02-29, or 0044-03-15 BC. Returns the end.
inline char* format_date(int64_t days, char* to) {
  const Civil civil = civil_from_days(days);
  to = detail::format_civil(civil, to);
  return civil.year > 0 ? to : static_cast<char*>(std::memcpy(to, " BC", 3)) + 3;
}

// HH:MM:SS and the fraction without trailing zeros. Returns the end.
inline char* format_time(int64_t micros, char* to) {
  int64_t fraction = micros % kMicrosPerSecond;
  const int64_t rest = micros / kMicrosPerSecond;
  to = detail::format_digits(rest / 3600, 2, to);
  *to++ = ':';
  to = detail::format_digits(rest / 60 % 60, 2, to);
  *to++ = ':';
  to = detail::format_digits(rest % 60, 2, to);
  if (fraction != 0) {
    int width = 6;
    while (fraction % 10 == 0) fraction /= 10, --width;
    *to++ = '.';
    to = detail::format_digits(fraction, width, to);
  }
  return to;
}

// Date, `separator`, HH:MM:SS, the fraction without trailing zeros, `suffix` (at most 8 characters: "", "+00", "Z"), BC.
// PostgreSQL's own output is ' ' with "" for timestamp and "+00" for timestamptz. Returns the end.
inline char* format_timestamp(int64_t micros, char separator, std::string_view suffix, char* to) {
  const int64_t days = floor_div(micros, kMicrosPerDay);
  const int64_t rest = micros - days * kMicrosPerDay;
  const Civil civil = civil_from_days(days);
  to = detail::format_civil(civil, to);
  *to++ = separator;
  to = format_time(rest, to);
  suffix = suffix.substr(0, 8);
  to = static_cast<char*>(std::memcpy(to, suffix.data(), suffix.size())) + suffix.size();
  return civil.year > 0 ? to : static_cast<char*>(std::memcpy(to, " BC", 3)) + 3;
}

}  // namespace headwater::text
