// UUIDs: 32 hexadecimal digits, read with or without braces and with hyphens after any group of four, written as 8-4-4-4-12.
#pragma once

#include <array>

#include "dataflow/scalars/kernels/text_number.h"

namespace headwater::text {

using Uuid = std::array<uint8_t, 16>;

inline constexpr size_t kUuidChars = 36;  // what format_uuid writes

// Unlike the other parsers this one takes no white space, as in PostgreSQL.
inline Status parse_uuid(std::string_view text, Uuid& out) {
  const bool braces = !text.empty() && text.front() == '{';
  if (braces) {
    if (text.size() < 2 || text.back() != '}') return Status::syntax;
    text = text.substr(1, text.size() - 2);
  }
  auto digit = [](char c) { return is_digit(c) ? c - '0' : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1; };
  size_t at = 0;
  for (size_t i = 0; i < 16; ++i) {
    if (at + 2 > text.size()) return Status::syntax;
    const int high = digit(text[at]), low = digit(text[at + 1]);
    if (high < 0 || low < 0) return Status::syntax;
    out[i] = static_cast<uint8_t>(high * 16 + low);
    at += 2;
    if (i % 2 == 1 && i < 15 && at < text.size() && text[at] == '-') ++at;
  }
  return at == text.size() ? Status::ok : Status::syntax;
}

// Returns the end.
inline char* format_uuid(const Uuid& value, char* to) {
  constexpr char hex[] = "0123456789abcdef";
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = hex[value[i] >> 4];
    *to++ = hex[value[i] & 15];
  }
  return to;
}

}  // namespace headwater::text
