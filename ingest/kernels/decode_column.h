// One column while it is being decoded: values are written at a row that may still turn out bad.
// Always true: rows below `row` of the last `close` are final; what was written for a later row is forgotten by `reopen`.
// Deliberately unknown here: JSON; a value arrives as a typed value or as text of the column's type.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/kernels/arrow.h"
#include "dataflow/scalars/kernels/text.h"

namespace headwater::decode {

// In the order of dataflow.types.Kind.
enum class Kind : int {
    BOOLEAN, SMALLINT, INTEGER, BIGINT, NUMERIC, REAL, DOUBLE, TEXT, DATE, TIMESTAMP, TIMESTAMPTZ, JSONB, BYTEA,
    INTERVAL, TIME, UUID, CHAR, VARCHAR
};
inline constexpr int KINDS = 18;

// A column as declared.
struct Field {
    std::string name;
    Kind kind;
    int precision;  // digits of a numeric or characters of a char or varchar, 0: as many as fit
    int scale;
    bool nullable;
    std::string type;  // for messages
};

inline std::string arrow_format(const Field& field) {
    switch (field.kind) {
        case Kind::BOOLEAN: return "b";
        case Kind::SMALLINT: return "s";
        case Kind::INTEGER: return "i";
        case Kind::BIGINT: return "l";
        case Kind::NUMERIC: return "d:38," + std::to_string(field.scale);
        case Kind::REAL: return "f";
        case Kind::DOUBLE: return "g";
        case Kind::TEXT: case Kind::JSONB: case Kind::CHAR: case Kind::VARCHAR: return "U";
        case Kind::DATE: return "tdD";
        case Kind::TIMESTAMP: return "tsu:";
        case Kind::TIMESTAMPTZ: return "tsu:UTC";
        case Kind::BYTEA: return "Z";
        case Kind::INTERVAL: return "tin";
        case Kind::TIME: return "tDu";
        case Kind::UUID: return "w:16";
    }
    throw std::invalid_argument("no such kind of column");
}

class ColumnWriter {
  public:
    ColumnWriter(const Field& field, int64_t rows) : format_(arrow::Format::parse(arrow_format(field).c_str())) {
        if (format_.layout == arrow::Layout::bytes) {
            offsets_.reserve(static_cast<size_t>(rows) + 1);
            offsets_.push_back(0);
        } else {
            width_ = format_.layout == arrow::Layout::boolean ? 1 : static_cast<size_t>(format_.width);
            data_.resize(static_cast<size_t>(rows) * width_);
        }
        valid_.resize(static_cast<size_t>(rows));
    }

    // Begin row `row`, which is the number of rows closed so far.
    void reopen() {
        if (width_ == 0) data_.resize(static_cast<size_t>(offsets_.back()));
    }

    template <class T>
    void put(int64_t row, T value) {
        std::memcpy(data_.data() + static_cast<size_t>(row) * sizeof(T), &value, sizeof(T));
        valid_[static_cast<size_t>(row)] = 1;
    }

    void put_bytes(int64_t row, std::string_view value) {
        data_.insert(data_.end(), value.begin(), value.end());
        valid_[static_cast<size_t>(row)] = 1;
    }

    void put_null(int64_t row) {
        if (width_ != 0) std::memset(data_.data() + static_cast<size_t>(row) * width_, 0, width_);
        valid_[static_cast<size_t>(row)] = 0;
    }

    // The row is good.
    void close() {
        if (width_ == 0) offsets_.push_back(static_cast<int64_t>(data_.size()));
    }

    // The first `rows` rows as a column; the writer is used up.
    arrow::Column finish(int64_t rows) {
        const auto count = static_cast<size_t>(rows);
        auto memory = std::make_shared<Memory>();
        arrow::Column column;
        column.format = format_;
        column.length = rows;
        for (size_t row = 0; row < count; ++row) column.nulls += valid_[row] == 0;
        if (column.nulls != 0) memory->validity = pack(valid_, count);
        if (format_.layout == arrow::Layout::boolean) {
            memory->data = pack(data_, count);
        } else {
            if (width_ != 0) {
                data_.resize(count * width_);
            } else {
                reopen();
            }
            memory->data = std::move(data_);
            memory->offsets = std::move(offsets_);
        }
        memory->data.reserve(1);  // a pointer even where there is nothing
        column.validity = column.nulls != 0 ? memory->validity.data() : nullptr;
        column.data = memory->data.data();
        column.offsets = width_ == 0 ? memory->offsets.data() : nullptr;
        column.owner = std::move(memory);
        return column;
    }

  private:
    struct Memory {
        std::vector<uint8_t> validity, data;
        std::vector<int64_t> offsets;
    };

    // One bit for each of the first `count` bytes.
    static std::vector<uint8_t> pack(const std::vector<uint8_t>& bytes, size_t count) {
        std::vector<uint8_t> bits(count / 8 + 1);
        for (size_t i = 0; i < count; ++i) bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | (bytes[i] << (i % 8)));
        return bits;
    }

    arrow::Format format_;
    size_t width_ = 0;  // bytes of one value, booleans as bytes; 0 for texts
    std::vector<uint8_t> valid_, data_;
    std::vector<int64_t> offsets_;
};

// What was read instead of a value of the column's type; nullptr: the value is stored.
using Fault = const char*;

inline constexpr Fault OTHER_FORM = "text that is not one";
inline constexpr Fault OUT_OF_RANGE = "a value out of range";

// Integers of every width from digits.
inline Fault put_integer(ColumnWriter& column, const Field& field, int64_t row, std::string_view digits) {
    int64_t low = INT64_MIN, high = INT64_MAX, value = 0;
    if (field.kind == Kind::SMALLINT) low = INT16_MIN, high = INT16_MAX;
    if (field.kind == Kind::INTEGER) low = INT32_MIN, high = INT32_MAX;
    if (text::parse_integer(digits, low, high, value) != text::Status::ok) return OUT_OF_RANGE;
    if (field.kind == Kind::SMALLINT) column.put(row, static_cast<int16_t>(value));
    else if (field.kind == Kind::INTEGER) column.put(row, static_cast<int32_t>(value));
    else column.put(row, value);
    return nullptr;
}

inline Fault put_decimal(ColumnWriter& column, const Field& field, int64_t row, std::string_view digits) {
    text::Decimal value = 0;
    const text::Status status = text::parse_decimal(digits, field.scale, value);
    if (status == text::Status::range) return OUT_OF_RANGE;
    if (status != text::Status::ok) return OTHER_FORM;
    if (field.precision != 0 && !text::fits(value, field.precision)) return OUT_OF_RANGE;
    column.put(row, value);
    return nullptr;
}

template <class Float>
Fault put_float(ColumnWriter& column, int64_t row, std::string_view digits) {
    Float value = 0;
    if (text::parse_float(digits, value) != text::Status::ok) return OUT_OF_RANGE;
    column.put(row, value);
    return nullptr;
}

// Milliseconds since 1970 of 0001-01-01 and of the end of 9999: what the four digits of an ISO year can say.
inline constexpr int64_t FIRST_MILLISECOND = -62'135'596'800'000, LAST_MILLISECOND = 253'402'300'799'999;

inline Fault put_epoch(ColumnWriter& column, int64_t row, std::string_view digits) {
    int64_t value = 0;
    if (text::parse_integer(digits, FIRST_MILLISECOND, LAST_MILLISECOND, value) != text::Status::ok) return OUT_OF_RANGE;
    column.put(row, value * 1000);
    return nullptr;
}

// Whether `text` begins like `shape`, in which 9 stands for a digit and T for T, t or a blank.
inline bool has_shape(std::string_view text, std::string_view shape) {
    if (text.size() < shape.size()) return false;
    for (size_t i = 0; i < shape.size(); ++i) {
        const char c = text[i];
        const bool fits = shape[i] == '9' ? text::is_digit(c) : shape[i] == 'T' ? c == 'T' || c == 't' || c == ' ' : c == shape[i];
        if (!fits) return false;
    }
    return true;
}

inline Fault put_date(ColumnWriter& column, int64_t row, std::string_view value) {
    int32_t days = 0;
    if (value.size() != 10 || !has_shape(value, "9999-99-99")) return OTHER_FORM;
    if (text::parse_date(value, days) != text::Status::ok) return OUT_OF_RANGE;
    column.put(row, days);
    return nullptr;
}

// The zone at the end of an ISO 8601 timestamp: nothing, Z, or an offset.
enum class Zone { NONE, UTC, OFFSET, BAD };

inline Zone zone_of(std::string_view rest) {
    if (rest.empty()) return Zone::NONE;
    if (rest == "Z" || rest == "z") return Zone::UTC;
    if (rest[0] != '+' && rest[0] != '-') return Zone::BAD;
    rest.remove_prefix(1);
    for (std::string_view shape : {"99:99", "9999", "99"}) {
        if (rest.size() == shape.size() && has_shape(rest, shape)) {
            return rest.find_first_not_of("0:") == rest.npos ? Zone::UTC : Zone::OFFSET;
        }
    }
    return Zone::BAD;
}

// YYYY-MM-DD, or that with T or a blank and HH:MM[:SS[.fraction]] and a zone; nothing else that PostgreSQL also reads.
inline Fault put_timestamp(ColumnWriter& column, const Field& field, int64_t row, std::string_view value) {
    if (!has_shape(value, "9999-99-99")) return OTHER_FORM;
    if (value.size() > 10) {
        size_t end = 16;
        if (!has_shape(value.substr(10), "T99:99")) return OTHER_FORM;
        if (has_shape(value.substr(end), ":99")) {
            end += 3;
            if (has_shape(value.substr(end), ".9")) {
                end += 2;
                while (end < value.size() && text::is_digit(value[end])) ++end;
            }
        }
        const Zone zone = zone_of(value.substr(end));
        if (zone == Zone::BAD) return OTHER_FORM;
        if (zone == Zone::OFFSET && field.kind == Kind::TIMESTAMP) return "text with an offset from UTC, for which timestamptz is made";
    }
    int64_t micros = 0;
    if (text::parse_timestamp(value, field.kind == Kind::TIMESTAMPTZ, micros) != text::Status::ok) return OUT_OF_RANGE;
    if (micros < FIRST_MILLISECOND * 1000 || micros > LAST_MILLISECOND * 1000 + 999) return OUT_OF_RANGE;
    column.put(row, micros);
    return nullptr;
}

// A value of a kind that has one reader of text.
template <class T>
Fault put_parsed(ColumnWriter& column, int64_t row, std::string_view value, text::Status (*parse)(std::string_view, T&)) {
    T parsed{};
    const text::Status status = parse(value, parsed);
    if (status == text::Status::range) return OUT_OF_RANGE;
    if (status != text::Status::ok) return OTHER_FORM;
    column.put(row, parsed);
    return nullptr;
}

// At most `precision` characters; blanks beyond that are dropped, and those at the end of a char always.
inline Fault put_limited(ColumnWriter& column, const Field& field, int64_t row, std::string_view value) {
    if (value.find('\0') != value.npos) return "text with a zero character";
    if (field.precision != 0) {
        size_t end = 0;
        for (int count = 0; end < value.size() && count < field.precision; ++count) {
            ++end;
            while (end < value.size() && (value[end] & 0xC0) == 0x80) ++end;
        }
        if (value.find_first_not_of(' ', end) != value.npos) return "a text that is too long";
        value = value.substr(0, end);
    }
    if (field.kind == Kind::CHAR) value = value.substr(0, value.find_last_not_of(' ') + 1);
    column.put_bytes(row, value);
    return nullptr;
}

// Whether values of the kind are written as text in every format.
inline bool is_textual(Kind kind) {
    return kind == Kind::TEXT || kind == Kind::CHAR || kind == Kind::VARCHAR || kind == Kind::INTERVAL || kind == Kind::TIME ||
           kind == Kind::UUID;
}

// The sextet of a base64 character, or -1.
inline int sextet(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 base64 with its padding.
inline Fault put_base64(ColumnWriter& column, int64_t row, std::string_view value, std::string& scratch) {
    constexpr Fault BAD = "text that is not base64";
    if (value.size() % 4 != 0) return BAD;
    const size_t padding = value.ends_with("==") ? 2 : value.ends_with('=') ? 1 : 0;
    value.remove_suffix(padding);
    scratch.clear();
    uint32_t bits = 0;
    int held = 0;
    for (char c : value) {
        const int six = sextet(c);
        if (six < 0) return BAD;
        bits = bits << 6 | static_cast<uint32_t>(six);
        held += 6;
        if (held >= 8) scratch += static_cast<char>(bits >> (held -= 8) & 0xFF);
    }
    column.put_bytes(row, scratch);
    return nullptr;
}

// A value given as text: `value` is valid UTF-8.
inline Fault put_text(ColumnWriter& column, const Field& field, int64_t row, std::string_view value, std::string& scratch) {
    switch (field.kind) {
        case Kind::TEXT:
            if (value.find('\0') != value.npos) return "text with a zero character";
            column.put_bytes(row, value);
            return nullptr;
        case Kind::NUMERIC: return put_decimal(column, field, row, value);
        case Kind::DATE: return put_date(column, row, value);
        case Kind::TIMESTAMP: case Kind::TIMESTAMPTZ: return put_timestamp(column, field, row, value);
        case Kind::TIME: return put_parsed(column, row, value, text::parse_time);
        case Kind::UUID: return put_parsed(column, row, value, text::parse_uuid);
        case Kind::CHAR: case Kind::VARCHAR: return put_limited(column, field, row, value);
        case Kind::INTERVAL: return put_parsed(column, row, value, text::parse_interval);
        case Kind::BYTEA: return put_base64(column, row, value, scratch);
        default: return "a string";
    }
}

}  // namespace headwater::decode
