// Whole numbers of any size, for what is computed once for each group of an aggregate: never for each row.
//
// Always true: nothing rounds or wraps; the magnitude has no zero digits in front. Multiplication and division are the schoolbook's:
// quadratic in the digits, of which statistics need at most 430.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace headwater::scalars {

class Big {
 public:
  Big() = default;
  explicit Big(uint64_t value) {
    for (; value; value >>= 32) digits_.push_back(static_cast<uint32_t>(value));
  }
  // Two's complement limbs, lowest first.
  Big(const uint64_t* limbs, int count) {
    negative_ = count && limbs[count - 1] >> 63;
    uint64_t carry = negative_;
    for (int i = 0; i < count; ++i) {
      uint64_t limb = (negative_ ? ~limbs[i] : limbs[i]) + carry;
      carry = carry && limb == 0;
      digits_.push_back(static_cast<uint32_t>(limb));
      digits_.push_back(static_cast<uint32_t>(limb >> 32));
    }
    trim();
  }
  static Big power_of_ten(int exponent) {
    Big out(1);
    for (; exponent >= 9; exponent -= 9) out = out * Big(1000000000);
    for (; exponent > 0; --exponent) out = out * Big(10);
    return out;
  }

  bool zero() const { return digits_.empty(); }
  bool negative() const { return negative_; }
  int bits() const { return zero() ? 0 : static_cast<int>(digits_.size()) * 32 - std::countl_zero(digits_.back()); }
  Big magnitude() const {
    Big out = *this;
    out.negative_ = false;
    return out;
  }

  friend Big operator*(const Big& a, const Big& b) {
    Big out;
    if (a.zero() || b.zero()) return out;
    out.digits_.assign(a.digits_.size() + b.digits_.size(), 0);
    for (size_t i = 0; i < a.digits_.size(); ++i) {
      uint64_t carry = 0;
      for (size_t j = 0; j < b.digits_.size() || carry; ++j) {
        uint64_t other = j < b.digits_.size() ? b.digits_[j] : 0;
        uint64_t sum = out.digits_[i + j] + a.digits_[i] * other + carry;
        out.digits_[i + j] = static_cast<uint32_t>(sum);
        carry = sum >> 32;
      }
    }
    out.negative_ = a.negative_ != b.negative_;
    out.trim();
    return out;
  }
  friend Big operator-(const Big& a, const Big& b) {
    Big minus = b;
    minus.negative_ = !b.negative_ && !b.zero();
    return a + minus;
  }
  friend Big operator+(const Big& a, const Big& b) {
    if (a.negative_ == b.negative_) {
      Big out = a;
      out.grow(b);
      return out;
    }
    bool smaller = less(a, b);
    Big out = smaller ? b : a;
    out.shrink(smaller ? a : b);
    return out;
  }
  friend Big operator<<(const Big& a, int by) {
    Big out;
    if (a.zero()) return out;
    out.digits_.assign(static_cast<size_t>(by / 32), 0);
    uint64_t carry = 0;
    for (uint32_t digit : a.digits_) {
      uint64_t moved = static_cast<uint64_t>(digit) << (by % 32) | carry;
      out.digits_.push_back(static_cast<uint32_t>(moved));
      carry = moved >> 32;
    }
    out.digits_.push_back(static_cast<uint32_t>(carry));
    out.negative_ = a.negative_;
    out.trim();
    return out;
  }

  // The quotient of magnitudes, cut to a whole number, and whether something was left. `b` is not zero.
  static std::pair<Big, bool> divide(const Big& a, const Big& b) {
    if (less(a, b)) return {Big(), !a.zero()};
    if (b.digits_.size() == 1) return divide_short(a, b.digits_[0]);
    int shift = std::countl_zero(b.digits_.back());
    std::vector<uint32_t> u = (a << shift).digits_, v = (b << shift).digits_;
    size_t n = v.size();
    while (u.size() <= a.digits_.size()) u.push_back(0);
    Big quotient;
    quotient.digits_.assign(u.size() - n, 0);
    for (size_t j = u.size() - n; j-- > 0;) {
      uint64_t top = static_cast<uint64_t>(u[j + n]) << 32 | u[j + n - 1];
      uint64_t guess = top / v[n - 1], rest = top % v[n - 1];
      while (guess >> 32 || guess * v[n - 2] > (rest << 32 | u[j + n - 2])) {
        --guess;
        rest += v[n - 1];
        if (rest >> 32) break;
      }
      uint64_t carry = 0;
      int64_t borrow = 0;
      for (size_t i = 0; i < n; ++i) {
        uint64_t product = guess * v[i] + carry;
        carry = product >> 32;
        int64_t left = static_cast<int64_t>(u[i + j]) - borrow - static_cast<int64_t>(product & 0xffffffff);
        u[i + j] = static_cast<uint32_t>(left);
        borrow = left < 0 ? 1 : 0;
      }
      int64_t left = static_cast<int64_t>(u[j + n]) - borrow - static_cast<int64_t>(carry);
      u[j + n] = static_cast<uint32_t>(left);
      if (left < 0) {  // the guess was one too large
        --guess;
        uint64_t over = 0;
        for (size_t i = 0; i < n; ++i) {
          over += static_cast<uint64_t>(u[i + j]) + v[i];
          u[i + j] = static_cast<uint32_t>(over);
          over >>= 32;
        }
        u[j + n] += static_cast<uint32_t>(over);
      }
      quotient.digits_[j] = static_cast<uint32_t>(guess);
    }
    quotient.trim();
    return {quotient, std::any_of(u.begin(), u.end(), [](uint32_t digit) { return digit != 0; })};
  }

  // The root of a number that is not negative, cut to a whole number, and whether something was left. By Newton's steps from above.
  static std::pair<Big, bool> root(const Big& a) {
    if (a.zero()) return {Big(), false};
    Big found = Big(1) << ((a.bits() + 1) / 2);
    for (;;) {
      Big next = divide(found + divide(a, found).first, Big(2)).first;
      if (!less(next, found)) break;
      found = std::move(next);
    }
    return {found, !(a - found * found).zero()};
  }

  // The nearest double of magnitude * 2^exponent, ties to even; `rest` says that the number is a little greater.
  double nearest(int exponent, bool rest) const {
    uint64_t top = 0;
    // What is below half of the smallest double only says whether something is left, so that nothing is rounded twice.
    int drop = std::max({bits() - 64, -1076 - exponent, 0});
    for (int bit = bits() - 1; bit >= drop; --bit) top = top << 1 | (digits_[static_cast<size_t>(bit / 32)] >> (bit % 32) & 1);
    for (int bit = 0; bit < std::min(drop, bits()) && !rest; ++bit) rest = digits_[static_cast<size_t>(bit / 32)] >> (bit % 32) & 1;
    double value = std::ldexp(static_cast<double>(top | static_cast<uint64_t>(rest)), exponent + drop);
    return negative_ ? -value : value;
  }

  // The number as 128 bits; right where it has at most 127.
  __int128 narrow() const {
    unsigned __int128 out = 0;
    for (size_t i = std::min<size_t>(digits_.size(), 4); i-- > 0;) out = out << 32 | digits_[i];
    return negative_ ? -static_cast<__int128>(out) : static_cast<__int128>(out);
  }

  // Whether a's magnitude is less than b's.
  static bool less(const Big& a, const Big& b) {
    if (a.digits_.size() != b.digits_.size()) return a.digits_.size() < b.digits_.size();
    return std::lexicographical_compare(a.digits_.rbegin(), a.digits_.rend(), b.digits_.rbegin(), b.digits_.rend());
  }

 private:
  static std::pair<Big, bool> divide_short(const Big& a, uint32_t by) {
    Big out;
    out.digits_.assign(a.digits_.size(), 0);
    uint64_t rest = 0;
    for (size_t i = a.digits_.size(); i-- > 0;) {
      rest = rest << 32 | a.digits_[i];
      out.digits_[i] = static_cast<uint32_t>(rest / by);
      rest %= by;
    }
    out.trim();
    return {out, rest != 0};
  }
  // Add another magnitude.
  void grow(const Big& other) {
    digits_.resize(std::max(digits_.size(), other.digits_.size()) + 1);
    uint64_t carry = 0;
    for (size_t i = 0; i < digits_.size(); ++i) {
      carry += static_cast<uint64_t>(digits_[i]) + (i < other.digits_.size() ? other.digits_[i] : 0);
      digits_[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    trim();
  }
  // Take a magnitude away that is no greater.
  void shrink(const Big& other) {
    int64_t borrow = 0;
    for (size_t i = 0; i < digits_.size(); ++i) {
      int64_t left = static_cast<int64_t>(digits_[i]) - borrow - (i < other.digits_.size() ? other.digits_[i] : 0);
      digits_[i] = static_cast<uint32_t>(left);
      borrow = left < 0 ? 1 : 0;
    }
    trim();
  }
  void trim() {
    while (!digits_.empty() && !digits_.back()) digits_.pop_back();
    if (digits_.empty()) negative_ = false;
  }

  bool negative_ = false;
  std::vector<uint32_t> digits_;  // lowest first
};

}  // namespace headwater::scalars
