// Canonical jsonb text.
//
// Canonical means: equal jsonb values have equal bytes. Object keys are sorted by length, then bytes, and unique; one blank
// after each comma and colon; strings escape only " \ and control characters; numbers are plain decimals without exponent,
// leading zeros or trailing zeros after the point (1.10 and 11e-1 are both 1.1: where PostgreSQL keeps 1.10 for printing
// and compares by value, one text for one value lets rows be compared as bytes), and zero has no sign.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "dataflow/scalars/kernels/text_number.h"
#include "dataflow/scalars/kernels/text_utf8.h"

namespace headwater::text {

inline constexpr int kJsonDepth = 512;             // deeper nesting is a range error: bounds the stack
inline constexpr int64_t kJsonNumberDigits = 1000;  // longer numbers, once written without exponent, are a range error

// A JSON string literal of a UTF-8 text, quotes included.
inline void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  size_t from = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, from, i - from);
    from = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: {
        constexpr char hex[] = "0123456789abcdef";
        out += "\\u00";
        out += hex[c >> 4];
        out += hex[c & 15];
      }
    }
  }
  out.append(text, from, text.size() - from);
  out += '"';
}

enum class Duplicates : uint8_t {
  last,   // PostgreSQL's jsonb: the last of equal keys wins
  error,  // a syntax error: strict decoding of messages
};

// A cursor over JSON text. Not resumable after a failure: `status` and `at` then say what and where.
class JsonReader {
 public:
  JsonReader(std::string_view text, Duplicates duplicates) : text_(text), duplicates_(duplicates) {}

  // Reads one value, white space around it included, and appends its canonical text. out is unspecified on failure.
  Status canonical(std::string& out) {
    skip_spaces();
    if (!value(out, 0)) return status_;
    skip_spaces();
    return Status::ok;
  }

  // The end of what has been read.
  size_t at() const { return at_; }

  // Reads a string literal at `at` and appends what it means.
  Status string(std::string& out) { return read_string(out) ? Status::ok : status_; }

 private:
  struct Member {
    std::string key;
    size_t from, to;  // of `"key": value` in the output
  };

  bool fail(Status status) {
    status_ = status;
    return false;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) { return at_ < text_.size() && text_[at_] == c ? (++at_, true) : false; }
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }

  bool value(std::string& out, int depth) {
    if (depth > kJsonDepth) return fail(Status::range);
    switch (peek()) {
      case '{': return object(out, depth);
      case '[': return array(out, depth);
      case '"': {
        scratch_.clear();
        if (!read_string(scratch_)) return false;
        append_json_string(scratch_, out);
        return true;
      }
      case 't': return word("true", out);
      case 'f': return word("false", out);
      case 'n': return word("null", out);
      default: return number(out);
    }
  }

  bool word(std::string_view name, std::string& out) {
    if (text_.substr(at_, name.size()) != name) return fail(Status::syntax);
    at_ += name.size();
    out += name;
    return true;
  }

  bool array(std::string& out, int depth) {
    ++at_;
    out += '[';
    skip_spaces();
    if (take(']')) {
      out += ']';
      return true;
    }
    while (true) {
      skip_spaces();
      if (!value(out, depth + 1)) return false;
      skip_spaces();
      if (take(']')) break;
      if (!take(',')) return fail(Status::syntax);
      out += ", ";
    }
    out += ']';
    return true;
  }

  bool object(std::string& out, int depth) {
    ++at_;
    out += '{';
    skip_spaces();
    if (take('}')) {
      out += '}';
      return true;
    }
    const size_t start = out.size();
    std::vector<Member> members;
    bool sorted = true;
    while (true) {
      skip_spaces();
      Member member;
      if (!read_string(member.key)) return false;
      skip_spaces();
      if (!take(':')) return fail(Status::syntax);
      skip_spaces();
      if (!members.empty()) out += ", ";
      member.from = out.size();
      append_json_string(member.key, out);
      out += ": ";
      if (!value(out, depth + 1)) return false;
      member.to = out.size();
      if (!members.empty()) sorted = sorted && before(members.back(), member);
      members.push_back(std::move(member));
      skip_spaces();
      if (take('}')) break;
      if (!take(',')) return fail(Status::syntax);
    }
    if (!sorted && !rearrange(members, start, out)) return false;
    out += '}';
    return true;
  }

  static bool before(const Member& a, const Member& b) {
    return a.key.size() != b.key.size() ? a.key.size() < b.key.size() : a.key < b.key;
  }

  bool rearrange(std::vector<Member>& members, size_t start, std::string& out) {
    std::stable_sort(members.begin(), members.end(), before);
    std::string arranged;
    for (size_t i = 0; i < members.size(); ++i) {
      if (i + 1 < members.size() && members[i].key == members[i + 1].key) {
        if (duplicates_ == Duplicates::error) return fail(Status::syntax);
        continue;
      }
      if (!arranged.empty()) arranged += ", ";
      arranged.append(out, members[i].from, members[i].to - members[i].from);
    }
    out.resize(start);
    out += arranged;
    return true;
  }

  bool number(std::string& out) {
    const bool negative = take('-');
    const size_t whole_from = at_;
    while (is_digit(peek())) ++at_;
    std::string_view whole = text_.substr(whole_from, at_ - whole_from), fraction;
    if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return fail(Status::syntax);
    if (take('.')) {
      const size_t from = at_;
      while (is_digit(peek())) ++at_;
      fraction = text_.substr(from, at_ - from);
      if (fraction.empty()) return fail(Status::syntax);
    }
    int64_t exponent = 0;
    if (take('e') || take('E')) {
      const bool down = peek() == '-';
      if (!take('-')) take('+');
      if (!is_digit(peek())) return fail(Status::syntax);
      for (; is_digit(peek()); ++at_)
        if (exponent < 1'000'000) exponent = exponent * 10 + (peek() - '0');
      if (down) exponent = -exponent;
    }
    return plain_number(negative, whole, fraction, exponent, out);
  }

  bool plain_number(bool negative, std::string_view whole, std::string_view fraction, int64_t exponent, std::string& out) {
    std::string digits(whole);
    digits += fraction;
    int64_t point = static_cast<int64_t>(whole.size()) + exponent;  // digits before the point
    const size_t leading = std::min(digits.find_first_not_of('0'), digits.size());
    digits.erase(0, leading);
    point -= static_cast<int64_t>(leading);
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    if (digits.empty()) {
      out += '0';
      return true;
    }
    const int64_t count = static_cast<int64_t>(digits.size());
    if (count > kJsonNumberDigits || point > kJsonNumberDigits || point < -kJsonNumberDigits) return fail(Status::range);
    if (negative) out += '-';
    if (point <= 0) {
      out += "0.";
      out.append(static_cast<size_t>(-point), '0');
      out += digits;
    } else if (point >= count) {
      out += digits;
      out.append(static_cast<size_t>(point - count), '0');
    } else {
      out.append(digits, 0, static_cast<size_t>(point));
      out += '.';
      out.append(digits, static_cast<size_t>(point), std::string::npos);
    }
    return true;
  }

  bool hex4(uint32_t& code) {
    if (text_.size() - at_ < 4) return fail(Status::syntax);
    code = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = lower(text_[at_++]);
      if (!is_digit(c) && !(c >= 'a' && c <= 'f')) return fail(Status::syntax);
      code = code * 16 + static_cast<uint32_t>(is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return true;
  }

  bool escape(std::string& out) {
    const char c = peek();
    ++at_;
    switch (c) {
      case '"': case '\\': case '/': out += c; return true;
      case 'b': out += '\b'; return true;
      case 'f': out += '\f'; return true;
      case 'n': out += '\n'; return true;
      case 'r': out += '\r'; return true;
      case 't': out += '\t'; return true;
      case 'u': break;
      default: return fail(Status::syntax);
    }
    uint32_t code = 0, low = 0;
    if (!hex4(code)) return false;
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (!take('\\') || !take('u') || !hex4(low) || low < 0xDC00 || low > 0xDFFF) return fail(Status::syntax);
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      return fail(Status::syntax);
    }
    // PostgreSQL's text cannot hold U+0000 either.
    if (code == 0) return fail(Status::unsupported);
    append_utf8(code, out);
    return true;
  }

  bool read_string(std::string& out) {
    if (!take('"')) return fail(Status::syntax);
    while (true) {
      const size_t from = at_;
      while (at_ < text_.size()) {
        const unsigned char c = static_cast<unsigned char>(text_[at_]);
        if (c == '"' || c == '\\' || c < 0x20) break;
        const size_t length = c < 0x80 ? 1 : utf8_length(text_.substr(at_));
        if (length == 0) return fail(Status::syntax);
        at_ += length;
      }
      out.append(text_, from, at_ - from);
      if (take('"')) return true;
      if (!take('\\') || at_ >= text_.size()) return fail(Status::syntax);
      if (!escape(out)) return false;
    }
  }

  std::string_view text_;
  Duplicates duplicates_;
  size_t at_ = 0;
  Status status_ = Status::ok;
  std::string scratch_;
};

// Appends the canonical text of one JSON value to out. syntax: not JSON (or not UTF-8, or a duplicate key under `error`);
// range: nested deeper than kJsonDepth or a number longer than kJsonNumberDigits; unsupported: \u0000. On failure out is cut
// back to what it held.
inline Status canonical_json(std::string_view text, Duplicates duplicates, std::string& out) {
  const size_t before = out.size();
  JsonReader reader(text, duplicates);
  Status status = reader.canonical(out);
  if (status == Status::ok && reader.at() != text.size()) status = Status::syntax;
  if (status != Status::ok) out.resize(before);
  return status;
}

}  // namespace headwater::text
