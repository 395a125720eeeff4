// Exact sums of floating-point numbers: order never matters and taking a number away undoes adding it.
//
// An accumulator is a signed fixed-point number wide enough for every double times every diff, with its lowest bit worth
// 2^-1074, and counts of NaN, +infinity and -infinity. Accumulators form a commutative group under `float_add`.
// A part of the module `_rows`: sums by group share the loops, and so the threads, of the kernels there.
#pragma once

#include "dataflow/kernels/values.h"

#include <string>
#include <string_view>

namespace headwater::scalars {

// 2,098 bits of doubles, 63 of a diff, a sign, and 14 left for the number of additions at the largest double.
inline constexpr int kLimbs = 34;

struct Accumulator {
  uint64_t limbs[kLimbs] = {};  // two's complement, lowest first
  int64_t nans = 0, infinities = 0, minus_infinities = 0;

  void add(double value, int64_t diff);
  // Add another sum, or with `negative` take it away.
  void add(const Accumulator& other, bool negative = false);
  // The sum, rounded once to the nearest double, ties to even; NaN and infinities as PostgreSQL's sum. A finite sum
  // beyond the largest double gives an infinity.
  double round() const;

  // A short form for storage, one for each sum: most sums span few limbs. Zero has no bytes.
  std::string pack() const;
  // Raises std::invalid_argument when the bytes are not what `pack` makes.
  static Accumulator unpack(std::string_view packed);
};

}  // namespace headwater::scalars
