// Exact arithmetic of decimals: 38 digits in, 38 digits out, 256 bits in between, rounding half away from zero.
//
// Always true: a result that is not within 38 digits is said to be so, never wrapped; the inputs are within 38 digits.
#pragma once

#include "dataflow/scalars/kernels/text_number.h"

namespace headwater::decimal {

using text::Decimal;
using text::fits;
using text::kDecimalDigits;
using text::power_of_ten;
__extension__ typedef unsigned __int128 Unsigned;

inline Unsigned magnitude(Decimal v) { return v < 0 ? -static_cast<Unsigned>(v) : static_cast<Unsigned>(v); }

// An unsigned number of 256 bits.
struct Wide {
  Unsigned high = 0, low = 0;

  static Wide product(Unsigned a, Unsigned b) {
    constexpr Unsigned mask = ~uint64_t{0};
    const Unsigned a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
    const Unsigned p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0;
    const Unsigned middle = (p00 >> 64) + (p01 & mask) + (p10 & mask);
    return {a1 * b1 + (p01 >> 64) + (p10 >> 64) + (middle >> 64), (middle << 64) | (p00 & mask)};
  }
  bool operator<(const Wide& o) const { return high != o.high ? high < o.high : low < o.low; }

  // Replace *this by the quotient and return the remainder; by > 0.
  Unsigned divide(Unsigned by) {
    if (high == 0) {
      const Unsigned rest = low % by;
      low /= by;
      return rest;
    }
    Unsigned rest = 0;
    for (int i = 0; i < 256; ++i) {
      const bool carry = rest >> 127;
      rest = (rest << 1) | (high >> 127);
      high = (high << 1) | (low >> 127);
      low <<= 1;
      if (carry || rest >= by) {
        rest -= by;
        low |= 1;
      }
    }
    return rest;
  }
};

inline bool to_decimal(const Wide& wide, bool negative, Decimal& out) {
  if (wide.high != 0 || wide.low >= static_cast<Unsigned>(power_of_ten(kDecimalDigits))) return false;
  out = negative ? -static_cast<Decimal>(wide.low) : static_cast<Decimal>(wide.low);
  return true;
}

// value * 10^up, false when it leaves 38 digits; up >= 0.
inline bool scale_up(Decimal value, int up, Decimal& out) {
  return text::rescale(value, 0, up, out) == text::Status::ok;
}

// a (scale sa) + b (scale sb) at the larger scale.
inline bool add(Decimal a, int sa, Decimal b, int sb, Decimal& out) {
  if (sa < sb ? !scale_up(a, sb - sa, a) : !scale_up(b, sa - sb, b)) {
    // One side has too many digits at the common scale; with the other's help the sum may still fit (10^38 - 1).
    const int up = sa < sb ? sb - sa : sa - sb;
    const Decimal big = sa < sb ? a : b, small = sa < sb ? b : a;
    if ((big < 0) == (small < 0) || up > kDecimalDigits) return false;
    Wide wide = Wide::product(magnitude(big), static_cast<Unsigned>(power_of_ten(up)));
    const Unsigned less = magnitude(small);
    wide.high -= wide.low < less;
    wide.low -= less;
    return to_decimal(wide, big < 0, out);
  }
  return !__builtin_add_overflow(a, b, &out) && fits(out, kDecimalDigits);
}

// a * b, whose exact scale is `drop` digits longer than that of the result.
inline bool multiply(Decimal a, Decimal b, int drop, Decimal& out) {
  if (drop == 0) {
    if (__builtin_mul_overflow(a, b, &out)) return false;
    return fits(out, kDecimalDigits);
  }
  Wide wide = Wide::product(magnitude(a), magnitude(b));
  for (int rest = drop; rest > 0;) {
    const int now = rest < kDecimalDigits ? rest : kDecimalDigits;
    const Unsigned by = static_cast<Unsigned>(power_of_ten(now));
    const Unsigned remainder = wide.divide(by);
    rest -= now;
    if (rest == 0 && remainder >= by - remainder) wide.high += ++wide.low == 0;
  }
  return to_decimal(wide, (a < 0) != (b < 0), out);
}

// a / b at a scale that is `shift` digits longer than scale(a) - scale(b), rounded; b != 0, -38 <= shift <= 76.
inline bool divide(Decimal a, Decimal b, int shift, Decimal& out) {
  const bool negative = (a < 0) != (b < 0);
  const Unsigned by = magnitude(b);
  if (shift < 0) {
    const Wide divisor = Wide::product(by, static_cast<Unsigned>(power_of_ten(-shift)));
    if (divisor.high == 0) {
      Wide wide{0, magnitude(a)};
      const Unsigned rest = wide.divide(divisor.low);
      if (rest >= divisor.low - rest) ++wide.low;
      return to_decimal(wide, negative, out);
    }
    // The divisor is larger than any dividend: the quotient is below 1.
    const Wide twice{magnitude(a) >> 127, magnitude(a) << 1};
    out = twice < divisor ? 0 : negative ? -1 : 1;
    return true;
  }
  // In two steps, since the dividend may need more than 256 bits: the quotient so far, then the rest of the digits.
  const int first = shift < kDecimalDigits ? shift : kDecimalDigits;
  Wide wide = Wide::product(magnitude(a), static_cast<Unsigned>(power_of_ten(first)));
  Unsigned rest = wide.divide(by);
  if (shift > first) {
    Decimal so_far = 0;
    if (!to_decimal(wide, false, so_far)) return false;
    const auto more = static_cast<Unsigned>(power_of_ten(shift - first));
    Wide tail = Wide::product(rest, more);
    rest = tail.divide(by);
    wide = Wide::product(magnitude(so_far), more);
    wide.low += tail.low;
    wide.high += (wide.low < tail.low) + tail.high;
  }
  if (rest >= by - rest) wide.high += ++wide.low == 0;
  return to_decimal(wide, negative, out);
}

// The remainder of a / b at the larger scale, with the sign of a; b != 0.
inline bool remainder(Decimal a, int sa, Decimal b, int sb, Decimal& out) {
  if (sa >= sb) {
    const Wide divisor = Wide::product(magnitude(b), static_cast<Unsigned>(power_of_ten(sa - sb)));
    if (divisor.high != 0 || magnitude(a) < divisor.low) {
      out = a;
      return true;
    }
    const Unsigned rest = magnitude(a) % divisor.low;
    out = a < 0 ? -static_cast<Decimal>(rest) : static_cast<Decimal>(rest);
    return true;
  }
  Wide wide = Wide::product(magnitude(a), static_cast<Unsigned>(power_of_ten(sb - sa)));
  const Unsigned rest = wide.divide(magnitude(b));
  return to_decimal({0, rest}, a < 0, out);
}

// -1, 0 or 1 by value, whatever the scales.
inline int compare(Decimal a, int sa, Decimal b, int sb) {
  if (sa != sb) {
    if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
    const bool negative = a < 0;
    const Wide left = Wide::product(magnitude(a), static_cast<Unsigned>(power_of_ten(sa < sb ? sb - sa : 0)));
    const Wide right = Wide::product(magnitude(b), static_cast<Unsigned>(power_of_ten(sb < sa ? sa - sb : 0)));
    const int order = left < right ? -1 : right < left ? 1 : 0;
    return negative ? -order : order;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

}  // namespace headwater::decimal
