#include "dataflow/kernels/floats.h"

namespace headwater::rows {

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

}  // namespace headwater::rows
