// Scanning JSON text: finds where values end and that they are RFC 8259 to the letter, and makes nothing of them.
// Always true: no byte at or past `end` is read; whatever was scanned is valid UTF-8, escapes included.
// Deliberately unknown here: columns and types.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "dataflow/scalars/kernels/text.h"

namespace headwater::decode {

// How deep objects and arrays may nest; bounds the stack of `skip_value`.
inline constexpr int MAXIMUM_DEPTH = 128;

enum class Syntax : uint8_t {
    NONE,
    ENDS_EARLY,
    UNEXPECTED,
    BAD_UTF8,
    CONTROL,
    BAD_ESCAPE,
    LONE_SURROGATE,
    BAD_NUMBER,
    TOO_DEEP,
    TRAILING,
};

inline const char* describe(Syntax syntax) {
    switch (syntax) {
        case Syntax::NONE: return "valid";
        case Syntax::ENDS_EARLY: return "the text ends too early";
        case Syntax::UNEXPECTED: return "unexpected character";
        case Syntax::BAD_UTF8: return "invalid UTF-8";
        case Syntax::CONTROL: return "control character in a string";
        case Syntax::BAD_ESCAPE: return "invalid escape";
        case Syntax::LONE_SURROGATE: return "unpaired surrogate";
        case Syntax::BAD_NUMBER: return "invalid number";
        case Syntax::TOO_DEEP: return "nested too deep";
        case Syntax::TRAILING: return "something follows the value";
    }
    return "invalid";
}

// A scanned string without its quotes, still escaped if `escaped`.
struct Text {
    std::string_view raw;
    bool escaped;
    bool has_nul;  // \u0000 among the escapes
};

struct Number {
    std::string_view raw;
    bool integral;  // neither fraction nor exponent
};

inline int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The code unit of four hex digits at p, or -1. The caller has checked that four bytes are there.
inline int code_unit(const uint8_t* p) {
    int unit = 0;
    for (int i = 0; i < 4; ++i) {
        const int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

// A place in one JSON text. Every `scan_` and `skip_` returns false after setting `error`; `p` then stands at the fault.
class Cursor {
  public:
    const uint8_t* p;
    const uint8_t* const end;
    Syntax error = Syntax::NONE;

    explicit Cursor(std::string_view text)
        : p(reinterpret_cast<const uint8_t*>(text.data())), end(p + text.size()), begin_(p) {}

    int64_t position() const { return p - begin_; }

    std::string_view rest() const { return {reinterpret_cast<const char*>(p), static_cast<size_t>(end - p)}; }

    bool fail(Syntax syntax) {
        error = p >= end && syntax == Syntax::UNEXPECTED ? Syntax::ENDS_EARLY : syntax;
        return false;
    }

    void skip_space() {
        while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) ++p;
    }

    // The next byte, or 0, which no JSON token starts with, at the end.
    uint8_t peek() const { return p < end ? *p : 0; }

    bool expect(uint8_t byte) {
        if (peek() != byte || p >= end) return fail(Syntax::UNEXPECTED);
        ++p;
        return true;
    }

    bool scan_literal(std::string_view word) {
        if (static_cast<size_t>(end - p) < word.size() || std::memcmp(p, word.data(), word.size()) != 0) {
            return fail(Syntax::UNEXPECTED);
        }
        p += word.size();
        return true;
    }

    // At the opening quote; afterwards behind the closing one.
    bool scan_string(Text& text) {
        const uint8_t* const start = ++p;
        text.escaped = text.has_nul = false;
        for (;;) {
            skip_plain();
            if (p >= end) return fail(Syntax::ENDS_EARLY);
            if (*p == '"') break;
            if (*p == '\\') {
                text.escaped = true;
                if (!skip_escape(text)) return false;
            } else if (*p < 0x20) {
                return fail(Syntax::CONTROL);
            } else if (*p < 0x80) {
                ++p;
            } else if (const size_t length = headwater::text::utf8_length(rest())) {
                p += length;
            } else {
                return fail(Syntax::BAD_UTF8);
            }
        }
        text.raw = {reinterpret_cast<const char*>(start), static_cast<size_t>(p - start)};
        ++p;
        return true;
    }

    // At a digit or minus.
    bool scan_number(Number& number) {
        const uint8_t* const start = p;
        number.integral = true;
        if (*p == '-') ++p;
        if (peek() == '0') {
            ++p;
        } else if (!skip_digits()) {
            return false;
        }
        if (peek() == '.') {
            number.integral = false;
            ++p;
            if (!skip_digits()) return false;
        }
        if ((peek() | 0x20) == 'e') {
            number.integral = false;
            ++p;
            if (peek() == '+' || peek() == '-') ++p;
            if (!skip_digits()) return false;
        }
        number.raw = {reinterpret_cast<const char*>(start), static_cast<size_t>(p - start)};
        return true;
    }

    // Any value at p; `depth` values are open around it.
    bool skip_value(int depth) {
        switch (peek()) {
            case '"': {
                Text text;
                return scan_string(text);
            }
            case '{': return skip_object(depth + 1);
            case '[': return skip_array(depth + 1);
            case 't': return scan_literal("true");
            case 'f': return scan_literal("false");
            case 'n': return scan_literal("null");
            case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': {
                Number number;
                return scan_number(number);
            }
            default: return fail(Syntax::UNEXPECTED);
        }
    }

    // Only white space may follow.
    bool finish() {
        skip_space();
        return p == end || fail(Syntax::TRAILING);
    }

  private:
    const uint8_t* const begin_;

    // Past bytes that mean themselves, eight at a time: no quote, backslash, control or non-ASCII byte.
    void skip_plain() {
        constexpr uint64_t ONES = 0x0101010101010101u, HIGHS = 0x8080808080808080u;
        while (end - p >= 8) {
            uint64_t word;
            std::memcpy(&word, p, 8);
            const uint64_t quote = word ^ (ONES * '"'), slash = word ^ (ONES * '\\');
            // Byte-wise `x - 1` borrows into the high bit exactly for zero bytes; below 0x20 likewise. Borrows only spoil
            // bytes after a hit, and a hit ends the loop.
            const uint64_t hits = ((quote - ONES) | (slash - ONES) | (word - ONES * 0x20) | word) & HIGHS;
            if (hits != 0) {
                if constexpr (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) p += __builtin_ctzll(hits) / 8;
                return;
            }
            p += 8;
        }
    }

    bool skip_digits() {
        if (p >= end) return fail(Syntax::ENDS_EARLY);
        if (*p < '0' || *p > '9') return fail(Syntax::BAD_NUMBER);
        do ++p;
        while (p < end && *p >= '0' && *p <= '9');
        return true;
    }

    bool skip_escape(Text& text) {
        if (end - p < 2) return fail(Syntax::ENDS_EARLY);
        switch (p[1]) {
            case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': p += 2; return true;
            case 'u': break;
            default: return fail(Syntax::BAD_ESCAPE);
        }
        if (end - p < 6) return fail(Syntax::ENDS_EARLY);
        const int unit = code_unit(p + 2);
        if (unit < 0) return fail(Syntax::BAD_ESCAPE);
        if (unit >= 0xDC00 && unit <= 0xDFFF) return fail(Syntax::LONE_SURROGATE);
        if (unit >= 0xD800 && unit <= 0xDBFF) {
            if (end - p < 12 || p[6] != '\\' || p[7] != 'u') return fail(Syntax::LONE_SURROGATE);
            const int low = code_unit(p + 8);
            if (low < 0xDC00 || low > 0xDFFF) return fail(Syntax::LONE_SURROGATE);
            p += 6;
        }
        text.has_nul |= unit == 0;
        p += 6;
        return true;
    }

    bool skip_object(int depth) {
        if (depth > MAXIMUM_DEPTH) return fail(Syntax::TOO_DEEP);
        ++p;
        skip_space();
        if (peek() == '}') return ++p, true;
        for (;;) {
            Text key;
            if (peek() != '"') return fail(Syntax::UNEXPECTED);
            if (!scan_string(key)) return false;
            skip_space();
            if (!expect(':')) return false;
            skip_space();
            if (!skip_value(depth)) return false;
            skip_space();
            if (peek() == '}') return ++p, true;
            if (!expect(',')) return false;
            skip_space();
        }
    }

    bool skip_array(int depth) {
        if (depth > MAXIMUM_DEPTH) return fail(Syntax::TOO_DEEP);
        ++p;
        skip_space();
        if (peek() == ']') return ++p, true;
        for (;;) {
            if (!skip_value(depth)) return false;
            skip_space();
            if (peek() == ']') return ++p, true;
            if (!expect(',')) return false;
            skip_space();
        }
    }
};

// Writes what a scanned, escaped string means to `out`, which has room for raw.size() bytes; returns the bytes written.
// (No escape is shorter than its meaning: six bytes for at most three, twelve for four.)
inline size_t unescape(std::string_view raw, uint8_t* out) {
    const auto* p = reinterpret_cast<const uint8_t*>(raw.data());
    const uint8_t* const end = p + raw.size();
    uint8_t* const start = out;
    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        const uint8_t kind = p[1];
        p += 2;
        switch (kind) {
            case 'b': *out++ = '\b'; continue;
            case 'f': *out++ = '\f'; continue;
            case 'n': *out++ = '\n'; continue;
            case 'r': *out++ = '\r'; continue;
            case 't': *out++ = '\t'; continue;
            case 'u': break;
            default: *out++ = kind; continue;
        }
        uint32_t code = static_cast<uint32_t>(code_unit(p));
        p += 4;
        if (code >= 0xD800 && code <= 0xDBFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<uint32_t>(code_unit(p + 2)) - 0xDC00);
            p += 6;
        }
        if (code < 0x80) {
            *out++ = static_cast<uint8_t>(code);
        } else if (code < 0x800) {
            *out++ = static_cast<uint8_t>(0xC0 | (code >> 6));
            *out++ = static_cast<uint8_t>(0x80 | (code & 0x3F));
        } else if (code < 0x10000) {
            *out++ = static_cast<uint8_t>(0xE0 | (code >> 12));
            *out++ = static_cast<uint8_t>(0x80 | ((code >> 6) & 0x3F));
            *out++ = static_cast<uint8_t>(0x80 | (code & 0x3F));
        } else {
            *out++ = static_cast<uint8_t>(0xF0 | (code >> 18));
            *out++ = static_cast<uint8_t>(0x80 | ((code >> 12) & 0x3F));
            *out++ = static_cast<uint8_t>(0x80 | ((code >> 6) & 0x3F));
            *out++ = static_cast<uint8_t>(0x80 | (code & 0x3F));
        }
    }
    return static_cast<size_t>(out - start);
}

}  // namespace headwater::decode
