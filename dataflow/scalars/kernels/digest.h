// MD5 (RFC 1321) and SHA-256 (FIPS 180-4) of one bounded piece of bytes. The tables are derived, not copied: MD5's are sines,
// SHA-256's are fractions of roots of the first primes, which a long double's 64 bits hold exactly enough.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace headwater::digest {

namespace detail {

// Calls block(const uint8_t*) for each 64 bytes of the message with its padding; the length closes it, in the given order.
template <class F>
void blocks(std::string_view message, bool big_endian, F&& block) {
  size_t at = 0;
  for (; message.size() - at >= 64; at += 64) block(reinterpret_cast<const uint8_t*>(message.data()) + at);
  uint8_t tail[128] = {};
  const size_t rest = message.size() - at, size = rest < 56 ? 64 : 128;
  if (rest) std::memcpy(tail, message.data() + at, rest);
  tail[rest] = 0x80;
  const uint64_t bits = static_cast<uint64_t>(message.size()) * 8;
  for (size_t i = 0; i < 8; ++i) tail[size - 8 + i] = static_cast<uint8_t>(bits >> (8 * (big_endian ? 7 - i : i)));
  for (size_t i = 0; i < size; i += 64) block(tail + i);
}

inline std::array<uint32_t, 64> sines() {
  std::array<uint32_t, 64> table{};
  for (int i = 0; i < 64; ++i) table[static_cast<size_t>(i)] = static_cast<uint32_t>(std::ldexp(std::fabs(std::sin(i + 1.0L)), 32));
  return table;
}

inline std::array<uint32_t, 64> root_fractions(bool cube) {
  std::array<uint32_t, 64> table{};
  size_t found = 0;
  for (int n = 2; found < 64; ++n) {
    bool prime = true;
    for (int d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    const long double root = cube ? std::cbrt(static_cast<long double>(n)) : std::sqrt(static_cast<long double>(n));
    table[found++] = static_cast<uint32_t>(std::ldexp(root - std::floor(root), 32));
  }
  return table;
}

}  // namespace detail

// 16 bytes.
inline std::string md5(std::string_view message) {
  static const auto table = detail::sines();
  static constexpr int shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  detail::blocks(message, false, [&](const uint8_t* block) {
    uint32_t words[16];
    std::memcpy(words, block, 64);
    auto [a, b, c, d] = std::array<uint32_t, 4>{state[0], state[1], state[2], state[3]};
    for (uint32_t i = 0; i < 64; ++i) {
      const uint32_t round = i / 16;
      const uint32_t mixed = round == 0 ? (b & c) | (~b & d) : round == 1 ? (d & b) | (~d & c) : round == 2 ? b ^ c ^ d : c ^ (b | ~d);
      const uint32_t word = words[(round == 0 ? i : round == 1 ? 5 * i + 1 : round == 2 ? 3 * i + 5 : 7 * i) % 16];
      const uint32_t next = b + std::rotl(a + mixed + table[i] + word, shifts[round][i % 4]);
      a = d, d = c, c = b, b = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  });
  return {reinterpret_cast<const char*>(state), 16};
}

// 32 bytes.
inline std::string sha256(std::string_view message) {
  static const auto table = detail::root_fractions(true);
  uint32_t state[8];
  static const auto start = detail::root_fractions(false);
  std::copy(start.begin(), start.begin() + 8, state);
  detail::blocks(message, true, [&](const uint8_t* block) {
    uint32_t words[64];
    for (size_t i = 0; i < 16; ++i) {
      const uint8_t* p = block + 4 * i;
      words[i] = static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 | p[3];
    }
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t x = words[i - 15], y = words[i - 2];
      words[i] = words[i - 16] + words[i - 7] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3)) +
                 (std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10));
    }
    uint32_t v[8];
    std::memcpy(v, state, sizeof(v));
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t s1 = std::rotr(v[4], 6) ^ std::rotr(v[4], 11) ^ std::rotr(v[4], 25);
      const uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + table[i] + words[i];
      const uint32_t s0 = std::rotr(v[0], 2) ^ std::rotr(v[0], 13) ^ std::rotr(v[0], 22);
      const uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      for (size_t j = 7; j > 0; --j) v[j] = v[j - 1];
      v[4] += t1;
      v[0] = t1 + t2;
    }
    for (size_t i = 0; i < 8; ++i) state[i] += v[i];
  });
  std::string out;
  for (const uint32_t word : state)
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(word >> shift);
  return out;
}

inline std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

}  // namespace headwater::digest
