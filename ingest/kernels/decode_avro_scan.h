// Avro's binary encoding: the types of a schema, and reading the parts of values.
// Always true: no byte at or past the end is read; every length, index and count is checked before it is used. Encodings that
// no writer makes (booleans besides 0 and 1, numbers longer than their type) are refused.
// Deliberately unknown here: columns, and what a value means.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/scalars/kernels/text.h"

namespace headwater::decode {

enum class AvroType : int {
    NONE, BOOLEAN, INT, LONG, FLOAT, DOUBLE, BYTES, STRING, FIXED, ENUM, ARRAY, MAP, RECORD, UNION
};
inline constexpr int AVRO_TYPES = 14;

enum class Logical : int { NONE, DECIMAL, DATE, MILLIS, MICROS, LOCAL_MILLIS, LOCAL_MICROS, TIME_MILLIS, TIME_MICROS, DURATION, UUID };
inline constexpr int LOGICALS = 11;

// One type of a schema. Invariant: children have smaller indices than their parent.
struct AvroNode {
    AvroType type;
    Logical logical;
    int64_t size;                    // bytes of a fixed; scale of a decimal is below
    int scale;
    std::vector<std::string> names;  // symbols of an enum, fields of a record
    std::vector<int> children;       // items, values, fields or branches
};

// A place in one message. Every function returns false when the bytes are not what the schema describes.
class AvroReader {
  public:
    explicit AvroReader(std::string_view bytes) : rest_(bytes) {}

    bool at_end() const { return rest_.empty(); }

    bool read_long(int64_t& value) {
        uint64_t bits = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) return false;
            const auto byte = static_cast<uint8_t>(rest_[0]);
            rest_.remove_prefix(1);
            if (shift == 63 && byte > 1) return false;
            bits |= static_cast<uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) {
                value = static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
                return true;
            }
        }
        return false;
    }

    bool read_int(int64_t& value) { return read_long(value) && value >= INT32_MIN && value <= INT32_MAX; }

    bool read_boolean(bool& value) {
        if (rest_.empty() || static_cast<uint8_t>(rest_[0]) > 1) return false;
        value = rest_[0] == 1;
        rest_.remove_prefix(1);
        return true;
    }

    template <class Float>
    bool read_float(Float& value) {
        static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Avro's floats are little-endian");
        if (rest_.size() < sizeof(Float)) return false;
        std::memcpy(&value, rest_.data(), sizeof(Float));
        rest_.remove_prefix(sizeof(Float));
        return true;
    }

    bool read_fixed(int64_t size, std::string_view& value) {
        if (size < 0 || static_cast<uint64_t>(size) > rest_.size()) return false;
        value = rest_.substr(0, static_cast<size_t>(size));
        rest_.remove_prefix(static_cast<size_t>(size));
        return true;
    }

    bool read_bytes(std::string_view& value) {
        int64_t size = 0;
        return read_long(size) && read_fixed(size, value);
    }

    bool read_string(std::string_view& value) { return read_bytes(value) && text::valid_utf8(value); }

    // An index below `count`, of a union's branch or an enum's symbol.
    bool read_index(size_t count, size_t& index) {
        int64_t value = 0;
        if (!read_long(value) || value < 0 || static_cast<uint64_t>(value) >= count) return false;
        index = static_cast<size_t>(value);
        return true;
    }

    // The number of items in the next block of an array or map; 0 ends it. Items take at least a byte (the schema was checked).
    bool read_block(int64_t& count) {
        if (!read_long(count)) return false;
        if (count < 0) {
            int64_t size = 0;
            if (count == INT64_MIN || !read_long(size) || size < 0) return false;
            count = -count;
        }
        return static_cast<uint64_t>(count) <= rest_.size();
    }

  private:
    std::string_view rest_;
};

// A big-endian two's complement number, as decimals are written. False when it has more than 38 digits.
inline bool big_endian(std::string_view bytes, text::Decimal& value) {
    if (bytes.empty()) return value = 0, true;
    const bool negative = static_cast<uint8_t>(bytes[0]) >= 0x80;
    const char filler = negative ? '\xFF' : '\0';
    while (bytes.size() > 16 && bytes[0] == filler) bytes.remove_prefix(1);
    if (bytes.size() > 16 || (bytes.size() == 16 && (static_cast<uint8_t>(bytes[0]) >= 0x80) != negative)) return false;
    auto bits = negative ? ~static_cast<unsigned __int128>(0) : static_cast<unsigned __int128>(0);
    for (const char byte : bytes) bits = bits << 8 | static_cast<uint8_t>(byte);
    value = static_cast<text::Decimal>(bits);
    return text::fits(value, text::kDecimalDigits);
}

}  // namespace headwater::decode
