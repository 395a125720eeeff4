#include "dataflow/scalars/kernels/moments.h"

#include "dataflow/scalars/kernels/big.h"
#include "dataflow/kernels/builder.h"

#include <bit>
#include <numeric>
#include <optional>

namespace headwater::scalars {

namespace {

using arrow::int128;
using uint128 = unsigned __int128;

// A number apart from its sign: two limbs, times 2^shift units.
struct Parts {
  uint64_t limbs[2] = {0, 0};
  int shift = 0;
  bool negative = false;
};

std::optional<Parts> parts_of(double value) {
  if (!std::isfinite(value)) return {};
  auto bits = std::bit_cast<uint64_t>(value);
  auto exponent = static_cast<int>((bits >> 52) & 0x7ff);
  uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
  if (exponent) mantissa |= uint64_t{1} << 52;
  return Parts{{mantissa, 0}, exponent ? exponent - 1 : 0, std::signbit(value)};
}

Parts parts_of(int128 value) {
  uint128 size = value < 0 ? -static_cast<uint128>(value) : static_cast<uint128>(value);
  return {{static_cast<uint64_t>(size), static_cast<uint64_t>(size >> 64)}, 0, value < 0};
}

std::optional<Parts> parts_at(const Column& column, int64_t row) {
  switch (column.format.meaning) {
    case arrow::Meaning::real:
      return parts_of(column.format.width == 4 ? static_cast<double>(column.value<float>(row)) : column.value<double>(row));
    case arrow::Meaning::decimal:
      return parts_of(column.value<int128>(row));
    default:
      if (column.format.width == 2) return parts_of(static_cast<int128>(column.value<int16_t>(row)));
      if (column.format.width == 4) return parts_of(static_cast<int128>(column.value<int32_t>(row)));
      return parts_of(static_cast<int128>(column.value<int64_t>(row)));
  }
}

// a * b of two limbs each into four.
void multiply(const uint64_t* a, const uint64_t* b, uint64_t* out) {
  std::fill(out, out + 4, 0);
  for (int i = 0; i < 2; ++i) {
    uint64_t carry = 0;
    for (int j = 0; j < 2; ++j) {
      uint128 sum = static_cast<uint128>(a[i]) * b[j] + out[i + j] + carry;
      out[i + j] = static_cast<uint64_t>(sum);
      carry = static_cast<uint64_t>(sum >> 64);
    }
    out[i + 2] = carry;
  }
}

void add_times(Fixed& sum, const uint64_t* magnitude, int count, int shift, bool negative, int64_t diff) {
  uint64_t times = diff < 0 ? -static_cast<uint64_t>(diff) : static_cast<uint64_t>(diff), scaled[5], carry = 0;
  for (int i = 0; i < count; ++i) {
    uint128 product = static_cast<uint128>(magnitude[i]) * times + carry;
    scaled[i] = static_cast<uint64_t>(product);
    carry = static_cast<uint64_t>(product >> 64);
  }
  scaled[count] = carry;
  sum.add(scaled, count + 1, shift, negative != (diff < 0));
}

void add_product(Fixed& sum, const Parts& a, const Parts& b, int64_t diff) {
  uint64_t product[4];
  multiply(a.limbs, b.limbs, product);
  add_times(sum, product, 4, a.shift + b.shift, a.negative != b.negative, diff);
}

// What statistics are made of: n times a sum of products less the product of sums.
struct Spread {
  Big n, x, y, xx, yy, xy;

  Big around_x() const { return n * xx - x * x; }
  Big around_y() const { return n * yy - y * y; }
  Big together() const { return n * xy - x * y; }
};

// above / below * 2^exponent, or the root of it.
struct Ratio {
  Big above, below;
  int exponent = 0;
  bool root = false;

  bool negative() const { return above.negative() != below.negative(); }
};

std::optional<Ratio> ratio_of(const std::string& name, const Spread& s, int64_t count, int unit) {
  auto over = [&](Big above, int64_t a, int64_t b, bool root = false) -> std::optional<Ratio> {
    if (b < 1) return {};
    return Ratio{std::move(above), Big(static_cast<uint64_t>(a)) * Big(static_cast<uint64_t>(b)), 2 * unit, root};
  };
  if (name == "var_pop") return over(s.around_x(), count, count);
  if (name == "var_samp") return over(s.around_x(), count, count - 1);
  if (name == "stddev_pop") return over(s.around_x(), count, count, true);
  if (name == "stddev_samp") return over(s.around_x(), count, count - 1, true);
  if (name == "covar_pop") return over(s.together(), count, count);
  if (name == "covar_samp") return over(s.together(), count, count - 1);
  if (name == "regr_sxx") return over(s.around_x(), count, 1);
  if (name == "regr_syy") return over(s.around_y(), count, 1);
  if (name == "regr_sxy") return over(s.together(), count, 1);
  Big x = s.around_x();
  if (name == "regr_slope") return x.zero() ? std::nullopt : std::optional(Ratio{s.together(), x});
  if (name == "regr_intercept")
    return x.zero() ? std::nullopt : std::optional(Ratio{s.y * s.xx - s.x * s.xy, x, unit});
  Big y = s.around_y(), both = s.together();
  if (name == "regr_r2") {
    if (x.zero()) return {};
    return y.zero() ? Ratio{Big(1), Big(1)} : Ratio{both * both, x * y};
  }
  if (name == "corr") {
    if (x.zero() || y.zero()) return {};
    Big square = both * both;
    return Ratio{both.negative() ? Big() - square : square, x * y, 0, true};
  }
  throw std::invalid_argument("there is no statistic " + name);
}

double rounded(const Ratio& ratio) {
  if (ratio.above.zero()) return 0;
  // So many bits in the quotient that the double's 53 are certain; of a root twice as many, and an even exponent.
  int shift = (ratio.root ? 132 : 66) - (ratio.above.bits() - ratio.below.bits());
  if (ratio.root && ((ratio.exponent - shift) & 1)) ++shift;
  Big above = shift > 0 ? ratio.above << shift : ratio.above, below = shift < 0 ? ratio.below << -shift : ratio.below;
  auto [quotient, rest] = Big::divide(above, below);
  int exponent = ratio.exponent - shift;
  if (ratio.root) {
    auto [root, more] = Big::root(quotient);
    quotient = std::move(root);
    rest = rest || more;
    exponent /= 2;
  }
  double value = quotient.magnitude().nearest(exponent, rest);
  return ratio.negative() ? -value : value;
}

// Rounded half away from zero to `digits` of the ratio in units of 10^-(2 * scale); nothing where that has more than 38 digits.
std::optional<int128> rounded(const Ratio& ratio, int scale, int digits) {
  Big above = ratio.above.magnitude() * Big::power_of_ten(ratio.root ? 2 * digits : digits);
  Big below = ratio.below * Big::power_of_ten(2 * scale);
  // Twice the number, cut: one more, halved, is the nearest whole number.
  Big twice = ratio.root ? Big::root(Big::divide(above * Big(4), below).first).first : Big::divide(above * Big(2), below).first;
  Big found = Big::divide(twice + Big(1), Big(2)).first;
  if (!Big::less(found, Big::power_of_ten(38))) return {};
  int128 value = found.narrow();
  return ratio.negative() ? -value : value;
}

void check_numbers(const Column& column) {
  auto meaning = column.format.meaning;
  bool fits = meaning == arrow::Meaning::real || meaning == arrow::Meaning::decimal ||
              (meaning == arrow::Meaning::integer && (column.format.width == 2 || column.format.width == 4 || column.format.width == 8));
  if (!fits) throw std::invalid_argument("values of arrow format '" + column.format.text + "' are not numbers");
}

void check_packed(const Column& column) {
  if (column.format.layout != arrow::Layout::bytes)
    throw std::invalid_argument("arrow format '" + column.format.text + "' is not that of moments");
}

}  // namespace

void Fixed::add(const uint64_t* magnitude, int count, int shift, bool negative) {
  int limb = shift / 64, bit = shift % 64;
  uint64_t carry = 0, before = 0;
  for (int i = 0; limb + i < kLimbs && (i <= count || carry); ++i) {
    uint64_t own = i < count ? magnitude[i] : 0;
    uint64_t part = bit ? own << bit | before >> (64 - bit) : own;
    before = own;
    uint128 sum = negative ? static_cast<uint128>(limbs[limb + i]) - part - carry
                           : static_cast<uint128>(limbs[limb + i]) + part + carry;
    limbs[limb + i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64) & 1;
  }
}

void Fixed::add(const Fixed& other) {
  uint64_t carry = 0;
  for (int i = 0; i < kLimbs; ++i) {
    uint128 sum = static_cast<uint128>(limbs[i]) + other.limbs[i] + carry;
    limbs[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
  }
}

// Form: first limb, number of limbs, those limbs; the ones above repeat the sign of the last.
void Fixed::pack(std::string& out) const {
  int first = 0, last = kLimbs - 1;
  while (first < last && !limbs[first]) ++first;
  while (last > first && limbs[last] == (limbs[last - 1] >> 63 ? ~uint64_t{0} : 0)) --last;
  int count = first == last && !limbs[first] ? 0 : last - first + 1;
  out += static_cast<char>(count ? first : 0);
  out += static_cast<char>(count);
  out.append(reinterpret_cast<const char*>(limbs + first), static_cast<size_t>(count) * 8);
}

Fixed Fixed::unpack(std::string_view& packed) {
  Fixed out;
  size_t first = packed.size() > 1 ? static_cast<uint8_t>(packed[0]) : 0;
  size_t count = packed.size() > 1 ? static_cast<uint8_t>(packed[1]) : kLimbs + 1;
  if (first + count > kLimbs || packed.size() < 2 + 8 * count)
    throw std::invalid_argument("stored moments of " + std::to_string(packed.size()) + " bytes are damaged");
  if (count) {
    std::memcpy(out.limbs + first, packed.data() + 2, count * 8);
    std::fill(out.limbs + first + count, out.limbs + kLimbs, out.limbs[first + count - 1] >> 63 ? ~uint64_t{0} : 0);
  }
  packed.remove_prefix(2 + 8 * count);
  return out;
}

void Moments::add(const Column& xs, const Column* ys, int64_t row, int64_t diff) {
  std::optional<Parts> a = parts_at(xs, row), b = ys ? parts_at(*ys, row) : a;
  if (!a || !b) {
    special = static_cast<int64_t>(static_cast<uint64_t>(special) + static_cast<uint64_t>(diff));
    return;
  }
  add_times(x, a->limbs, 2, a->shift, a->negative, diff);
  add_product(xx, *a, *a, diff);
  if (!ys) return;
  add_times(y, b->limbs, 2, b->shift, b->negative, diff);
  add_product(yy, *b, *b, diff);
  add_product(xy, *a, *b, diff);
}

void Moments::add(const Moments& other) {
  x.add(other.x);
  xx.add(other.xx);
  y.add(other.y);
  yy.add(other.yy);
  xy.add(other.xy);
  special = static_cast<int64_t>(static_cast<uint64_t>(special) + static_cast<uint64_t>(other.special));
}

std::string Moments::pack(bool pairs) const {
  std::string out;
  x.pack(out);
  xx.pack(out);
  if (pairs)
    for (const Fixed* sum : {&y, &yy, &xy}) sum->pack(out);
  out.append(reinterpret_cast<const char*>(&special), 8);
  return std::all_of(out.begin(), out.end(), [](char byte) { return !byte; }) ? std::string() : out;
}

Moments Moments::unpack(std::string_view packed, bool pairs) {
  Moments out;
  if (packed.empty()) return out;
  out.x = Fixed::unpack(packed);
  out.xx = Fixed::unpack(packed);
  if (pairs)
    for (Fixed* sum : {&out.y, &out.yy, &out.xy}) *sum = Fixed::unpack(packed);
  if (packed.size() != 8) throw std::invalid_argument("stored moments end with " + std::to_string(packed.size()) + " bytes, not 8");
  std::memcpy(&out.special, packed.data(), 8);
  return out;
}

Column moments_of(const int64_t* ids, int64_t groups, const Column& xs, const Column* ys, const int64_t* diffs) {
  check_numbers(xs);
  if (ys) check_numbers(*ys);
  for (int64_t i = 0; i < xs.length; ++i)
    if (ids[i] < 0 || ids[i] >= groups)
      throw std::out_of_range("group " + std::to_string(ids[i]) + " of " + std::to_string(groups) + " does not exist");
  // Rows in order of their groups, so that only one group's sums are wide at a time.
  std::vector<int64_t> ends(static_cast<size_t>(groups) + 1), order(static_cast<size_t>(xs.length));
  for (int64_t i = 0; i < xs.length; ++i) ++ends[static_cast<size_t>(ids[i]) + 1];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<int64_t> next(ends.begin(), ends.end() - 1);
  for (int64_t i = 0; i < xs.length; ++i) order[static_cast<size_t>(next[static_cast<size_t>(ids[i])]++)] = i;
  Builder builder("Z");
  for (size_t g = 0; g < static_cast<size_t>(groups); ++g) {
    Moments sums;
    for (int64_t at = ends[g]; at < ends[g + 1]; ++at) {
      int64_t row = order[static_cast<size_t>(at)];
      if (xs.valid(row) && (!ys || ys->valid(row))) sums.add(xs, ys, row, diffs[row]);
    }
    builder.append_bytes(sums.pack(ys != nullptr));
  }
  return builder.finish();
}

Column moments_add(const Column& a, const Column& b, bool pairs) {
  check_packed(a);
  check_packed(b);
  Builder builder("Z");
  for (int64_t i = 0; i < a.length; ++i) {
    std::string_view left = a.valid(i) ? a.bytes(i) : "", right = b.valid(i) ? b.bytes(i) : "";
    if (left.empty() || right.empty()) {
      builder.append_bytes(left.empty() ? right : left);
      continue;
    }
    Moments sum = Moments::unpack(left, pairs);
    sum.add(Moments::unpack(right, pairs));
    builder.append_bytes(sum.pack(pairs));
  }
  return builder.finish();
}

std::pair<Column, Column> statistic(const std::string& name, const Column& moments, const int64_t* counts, bool pairs, int scale,
                                    int digits) {
  check_packed(moments);
  const bool real = scale < 0;
  Builder builder(real ? "g" : decimal_format(digits).c_str());
  builder.reserve(moments.length);
  Output<bool> bad(moments.length);
  auto big = [](const Fixed& sum) { return Big(sum.limbs, Fixed::kLimbs); };
  for (int64_t i = 0; i < moments.length; ++i) {
    if (counts[i] < 1) {
      builder.append_null();
      continue;
    }
    Moments m = Moments::unpack(moments.valid(i) ? moments.bytes(i) : "", pairs);
    Spread spread{Big(static_cast<uint64_t>(counts[i])), big(m.x), big(m.y), big(m.xx), big(m.yy), big(m.xy)};
    std::optional<Ratio> ratio = ratio_of(name, spread, counts[i], real ? -1074 : 0);
    if (m.special && (ratio || !name.ends_with("_samp"))) {
      builder.append(std::numeric_limits<double>::quiet_NaN());
    } else if (!ratio) {
      builder.append_null();
    } else if (real) {
      double value = rounded(*ratio);
      bad.set(i, std::isinf(value));
      builder.append(value);
    } else {
      std::optional<int128> value = rounded(*ratio, scale, digits);
      bad.set(i, !value);
      builder.append(value.value_or(0));
    }
  }
  return {builder.finish(), bad.finish("b")};
}

namespace {

const int64_t* longs(const Column& column, int64_t rows, const char* what) {
  if (column.format.text != "l" || column.length != rows || column.validity)
    throw std::invalid_argument(std::string(what) + " are not " + std::to_string(rows) + " int64 without NULLs");
  return column.values<int64_t>();
}

nb::tuple sum_moments(nb::handle ids_, int64_t groups, nb::handle xs_, nb::handle ys_, nb::handle diffs_) {
  Column ids = arrow::read_column(ids_), diffs = arrow::read_column(diffs_), xs = arrow::read_column(xs_), ys, out;
  const bool pairs = !ys_.is_none();
  if (pairs) ys = arrow::read_column(ys_);
  if (groups < 0 || (pairs && ys.length != xs.length)) throw std::invalid_argument("pairs need as many x as y");
  const int64_t *id = longs(ids, xs.length, "groups"), *diff = longs(diffs, xs.length, "diffs");
  {
    Unlocked unlocked(xs.length);
    out = moments_of(id, groups, xs, pairs ? &ys : nullptr, diff);
  }
  return arrow::write_column(out);
}

nb::tuple add_moments(nb::handle a_, nb::handle b_, bool pairs) {
  Column a = arrow::read_column(a_), b = arrow::read_column(b_), out;
  if (a.length != b.length) throw std::invalid_argument("moments are added pairwise");
  {
    Unlocked unlocked(a.length);
    out = moments_add(a, b, pairs);
  }
  return arrow::write_column(out);
}

nb::tuple statistic_of(const std::string& name, nb::handle moments_, nb::handle counts_, bool pairs, int scale, int digits) {
  Column moments = arrow::read_column(moments_), counts = arrow::read_column(counts_);
  const int64_t* count = longs(counts, moments.length, "counts");
  if (scale > 38 || digits < 0 || digits > 38) throw std::invalid_argument("decimals have 0 to 38 digits after the point");
  std::pair<Column, Column> made;
  {
    Unlocked unlocked(moments.length);
    made = statistic(name, moments, count, pairs, scale, digits);
  }
  return nb::make_tuple(arrow::write_column(made.first), arrow::write_column(made.second));
}

}  // namespace

NB_MODULE(_moments, m) {
  m.def("moments_of", &sum_moments, nb::arg("ids"), nb::arg("groups"), nb::arg("xs"), nb::arg("ys").none(), nb::arg("diffs"));
  m.def("moments_add", &add_moments);
  m.def("statistic", &statistic_of);
}

}  // namespace headwater::scalars
