#include "dataflow/scalars/kernels/floats.h"

#include "dataflow/kernels/builder.h"
#include "dataflow/kernels/group.h"
#include "dataflow/kernels/numpy.h"

#include <nanobind/stl/vector.h>

#include <bit>
#include <cmath>

namespace headwater::scalars {

namespace nb = nanobind;
using namespace nb::literals;
using arrow::Column;
using arrow::read_column;
using arrow::write_column;
using rows::Int64s;
using rows::same_rows;
using rows::size;
using rows::to_numpy;
using rows::uint128;

namespace {

// Modulo 2^64, so that counts too form a group whatever the diffs are.
int64_t plus(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }

// Add or subtract magnitude * 2^shift, where `shift` counts from the lowest bit of the limbs.
void add_magnitude(uint64_t* limbs, uint128 magnitude, int shift, bool negative) {
  int limb = shift / 64, bit = shift % 64;
  uint64_t low = static_cast<uint64_t>(magnitude), high = static_cast<uint64_t>(magnitude >> 64);
  uint64_t parts[3] = {low << bit, high << bit, 0};
  if (bit) {
    parts[1] |= low >> (64 - bit);
    parts[2] = high >> (64 - bit);
  }
  uint64_t carry = 0;
  for (int i = 0; limb + i < kLimbs && (i < 3 || carry); ++i) {
    uint64_t part = i < 3 ? parts[i] : 0;
    uint128 sum = negative ? static_cast<uint128>(limbs[limb + i]) - part - carry
                           : static_cast<uint128>(limbs[limb + i]) + part + carry;
    limbs[limb + i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64) & 1;
  }
}

}  // namespace

void Accumulator::add(double value, int64_t diff) {
  if (value != value) {
    nans = plus(nans, diff);
    return;
  }
  if (std::isinf(value)) {
    int64_t& count = value > 0 ? infinities : minus_infinities;
    count = plus(count, diff);
    return;
  }
  auto bits = std::bit_cast<uint64_t>(value);
  auto exponent = static_cast<int>((bits >> 52) & 0x7ff);
  uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
  if (exponent) mantissa |= uint64_t{1} << 52;
  uint64_t times = diff < 0 ? -static_cast<uint64_t>(diff) : static_cast<uint64_t>(diff);
  add_magnitude(limbs, static_cast<uint128>(mantissa) * times, exponent ? exponent - 1 : 0,
                (value < 0) != (diff < 0));
}

void Accumulator::add(const Accumulator& other, bool negative) {
  const uint64_t flip = negative ? ~uint64_t{0} : 0;
  uint64_t carry = negative;
  for (int i = 0; i < kLimbs; ++i) {
    uint128 sum = static_cast<uint128>(limbs[i]) + (other.limbs[i] ^ flip) + carry;
    limbs[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
  }
  auto count = [&](int64_t& mine, int64_t its) { mine = plus(mine, static_cast<int64_t>((static_cast<uint64_t>(its) ^ flip) + negative)); };
  count(nans, other.nans);
  count(infinities, other.infinities);
  count(minus_infinities, other.minus_infinities);
}

double Accumulator::round() const {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (nans || (infinities && minus_infinities)) return std::numeric_limits<double>::quiet_NaN();
  if (infinities) return infinity;
  if (minus_infinities) return -infinity;
  uint64_t magnitude[kLimbs];
  bool negative = limbs[kLimbs - 1] >> 63;
  uint64_t carry = negative;
  for (int i = 0; i < kLimbs; ++i) {
    magnitude[i] = (negative ? ~limbs[i] : limbs[i]) + carry;
    carry = carry && magnitude[i] == 0;
  }
  int top = kLimbs - 1;
  while (top >= 0 && !magnitude[top]) --top;
  if (top < 0) return 0;
  int highest = top * 64 + 63 - std::countl_zero(magnitude[top]);
  // Below 2^53 units the sum is a double as it stands (the small ones are subnormal).
  if (highest < 53) return std::ldexp(negative ? -static_cast<double>(magnitude[0]) : static_cast<double>(magnitude[0]), -1074);
  int drop = highest - 52;  // bits below the 53 that stay
  int limb = drop / 64, bit = drop % 64;
  uint64_t kept = magnitude[limb] >> bit;
  if (bit && limb + 1 < kLimbs) kept |= magnitude[limb + 1] << (64 - bit);
  kept &= (uint64_t{1} << 53) - 1;
  int half = drop - 1;
  bool above = (magnitude[half / 64] >> (half % 64)) & 1;
  bool rest = magnitude[half / 64] & ((uint64_t{1} << (half % 64)) - 1);
  for (int i = 0; i < half / 64; ++i) rest = rest || magnitude[i];
  if (above && (rest || (kept & 1))) ++kept;
  double rounded = std::ldexp(static_cast<double>(kept), drop - 1074);
  return negative ? -rounded : rounded;
}

// Form: first limb, number of limbs, those limbs (the ones above repeat the sign of the last), then the counts if any.
std::string Accumulator::pack() const {
  int first = 0, last = kLimbs - 1;
  while (first < last && !limbs[first]) ++first;
  while (last > first && limbs[last] == (limbs[last - 1] >> 63 ? ~uint64_t{0} : 0)) --last;
  int count = first == last && !limbs[first] ? 0 : last - first + 1;
  bool special = nans || infinities || minus_infinities;
  if (!count && !special) return {};
  std::string out{static_cast<char>(count ? first : 0), static_cast<char>(count)};
  out.append(reinterpret_cast<const char*>(limbs + first), static_cast<size_t>(count) * 8);
  for (int64_t value : {nans, infinities, minus_infinities})
    if (special) out.append(reinterpret_cast<const char*>(&value), 8);
  return out;
}

Accumulator Accumulator::unpack(std::string_view packed) {
  Accumulator out;
  if (packed.empty()) return out;
  size_t first = static_cast<uint8_t>(packed[0]), count = packed.size() > 1 ? static_cast<uint8_t>(packed[1]) : kLimbs + 1;
  size_t counts = 2 + 8 * count;
  if (first + count > kLimbs || (packed.size() != counts && packed.size() != counts + 24))
    throw std::invalid_argument("a stored float sum of " + std::to_string(packed.size()) + " bytes is damaged");
  if (count) {
    std::memcpy(out.limbs + first, packed.data() + 2, count * 8);
    uint64_t sign = out.limbs[first + count - 1] >> 63 ? ~uint64_t{0} : 0;
    std::fill(out.limbs + first + count, out.limbs + kLimbs, sign);
  }
  if (packed.size() == counts) return out;
  std::memcpy(&out.nans, packed.data() + counts, 8);
  std::memcpy(&out.infinities, packed.data() + counts + 8, 8);
  std::memcpy(&out.minus_infinities, packed.data() + counts + 16, 8);
  return out;
}

namespace {

const std::string& accumulator_format() {
  static const std::string format = "w:" + std::to_string(sizeof(Accumulator));
  return format;
}

Column write_accumulators(const std::vector<Accumulator>& accumulators) {
  arrow::Builder builder(accumulator_format().c_str());
  builder.reserve(static_cast<int64_t>(accumulators.size()));
  for (const Accumulator& accumulator : accumulators) builder.append(accumulator);
  return builder.finish();
}

Column read_accumulators(nb::handle object) {
  Column column = read_column(object);
  if (column.format.text != accumulator_format())
    throw std::invalid_argument("arrow format '" + column.format.text + "' is not that of float sums");
  return column;
}

nb::tuple float_sums(Int64s ids, int64_t groups, nb::handle values_, Int64s diffs) {
  Column values = read_column(values_), out;
  same_rows("values", values.length, size(ids));
  same_rows("diffs", size(diffs), size(ids));
  if (values.format.meaning != arrow::Meaning::real)
    throw std::invalid_argument("values of arrow format '" + values.format.text + "' are not floating-point");
  {
    nb::gil_scoped_release unlocked;
    out = write_accumulators(rows::sum_parts<Accumulator>(
        ids.data(), values.length, groups,
        [&](int64_t begin, int64_t end, Accumulator* sums) {
          for (int64_t i = begin; i < end; ++i) {
            if (!values.valid(i)) continue;
            double value = values.format.width == 4 ? static_cast<double>(values.value<float>(i)) : values.value<double>(i);
            sums[ids.data()[i]].add(value, diffs.data()[i]);
          }
        },
        [](Accumulator& sum, const Accumulator& more) { sum.add(more); }));
  }
  return write_column(out);
}

nb::tuple float_add(nb::handle a_, nb::handle b_) {
  Column a = read_accumulators(a_), b = read_accumulators(b_), out;
  same_rows("the second array", b.length, a.length);
  {
    nb::gil_scoped_release unlocked;
    std::vector<Accumulator> sums(static_cast<size_t>(a.length));
    for (int64_t i = 0; i < a.length; ++i) {
      if (a.valid(i)) sums[static_cast<size_t>(i)] = a.value<Accumulator>(i);
      if (b.valid(i)) sums[static_cast<size_t>(i)].add(b.value<Accumulator>(i));
    }
    out = write_accumulators(sums);
  }
  return write_column(out);
}

nb::tuple float_round(nb::handle sums_) {
  Column sums = read_accumulators(sums_), out;
  {
    nb::gil_scoped_release unlocked;
    arrow::Builder builder("g");
    builder.reserve(sums.length);
    for (int64_t i = 0; i < sums.length; ++i) {
      if (sums.valid(i)) builder.append(sums.value<Accumulator>(i).round());
      else builder.append_null();
    }
    out = builder.finish();
  }
  return write_column(out);
}

// One of the ranges of a sliding sum: what was added up for the row before.
struct Sliding {
  Accumulator sum;
  int64_t low = 0, high = 0;
};

nb::tuple float_frames(nb::handle values_, nb::handle bases_, const std::vector<Int64s>& lows, const std::vector<Int64s>& highs) {
  Column values = read_column(values_), bases = read_column(bases_), packed, rounded;
  same_rows("bases", bases.length, values.length);
  same_rows("the highs", static_cast<int64_t>(highs.size()), static_cast<int64_t>(lows.size()));
  if (values.format.meaning != arrow::Meaning::real)
    throw std::invalid_argument("values of arrow format '" + values.format.text + "' are not floating-point");
  if (bases.format.layout != arrow::Layout::bytes)
    throw std::invalid_argument("arrow format '" + bases.format.text + "' is not that of stored float sums");
  int64_t rows = lows.empty() ? 0 : size(lows.front());
  for (const auto& ends : {lows, highs})
    for (const Int64s& end : ends) same_rows("a range", size(end), rows);
  std::vector<uint8_t> overflow(static_cast<size_t>(rows));
  {
    nb::gil_scoped_release unlocked;
    arrow::Builder sums("Z"), doubles("g");
    sums.reserve(rows, rows * 32);
    doubles.reserve(rows);
    std::vector<Sliding> ranges(lows.size());
    auto change = [&](Accumulator& sum, int64_t i, int64_t sign) {
      if (bases.valid(i)) {
        sum.add(Accumulator::unpack(bases.bytes(i)), sign < 0);
      } else if (values.valid(i)) {
        sum.add(values.format.width == 4 ? static_cast<double>(values.value<float>(i)) : values.value<double>(i), sign);
      }
    };
    for (int64_t row = 0; row < rows; ++row) {
      for (size_t r = 0; r < ranges.size(); ++r) {
        int64_t low = lows[r].data()[row], high = std::max(low, highs[r].data()[row]);
        if (low < 0 || high > values.length)
          throw std::out_of_range("rows " + std::to_string(low) + " to " + std::to_string(high) + " of " +
                                  std::to_string(values.length) + " do not exist");
        Sliding& range = ranges[r];
        if (low >= range.high || high <= range.low) range = {{}, low, low};
        while (range.low > low) change(range.sum, --range.low, 1);
        while (range.high < high) change(range.sum, range.high++, 1);
        while (range.low < low) change(range.sum, range.low++, -1);
        while (range.high > high) change(range.sum, --range.high, -1);
      }
      Accumulator whole = ranges.front().sum;
      for (size_t r = 1; r < ranges.size(); ++r) whole.add(ranges[r].sum);
      double value = whole.round();
      doubles.append(value);
      overflow[static_cast<size_t>(row)] = std::isinf(value) && !whole.infinities && !whole.minus_infinities;
      sums.append_bytes(whole.pack());
    }
    packed = sums.finish();
    rounded = doubles.finish();
  }
  return nb::make_tuple(write_column(packed), write_column(rounded), to_numpy(std::move(overflow)));
}

}  // namespace

void bind_floats(nb::module_& m) {
  m.def("float_sums", &float_sums, "ids"_a, "groups"_a, "values"_a, "diffs"_a);
  m.def("float_add", &float_add, "a"_a, "b"_a);
  m.def("float_round", &float_round, "sums"_a);
  m.def("float_frames", &float_frames, "values"_a, "bases"_a, "lows"_a, "highs"_a);
}

}  // namespace headwater::scalars
