// Booleans, integers, exact decimals and floats from and to text. See text.h for what all of them promise.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

namespace headwater::text {

// A decimal128 value: an integer count of 10^-scale. Always within (-10^38, 10^38).
__extension__ typedef __int128 Decimal;

enum class Status : uint8_t {
  ok,
  syntax,       // not a text of this type
  range,        // a text of this type whose value the type cannot hold
  unsupported,  // PostgreSQL accepts it and Headwater does not (numeric NaN and infinities)
};

inline constexpr int kDecimalDigits = 38;
inline constexpr size_t kIntegerChars = 20;  // what format_integer may write
inline constexpr size_t kDecimalChars = 48;  // what format_decimal may write: sign, 38 digits, leading zero, point, padding
inline constexpr size_t kDoubleChars = 32;   // what format_double and format_float may write

inline constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
inline constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// ASCII case-insensitive equality with a lower-case word.
inline bool equals_word(std::string_view text, std::string_view word) {
  if (text.size() != word.size()) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (lower(text[i]) != word[i]) return false;
  return true;
}

// 10^exponent for 0 <= exponent <= 38.
inline Decimal power_of_ten(int exponent) {
  static const auto table = [] {
    struct { Decimal value[kDecimalDigits + 1]; } made{};
    made.value[0] = 1;
    for (int i = 1; i <= kDecimalDigits; ++i) made.value[i] = made.value[i - 1] * 10;
    return made;
  }();
  return table.value[exponent];
}

// Whether |value| has at most `digits` decimal digits (0 <= digits <= 38).
inline bool fits(Decimal value, int digits) {
  const Decimal bound = power_of_ten(digits);
  return value > -bound && value < bound;
}

// value / 10^digits rounded half away from zero; digits >= 0 (38 or more than the value has gives 0 or the rounded 1).
inline Decimal round_away(Decimal value, int digits) {
  if (digits <= 0) return value;
  if (digits > kDecimalDigits) return 0;
  const Decimal divisor = power_of_ten(digits);
  const Decimal quotient = value / divisor, rest = value % divisor;
  const Decimal magnitude = rest < 0 ? -rest : rest;
  if (magnitude < divisor - magnitude) return quotient;
  return value < 0 ? quotient - 1 : quotient + 1;
}

// value at scale `from` brought to scale `to`: exact when growing, rounded half away from zero when shrinking.
// range when the result has more than 38 digits.
inline Status rescale(Decimal value, int from, int to, Decimal& out) {
  if (to <= from) {
    out = round_away(value, from - to);
    return Status::ok;
  }
  if (value == 0) {
    out = 0;
    return Status::ok;
  }
  if (to - from > kDecimalDigits || !fits(value, kDecimalDigits - (to - from))) return Status::range;
  out = value * power_of_ten(to - from);
  return Status::ok;
}

// true, false, yes, no, on, off and their unique prefixes, 1, 0; any case.
inline Status parse_bool(std::string_view text, bool& out) {
  text = trim(text);
  auto prefix = [&](std::string_view word, size_t shortest) {
    return text.size() >= shortest && text.size() <= word.size() && equals_word(text, word.substr(0, text.size()));
  };
  if (prefix("true", 1) || prefix("yes", 1) || equals_word(text, "on") || text == "1") {
    out = true;
    return Status::ok;
  }
  if (prefix("false", 1) || prefix("no", 1) || prefix("off", 2) || text == "0") {
    out = false;
    return Status::ok;
  }
  return Status::syntax;
}

// [+-]digits within [low, high], where low <= 0 <= high; no fraction, exponent, hex or underscores.
inline Status parse_integer(std::string_view text, int64_t low, int64_t high, int64_t& out) {
  text = trim(text);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return Status::syntax;
  // As PostgreSQL, a number that is too long is out of range even when something else follows it.
  const uint64_t limit = std::max(static_cast<uint64_t>(high), 0 - static_cast<uint64_t>(low));
  uint64_t magnitude = 0;
  for (char c : text) {
    if (!is_digit(c)) return Status::syntax;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (magnitude > (limit - std::min(limit, digit)) / 10) return Status::range;
    magnitude = magnitude * 10 + digit;
  }
  const uint64_t most = (uint64_t{1} << 63) - (negative ? 0 : 1);
  if (magnitude > most) return Status::range;
  const int64_t value = negative ? static_cast<int64_t>(0 - magnitude) : static_cast<int64_t>(magnitude);
  if (value < low || value > high) return Status::range;
  out = value;
  return Status::ok;
}

// [+-]digits[.digits][e[+-]digits] as an integer count of 10^-scale (0 <= scale <= 38), rounded half away from zero.
// *inexact, when asked for, says whether digits were lost. range: more than 38 digits in all; a declared precision is the
// caller's to check with fits(). NaN and infinities are unsupported.
inline Status parse_decimal(std::string_view text, int scale, Decimal& out, bool* inexact = nullptr) {
  text = trim(text);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (equals_word(text, "nan") || equals_word(text, "inf") || equals_word(text, "infinity")) return Status::unsupported;
  size_t end = 0, whole = 0, fraction = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  whole = end;
  if (end < text.size() && text[end] == '.') {
    ++end;
    while (end < text.size() && is_digit(text[end])) ++end, ++fraction;
  }
  if (whole + fraction == 0) return Status::syntax;
  int64_t exponent = 0;
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    size_t at = end + 1;
    bool down = false;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) down = text[at++] == '-';
    if (at == text.size()) return Status::syntax;
    for (; at < text.size(); ++at) {
      if (!is_digit(text[at])) return Status::syntax;
      if (exponent < 1'000'000'000) exponent = exponent * 10 + (text[at] - '0');
    }
    if (down) exponent = -exponent;
    end = at;
  }
  if (end != text.size()) return Status::syntax;

  // The digits as one string without the point: `keep` of them (from the left) count, the next one decides the rounding.
  auto digit = [&](size_t i) { return text[i < whole ? i : i + 1] - '0'; };
  const size_t digits = whole + fraction;
  size_t first = 0;
  while (first < digits && digit(first) == 0) ++first;
  out = 0;
  if (inexact) *inexact = false;
  if (first == digits) return Status::ok;
  const int64_t keep = static_cast<int64_t>(whole) + exponent + scale;
  if (keep - static_cast<int64_t>(first) > kDecimalDigits) return Status::range;
  Decimal value = 0;
  for (int64_t i = static_cast<int64_t>(first); i < keep; ++i)
    value = value * 10 + (i < static_cast<int64_t>(digits) ? digit(static_cast<size_t>(i)) : 0);
  if (keep >= 0 && keep < static_cast<int64_t>(digits) && digit(static_cast<size_t>(keep)) >= 5) ++value;
  if (inexact) {
    for (size_t i = keep < 0 ? 0 : static_cast<size_t>(keep); i < digits; ++i) *inexact |= digit(i) != 0;
  }
  if (!fits(value, kDecimalDigits)) return Status::range;
  out = negative ? -value : value;
  return Status::ok;
}

// NaN, [+-]inf[inity] in any case, or a decimal number; the nearest double. range when it overflows or vanishes to zero.
// Hexadecimal floats, which PostgreSQL takes from its C library, are a syntax error.
template <typename Float>
inline Status parse_float(std::string_view text, Float& out) {
  text = trim(text);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return Status::syntax;
  if (equals_word(text, "nan")) {
    out = std::numeric_limits<Float>::quiet_NaN();
    return Status::ok;
  }
  if (equals_word(text, "inf") || equals_word(text, "infinity")) {
    out = negative ? -std::numeric_limits<Float>::infinity() : std::numeric_limits<Float>::infinity();
    return Status::ok;
  }
  if (!is_digit(text.front()) && text.front() != '.') return Status::syntax;
  Float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return Status::syntax;
  if (error == std::errc::result_out_of_range) return Status::range;
  out = negative ? -value : value;
  return Status::ok;
}

inline char* format_integer(int64_t value, char* to) { return std::to_chars(to, to + kIntegerChars, value).ptr; }

// The value with exactly `scale` digits after the point, or, with `trims`, without trailing zeros. Returns the end.
inline char* format_decimal(Decimal value, int scale, bool trims, char* to) {
  if (value < 0) *to++ = '-';
  auto magnitude = value < 0 ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  if (trims) {
    while (scale > 0 && magnitude % 10 == 0) magnitude /= 10, --scale;
  }
  char digits[kDecimalChars];
  char* at = digits + sizeof(digits);
  int written = 0;
  while (magnitude != 0 || written <= scale) {
    if (written == scale && scale > 0) *--at = '.';
    *--at = static_cast<char>('0' + static_cast<int>(magnitude % 10));
    magnitude /= 10;
    ++written;
  }
  const size_t length = static_cast<size_t>(digits + sizeof(digits) - at);
  std::memcpy(to, at, length);
  return to + length;
}

// The shortest text that reads back as the same value, laid out as PostgreSQL does: plain digits while the exponent is
// within [-4, 15) for double and [-4, 6) for real, else 1.5e+20; NaN, Infinity, -Infinity. Returns the end.
template <typename Float>
inline char* format_float(Float value, char* to) {
  auto put = [&](std::string_view word) { return static_cast<char*>(std::memcpy(to, word.data(), word.size())) + word.size(); };
  if (std::isnan(value)) return put("NaN");
  if (std::isinf(value)) return put(value < 0 ? "-Infinity" : "Infinity");
  char scientific[kDoubleChars];
  const char* end = std::to_chars(scientific, scientific + sizeof(scientific), value, std::chars_format::scientific).ptr;
  const char* mark = end;
  while (*--mark != 'e') {}
  int exponent = 0;
  std::from_chars(mark + (mark[1] == '+' ? 2 : 1), end, exponent);
  constexpr int plain_below = std::numeric_limits<Float>::digits10 < 10 ? 6 : 15;
  if (exponent < -4 || exponent >= plain_below) return put({scientific, static_cast<size_t>(end - scientific)});
  const char* from = scientific;
  if (*from == '-') *to++ = *from++;
  if (exponent < 0) {
    *to++ = '0';
    *to++ = '.';
    for (int i = -1; i > exponent; --i) *to++ = '0';
  }
  for (; from != mark; ++from) {
    if (*from == '.') continue;
    *to++ = *from;
    if (exponent-- == 0 && from + 1 != mark) *to++ = '.';
  }
  while (exponent-- >= 0) *to++ = '0';
  return to;
}

}  // namespace headwater::text
