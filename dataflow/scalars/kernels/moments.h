// Exact sums of numbers, of their squares and of products of pairs, and the statistics that are made of them.
//
// Always true: moments form a commutative group, so that what was added can be taken away without a trace; a statistic is rounded
// once, from the exact sums. Deliberately unknown: groups of SQL, and which statistic an aggregate's name means.
#pragma once

#include "dataflow/scalars/kernels/scalars.h"

#include <string>
#include <string_view>

namespace headwater::scalars {

// A two's complement number of 4,352 bits: 4,196 of a product of two doubles in units of 2^-2148, 63 of a diff, a sign, and 92 left
// for the number of additions.
struct Fixed {
  static constexpr int kLimbs = 68;
  uint64_t limbs[kLimbs] = {};  // lowest first

  // Add, or with `negative` subtract, a magnitude of `count` limbs times 2^shift.
  void add(const uint64_t* magnitude, int count, int shift, bool negative);
  void add(const Fixed& other);
  void pack(std::string& out) const;
  // Reads one from the beginning of `packed` and moves that on. Raises std::invalid_argument for what `pack` does not make.
  static Fixed unpack(std::string_view& packed);
};

// Sums over pairs (x, y), or of x alone. Doubles are counted in units of 2^-1074 and their products of 2^-2148, integers and decimals
// in units of their last digit and its square. NaN and the infinities are only counted: with one of them every statistic is NaN.
struct Moments {
  Fixed x, xx, y, yy, xy;
  int64_t special = 0;

  void add(const Column& xs, const Column* ys, int64_t row, int64_t diff);
  void add(const Moments& other);
  // A short form for storage; of zero it is empty.
  std::string pack(bool pairs) const;
  static Moments unpack(std::string_view packed, bool pairs);
};

// The moments of each group as large_binary; rows with a NULL are skipped. One pass over the rows in order of their groups.
Column moments_of(const int64_t* ids, int64_t groups, const Column& xs, const Column* ys, const int64_t* diffs);
Column moments_add(const Column& a, const Column& b, bool pairs);

// A statistic by its SQL name (var_pop, stddev_samp, corr, regr_slope, ...) of moments over `counts` pairs each: doubles where `scale`
// is negative, else decimals of `digits` of what are moments of numbers with `scale`. NULL where it has no value; also says where it
// does not fit its type. Raises std::invalid_argument for another name.
std::pair<Column, Column> statistic(const std::string& name, const Column& moments, const int64_t* counts, bool pairs, int scale,
                                    int digits);

}  // namespace headwater::scalars
