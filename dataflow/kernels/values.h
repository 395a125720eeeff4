// What a value is: how values of each type are read, told apart, ordered and hashed. The one place that knows.
//
// Always true: NULL equals NULL; NaN equals NaN and is greater than every number; -0.0 equals 0.0; text and bytes compare
// bytewise; intervals by their length, a month being 30 days and a day 24 hours. Equal values hash alike, and `prefix` never puts two values of a column the wrong way round (it may tie them).
#pragma once

#include "dataflow/kernels/arrow.h"
#include "dataflow/kernels/interval.h"

#include <bit>
#include <cmath>
#include <type_traits>

namespace headwater::rows {

using arrow::Column;
using arrow::Format;
using arrow::int128;
using uint128 = unsigned __int128;

// Multiply and fold: every bit of the product's 128 reaches the result.
inline uint64_t fold(uint64_t a, uint64_t b) {
  uint128 product = static_cast<uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline constexpr uint64_t kValue = 0x9e3779b97f4a7c55, kBytes = 0xc2b2ae3d27d4eb4f, kNull = 0xd6e8feb86659fd93,
                          kEnd = 0xff51afd7ed558ccd;
inline constexpr uint64_t kSign = uint64_t{1} << 63;

struct Boolean {
  using Value = bool;
  static Value get(const Column& c, int64_t i) { return c.boolean(i); }
  static bool equal(bool a, bool b) { return a == b; }
  static bool less(bool a, bool b) { return a < b; }
  static uint64_t prefix(bool v) { return v; }
  static uint64_t hash(bool v, uint64_t h) { return fold(h ^ (v ? 3 : 2), kValue); }
};

template <class T>
struct Integer {
  using Value = T;
  static T get(const Column& c, int64_t i) { return c.value<T>(i); }
  static bool equal(T a, T b) { return a == b; }
  static bool less(T a, T b) { return a < b; }
  static uint64_t prefix(T v) {
    if constexpr (std::is_signed_v<T>) return static_cast<uint64_t>(static_cast<int64_t>(v)) ^ kSign;
    return static_cast<uint64_t>(v);
  }
  static uint64_t hash(T v, uint64_t h) { return fold(h ^ static_cast<uint64_t>(static_cast<int64_t>(v)), kValue); }
};

template <class T>
struct Real {
  using Value = T;
  // Canonical: one zero and one NaN, so that everything below need not think of them again.
  static T get(const Column& c, int64_t i) {
    T v = c.value<T>(i);
    if (v == 0) return 0;
    return v != v ? std::numeric_limits<T>::quiet_NaN() : v;
  }
  static bool equal(T a, T b) { return a == b || (a != a && b != b); }
  static bool less(T a, T b) { return a < b || (a == a && b != b); }
  static uint64_t prefix(T v) {
    auto bits = std::bit_cast<uint64_t>(static_cast<double>(v));
    return v != v ? ~uint64_t{0} : bits & kSign ? ~bits : bits | kSign;
  }
  static uint64_t hash(T v, uint64_t h) { return fold(h ^ std::bit_cast<uint64_t>(static_cast<double>(v)), kValue); }
};

struct Decimal {
  using Value = int128;
  static int128 get(const Column& c, int64_t i) { return c.value<int128>(i); }
  static bool equal(int128 a, int128 b) { return a == b; }
  static bool less(int128 a, int128 b) { return a < b; }
  static uint64_t prefix(int128 v) {
    constexpr int128 low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
    return static_cast<uint64_t>(static_cast<int64_t>(v < low ? low : v > high ? high : v)) ^ kSign;
  }
  static uint64_t hash(int128 v, uint64_t h) {
    h = fold(h ^ static_cast<uint64_t>(v), kValue);
    return fold(h ^ static_cast<uint64_t>(static_cast<uint128>(v) >> 64), kValue);
  }
};

struct Interval : Decimal {
  static int128 get(const Column& c, int64_t i) { return interval_length(c.value<headwater::Interval>(i)); }
};

struct Bytes {
  using Value = std::string_view;
  static Value get(const Column& c, int64_t i) { return c.bytes(i); }
  static bool equal(Value a, Value b) { return a == b; }
  static bool less(Value a, Value b) { return a < b; }
  static uint64_t prefix(Value v) {
    uint64_t word = 0;
    std::memcpy(&word, v.data(), std::min<size_t>(v.size(), 8));
    return __builtin_bswap64(word);
  }
  static uint64_t hash(Value v, uint64_t h) {
    const char* at = v.data();
    size_t left = v.size();
    h ^= left * kEnd;
    for (; left >= 8; at += 8, left -= 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      h = fold(h ^ word, kBytes);
    }
    uint64_t word = 0;
    if (left) std::memcpy(&word, at, left);
    return fold(h ^ word, kValue);
  }
};

// Call `use` with the one of the structures above that fits the format: dispatch once, then loop.
template <class Use>
decltype(auto) visit(const Format& format, Use&& use) {
  using arrow::Meaning;
  switch (format.meaning) {
    case Meaning::boolean: return use(Boolean{});
    case Meaning::decimal: return use(Decimal{});
    case Meaning::bytes: return use(Bytes{});
    case Meaning::interval: return use(Interval{});
    case Meaning::real:
      if (format.width == 4) return use(Real<float>{});
      return use(Real<double>{});
    case Meaning::unsigned_integer:
      if (format.width == 1) return use(Integer<uint8_t>{});
      if (format.width == 2) return use(Integer<uint16_t>{});
      if (format.width == 4) return use(Integer<uint32_t>{});
      return use(Integer<uint64_t>{});
    case Meaning::integer: break;
  }
  if (format.width == 1) return use(Integer<int8_t>{});
  if (format.width == 2) return use(Integer<int16_t>{});
  if (format.width == 4) return use(Integer<int32_t>{});
  return use(Integer<int64_t>{});
}

// Whether row i of a equals row j of b; both have one format, of this type.
template <class Type>
bool same_value(Type type, const Column& a, int64_t i, const Column& b, int64_t j) {
  bool left = a.valid(i), right = b.valid(j);
  return left && right ? type.equal(type.get(a, i), type.get(b, j)) : left == right;
}

inline bool equal_value(const Column& a, int64_t i, const Column& b, int64_t j) {
  return visit(a.format, [&](auto type) { return same_value(type, a, i, b, j); });
}

inline bool equal_rows(const std::vector<Column>& a, int64_t i, const std::vector<Column>& b, int64_t j) {
  for (size_t c = 0; c < a.size(); ++c)
    if (!equal_value(a[c], i, b[c], j)) return false;
  return true;
}

// One term of a sort order.
struct Order {
  int64_t column = 0;
  bool descending = false;
  bool nulls_first = false;
};

// Negative, zero or positive as row i of a comes before, with or after row j of b.
inline int compare_value(const Order& order, const Column& a, int64_t i, const Column& b, int64_t j) {
  bool left = a.valid(i), right = b.valid(j);
  if (!left || !right) return left == right ? 0 : left == order.nulls_first ? 1 : -1;
  int sign = visit(a.format, [&](auto type) {
    auto x = type.get(a, i), y = type.get(b, j);
    return type.less(x, y) ? -1 : type.less(y, x) ? 1 : 0;
  });
  return order.descending ? -sign : sign;
}

inline int compare_rows(const std::vector<Order>& orders, const std::vector<Column>& a, int64_t i,
                        const std::vector<Column>& b, int64_t j) {
  for (const Order& order : orders) {
    auto c = static_cast<size_t>(order.column);
    if (int sign = compare_value(order, a[c], i, b[c], j)) return sign;
  }
  return 0;
}

}  // namespace headwater::rows
