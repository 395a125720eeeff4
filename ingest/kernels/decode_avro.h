// Avro values into columns, or into canonical jsonb, with the schema that wrote them.
// Always true: a schema's nodes come after their parts, so its depth bounds the stack; a value is read to its end or is a fault.
// Deliberately unknown here: the registry, the wire format around a value, and errors' texts beyond what was read.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ingest/kernels/decode_avro_scan.h"
#include "ingest/kernels/decode_column.h"

namespace headwater::decode {

// What can be wrong with a value: the bytes, or that its column cannot hold it.
inline constexpr Fault CORRUPT = "bytes that its avro schema does not describe";
inline constexpr Fault IS_NULL = "null";

class AvroDecoder {
  public:
    // The types that indices name from now on; they must outlive their use.
    void use(const std::vector<AvroNode>& nodes) { nodes_ = nodes.data(); }

    // Reads past a value.
    bool skip(AvroReader& in, int index) {
        const AvroNode& node = nodes_[index];
        int64_t number = 0;
        std::string_view bytes;
        switch (node.type) {
            case AvroType::NONE: return true;
            case AvroType::BOOLEAN: {
                bool value;
                return in.read_boolean(value);
            }
            case AvroType::INT: return in.read_int(number);
            case AvroType::LONG: return in.read_long(number);
            case AvroType::FLOAT: return in.read_fixed(4, bytes);
            case AvroType::DOUBLE: return in.read_fixed(8, bytes);
            case AvroType::BYTES: return in.read_bytes(bytes);
            case AvroType::STRING: return in.read_string(bytes);
            case AvroType::FIXED: return in.read_fixed(node.size, bytes);
            case AvroType::ENUM: {
                size_t symbol;
                return in.read_index(node.names.size(), symbol);
            }
            case AvroType::UNION: {
                size_t branch;
                return in.read_index(node.children.size(), branch) && skip(in, node.children[branch]);
            }
            case AvroType::RECORD:
                for (const int child : node.children)
                    if (!skip(in, child)) return false;
                return true;
            case AvroType::ARRAY: case AvroType::MAP:
                return blocks(in, [&] {
                    return (node.type == AvroType::ARRAY || in.read_string(bytes)) && skip(in, node.children[0]) ? nullptr : CORRUPT;
                }) == nullptr;
        }
        return false;
    }

    // Reads a value into a column. IS_NULL: it is null, and nothing was stored.
    Fault read(AvroReader& in, int index, ColumnWriter& column, const Field& field, int64_t row) {
        const AvroNode* node = &nodes_[index];
        if (node->type == AvroType::UNION && field.kind != Kind::JSONB) {
            size_t branch;
            if (!in.read_index(node->children.size(), branch)) return CORRUPT;
            return read(in, node->children[branch], column, field, row);
        }
        if (field.kind == Kind::JSONB) return document(in, index, column, row);
        switch (node->type) {
            case AvroType::NONE: return IS_NULL;
            case AvroType::BOOLEAN: {
                bool value;
                if (!in.read_boolean(value)) return CORRUPT;
                if (field.kind != Kind::BOOLEAN) return "a boolean";
                column.put(row, static_cast<uint8_t>(value));
                return nullptr;
            }
            case AvroType::INT: case AvroType::LONG: {
                int64_t value = 0;
                if (!(node->type == AvroType::INT ? in.read_int(value) : in.read_long(value))) return CORRUPT;
                return put_number(column, field, row, value, node->logical);
            }
            case AvroType::FLOAT: {
                float value;
                if (!in.read_float(value)) return CORRUPT;
                if (field.kind == Kind::REAL) column.put(row, value);
                else if (field.kind == Kind::DOUBLE) column.put(row, static_cast<double>(value));
                else return "a number";
                return nullptr;
            }
            case AvroType::DOUBLE: {
                double value;
                if (!in.read_float(value)) return CORRUPT;
                if (field.kind != Kind::DOUBLE) return "a number";
                column.put(row, value);
                return nullptr;
            }
            case AvroType::BYTES: case AvroType::FIXED: {
                std::string_view value;
                if (!(node->type == AvroType::BYTES ? in.read_bytes(value) : in.read_fixed(node->size, value))) return CORRUPT;
                return put_bytes(column, field, row, value, *node);
            }
            case AvroType::STRING: {
                std::string_view value;
                if (!in.read_string(value)) return CORRUPT;
                if (!is_textual(field.kind)) return "a string";
                return put_text(column, field, row, value, scratch_);
            }
            case AvroType::ENUM: {
                size_t symbol;
                if (!in.read_index(node->names.size(), symbol)) return CORRUPT;
                if (field.kind != Kind::TEXT && field.kind != Kind::CHAR && field.kind != Kind::VARCHAR) return "an enum";
                return put_text(column, field, row, node->names[symbol], scratch_);
            }
            default: return "a value of several parts";
        }
    }

  private:
    static constexpr int64_t DAY_MICROS = text::kMicrosPerDay;

    // Runs `item` for every item of an array or map, until it gives a fault.
    template <class Item>
    static Fault blocks(AvroReader& in, Item item) {
        int64_t count = 0;
        for (;;) {
            if (!in.read_block(count)) return CORRUPT;
            if (count == 0) return nullptr;
            for (; count > 0; --count)
                if (const Fault fault = item()) return fault;
        }
    }

    static Fault put_micros(ColumnWriter& column, int64_t row, int64_t value, bool millis) {
        if (millis && (value < FIRST_MILLISECOND || value > LAST_MILLISECOND)) return OUT_OF_RANGE;
        if (millis) value *= 1000;
        if (value < FIRST_MILLISECOND * 1000 || value > LAST_MILLISECOND * 1000 + 999) return OUT_OF_RANGE;
        column.put(row, value);
        return nullptr;
    }

    static Fault put_scaled(ColumnWriter& column, const Field& field, int64_t row, text::Decimal value, int scale) {
        if (text::rescale(value, scale, field.scale, value) != text::Status::ok) return OUT_OF_RANGE;
        if (!text::fits(value, field.precision != 0 ? field.precision : text::kDecimalDigits)) return OUT_OF_RANGE;
        column.put(row, value);
        return nullptr;
    }

    static Fault put_number(ColumnWriter& column, const Field& field, int64_t row, int64_t value, Logical logical) {
        switch (field.kind) {
            case Kind::SMALLINT:
                if (value < INT16_MIN || value > INT16_MAX) return OUT_OF_RANGE;
                column.put(row, static_cast<int16_t>(value));
                return nullptr;
            case Kind::INTEGER:
                if (value < INT32_MIN || value > INT32_MAX) return OUT_OF_RANGE;
                column.put(row, static_cast<int32_t>(value));
                return nullptr;
            case Kind::BIGINT: column.put(row, value); return nullptr;
            case Kind::NUMERIC: return put_scaled(column, field, row, value, 0);
            case Kind::DOUBLE: column.put(row, static_cast<double>(value)); return nullptr;
            case Kind::DATE:
                if (value < FIRST_MILLISECOND / 86'400'000 || value > LAST_MILLISECOND / 86'400'000) return OUT_OF_RANGE;
                column.put(row, static_cast<int32_t>(value));
                return nullptr;
            case Kind::TIMESTAMP: case Kind::TIMESTAMPTZ:
                return put_micros(column, row, value, logical == Logical::MILLIS || logical == Logical::LOCAL_MILLIS);
            case Kind::TIME:
                if (value < 0 || value > DAY_MICROS / (logical == Logical::TIME_MILLIS ? 1000 : 1)) return OUT_OF_RANGE;
                column.put(row, logical == Logical::TIME_MILLIS ? value * 1000 : value);
                return nullptr;
            default: return "a number";
        }
    }

    // Three little-endian numbers: months, days, milliseconds.
    static bool duration(std::string_view value, Interval& out) {
        uint32_t parts[3];
        for (size_t i = 0; i < 12; ++i) {
            if (i % 4 == 0) parts[i / 4] = 0;
            parts[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(value[i])) << (8 * (i % 4));
        }
        if (parts[0] > INT32_MAX || parts[1] > INT32_MAX) return false;
        out = {static_cast<int32_t>(parts[0]), static_cast<int32_t>(parts[1]), int64_t{parts[2]} * 1000};
        return true;
    }

    static Fault put_bytes(ColumnWriter& column, const Field& field, int64_t row, std::string_view value, const AvroNode& node) {
        if (field.kind == Kind::BYTEA) {
            column.put_bytes(row, value);
            return nullptr;
        }
        if (field.kind == Kind::INTERVAL && node.logical == Logical::DURATION) {
            Interval interval;
            if (!duration(value, interval)) return OUT_OF_RANGE;
            column.put(row, interval);
            return nullptr;
        }
        if (field.kind == Kind::UUID && value.size() == sizeof(text::Uuid)) {
            text::Uuid uuid;
            std::memcpy(uuid.data(), value.data(), uuid.size());
            column.put(row, uuid);
            return nullptr;
        }
        if ((field.kind == Kind::TEXT || field.kind == Kind::VARCHAR) && node.logical == Logical::UUID) {
            text::Uuid uuid;
            char shown[text::kUuidChars];
            if (value.size() != uuid.size()) return "bytes";
            std::memcpy(uuid.data(), value.data(), uuid.size());
            text::format_uuid(uuid, shown);
            return field.kind == Kind::TEXT ? (column.put_bytes(row, {shown, sizeof(shown)}), nullptr)
                                            : put_limited(column, field, row, {shown, sizeof(shown)});
        }
        text::Decimal number = 0;
        if (field.kind != Kind::NUMERIC || node.logical != Logical::DECIMAL) return "bytes";
        if (!big_endian(value, number)) return OUT_OF_RANGE;
        return put_scaled(column, field, row, number, node.scale);
    }

    Fault document(AvroReader& in, int index, ColumnWriter& column, int64_t row) {
        json_.clear();
        if (const Fault fault = write(in, index)) return fault;
        if (json_ == "null") return IS_NULL;
        canonical_.clear();
        switch (text::canonical_json(json_, text::Duplicates::error, canonical_)) {
            case text::Status::ok: column.put_bytes(row, canonical_); return nullptr;
            case text::Status::unsupported: return "text with a zero character";
            case text::Status::range: return OUT_OF_RANGE;
            case text::Status::syntax: return "a map with a key twice";
        }
        return OUT_OF_RANGE;
    }

    // Appends a value as JSON to json_.
    Fault write(AvroReader& in, int index) {
        const AvroNode& node = nodes_[index];
        std::string_view bytes;
        size_t place;
        switch (node.type) {
            case AvroType::NONE: json_ += "null"; return nullptr;
            case AvroType::BOOLEAN: {
                bool value;
                if (!in.read_boolean(value)) return CORRUPT;
                json_ += value ? "true" : "false";
                return nullptr;
            }
            case AvroType::INT: case AvroType::LONG: {
                int64_t value = 0;
                if (!(node.type == AvroType::INT ? in.read_int(value) : in.read_long(value))) return CORRUPT;
                return write_number(value, node.logical);
            }
            case AvroType::FLOAT: return write_float<float>(in);
            case AvroType::DOUBLE: return write_float<double>(in);
            case AvroType::BYTES: case AvroType::FIXED:
                if (!(node.type == AvroType::BYTES ? in.read_bytes(bytes) : in.read_fixed(node.size, bytes))) return CORRUPT;
                return write_bytes(bytes, node);
            case AvroType::STRING:
                if (!in.read_string(bytes)) return CORRUPT;
                text::append_json_string(bytes, json_);
                return nullptr;
            case AvroType::ENUM:
                if (!in.read_index(node.names.size(), place)) return CORRUPT;
                text::append_json_string(node.names[place], json_);
                return nullptr;
            case AvroType::UNION:
                return in.read_index(node.children.size(), place) ? write(in, node.children[place]) : CORRUPT;
            default: return write_parts(in, node);
        }
    }

    Fault write_parts(AvroReader& in, const AvroNode& node) {
        json_ += node.type == AvroType::ARRAY ? '[' : '{';
        bool first = true;
        const auto comma = [&] {
            if (!std::exchange(first, false)) json_ += ',';
        };
        Fault fault = nullptr;
        if (node.type == AvroType::RECORD) {
            for (size_t i = 0; i < node.children.size() && fault == nullptr; ++i) {
                comma();
                text::append_json_string(node.names[i], json_);
                json_ += ':';
                fault = write(in, node.children[i]);
            }
        } else {
            fault = blocks(in, [&]() -> Fault {
                comma();
                if (node.type == AvroType::MAP) {
                    std::string_view key;
                    if (!in.read_string(key)) return CORRUPT;
                    text::append_json_string(key, json_);
                    json_ += ':';
                }
                return write(in, node.children[0]);
            });
        }
        json_ += node.type == AvroType::ARRAY ? ']' : '}';
        return fault;
    }

    Fault write_number(int64_t value, Logical logical) {
        char digits[text::kTimestampChars];
        const bool millis = logical == Logical::MILLIS || logical == Logical::LOCAL_MILLIS;
        if (logical == Logical::NONE) {
            json_.append(digits, text::format_integer(value, digits));
            return nullptr;
        }
        if (logical == Logical::TIME_MILLIS || logical == Logical::TIME_MICROS) {
            if (value < 0 || value > DAY_MICROS / (logical == Logical::TIME_MILLIS ? 1000 : 1)) return OUT_OF_RANGE;
            json_ += '"';
            json_.append(digits, text::format_time(logical == Logical::TIME_MILLIS ? value * 1000 : value, digits));
            json_ += '"';
            return nullptr;
        }
        const int64_t unit = logical == Logical::DATE ? 86'400'000 : 1;
        const int64_t low = millis || unit > 1 ? FIRST_MILLISECOND / unit : FIRST_MILLISECOND * 1000;
        const int64_t high = millis || unit > 1 ? LAST_MILLISECOND / unit : LAST_MILLISECOND * 1000 + 999;
        if (value < low || value > high) return OUT_OF_RANGE;
        const bool zone = logical == Logical::MILLIS || logical == Logical::MICROS;
        json_ += '"';
        json_.append(digits, logical == Logical::DATE
                                 ? text::format_date(value, digits)
                                 : text::format_timestamp(millis ? value * 1000 : value, 'T', zone ? "Z" : "", digits));
        json_ += '"';
        return nullptr;
    }

    template <class Float>
    Fault write_float(AvroReader& in) {
        Float value;
        if (!in.read_float(value)) return CORRUPT;
        char digits[text::kDoubleChars];
        const bool finite = std::isfinite(value);
        if (!finite) json_ += '"';
        json_.append(digits, text::format_float(value, digits));
        if (!finite) json_ += '"';
        return nullptr;
    }

    Fault write_bytes(std::string_view bytes, const AvroNode& node) {
        if (node.logical == Logical::DECIMAL) {
            text::Decimal value = 0;
            if (!big_endian(bytes, value)) return OUT_OF_RANGE;
            char digits[text::kDecimalChars];
            json_.append(digits, text::format_decimal(value, node.scale, false, digits));
            return nullptr;
        }
        char shown[text::kIntervalChars];
        if (node.logical == Logical::DURATION) {
            Interval interval;
            if (!duration(bytes, interval)) return OUT_OF_RANGE;
            json_ += '"';
            json_.append(shown, text::format_interval(interval, shown));
            json_ += '"';
            return nullptr;
        }
        if (node.logical == Logical::UUID && bytes.size() == sizeof(text::Uuid)) {
            text::Uuid uuid;
            std::memcpy(uuid.data(), bytes.data(), uuid.size());
            json_ += '"';
            json_.append(shown, text::format_uuid(uuid, shown));
            json_ += '"';
            return nullptr;
        }
        constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        json_ += '"';
        for (size_t i = 0; i < bytes.size(); i += 3) {
            const size_t left = std::min<size_t>(3, bytes.size() - i);
            uint32_t bits = 0;
            for (size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < left ? static_cast<uint8_t>(bytes[i + k]) : 0u);
            for (size_t k = 0; k < 4; ++k) json_ += k <= left ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
        }
        json_ += '"';
        return nullptr;
    }

    const AvroNode* nodes_ = nullptr;
    std::string json_, canonical_, scratch_;
};

}  // namespace headwater::decode
