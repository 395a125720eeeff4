// One batch of messages to columns, row by row: schema-directed decoding of JSON objects, bare JSON values, plain texts and avro.
// Always true: each entry of the input becomes one row or one error. Needs no GIL until `result`.
// Deliberately unknown here: Kafka, envelopes and what a NULL entry means (the Spec says).
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ingest/kernels/decode_avro.h"
#include "ingest/kernels/decode_column.h"
#include "ingest/kernels/decode_scan.h"

namespace headwater::decode {

namespace nb = nanobind;

inline constexpr int UNKNOWN = -1, FAILED = -2;
inline constexpr size_t HINTS = 64;  // fields of a message whose order is remembered

struct Spec {
    std::vector<Field> fields;
    std::optional<std::string> null_reason;  // absent: a NULL entry is a row of NULLs
    bool scalar;                             // the only column may stand without an object around it
    std::unordered_map<std::string_view, int> places;

    Spec(std::vector<Field> given, std::optional<std::string> null_error, bool bare)
        : fields(std::move(given)), null_reason(std::move(null_error)), scalar(bare) {
        for (size_t i = 0; i < fields.size(); ++i) places.emplace(fields[i].name, static_cast<int>(i));
    }
    Spec(const Spec&) = delete;
};

// How the values that one avro schema wrote become the columns of a Spec.
struct AvroPlan {
    std::vector<AvroNode> nodes;
    int root;
    bool bare;                 // the value itself is the only column; else the root is a record
    std::vector<int> columns;  // of each field of the record: its column, or UNKNOWN
};

// What to do with a schema id: a plan, or the error of every message that has it.
struct AvroSchema {
    const AvroPlan* plan;
    std::string error;
};
using AvroSchemas = std::unordered_map<uint32_t, AvroSchema>;

enum class Form { JSON, TEXT, AVRO };

// The schema id of a message in Confluent's wire format; false when it is not.
inline bool schema_id(std::string_view bytes, uint32_t& id) {
    if (bytes.size() < 5 || bytes[0] != 0) return false;
    id = 0;
    for (size_t i = 1; i < 5; ++i) id = id << 8 | static_cast<uint8_t>(bytes[i]);
    return true;
}

inline const char* read_kind(uint8_t first) {
    switch (first) {
        case '{': return "an object";
        case '[': return "an array";
        case '"': return "a string";
        case 't': case 'f': return "a boolean";
        case 'n': return "null";
        default: return "a number";
    }
}

// Decodes one batch.
class Batch {
  public:
    // `schemas` holds every schema id of the batch; for other forms it is empty.
    Batch(const Spec& spec, const AvroSchemas& schemas, int64_t count)
        : spec_(spec), schemas_(schemas), stamps_(spec.fields.size(), -1) {
        columns_.reserve(spec.fields.size());
        for (const Field& field : spec.fields) columns_.emplace_back(field, count);
        rows_.reserve(static_cast<size_t>(count));
    }

    template <Form FORM>
    void run(const arrow::Column& values) {
        for (message_ = 0; message_ < values.length; ++message_) {
            row_ = static_cast<int64_t>(rows_.size());
            for (ColumnWriter& column : columns_) column.reopen();
            bool good;
            if (!values.valid(message_)) {
                good = null_entry();
            } else if constexpr (FORM == Form::JSON) {
                good = json(values.bytes(message_));
            } else if constexpr (FORM == Form::TEXT) {
                good = text(values.bytes(message_));
            } else {
                good = avro(values.bytes(message_));
            }
            if (good) {
                for (ColumnWriter& column : columns_) column.close();
                rows_.push_back(message_);
            } else {
                errors_.emplace_back(message_, std::move(reason_));
            }
        }
    }

    nb::tuple result() {
        nb::list columns, errors;
        for (ColumnWriter& column : columns_) {
            columns.append(arrow::write_column(column.finish(static_cast<int64_t>(rows_.size()))));
        }
        for (const auto& [row, reason] : errors_) errors.append(nb::make_tuple(row, reason));
        auto* rows = new std::vector<int64_t>(std::move(rows_));
        nb::capsule owner(rows, [](void* held) noexcept { delete static_cast<std::vector<int64_t>*>(held); });
        rows->reserve(1);
        return nb::make_tuple(nb::ndarray<nb::numpy, int64_t, nb::ndim<1>>(rows->data(), {rows->size()}, owner), columns, errors);
    }

  private:
    bool fail(std::string reason) {
        reason_ = std::move(reason);
        return false;
    }

    bool not_json(const Cursor& in) {
        return fail("not JSON at byte " + std::to_string(in.position()) + ": " + describe(in.error));
    }

    std::string name(const Field& field) const { return "column " + field.name.substr(0, 64); }

    bool mismatch(const Field& field, const char* read) {
        return fail(name(field) + ": expected " + field.type + ", read " + read);
    }

    bool null_entry() {
        if (spec_.null_reason) return fail(*spec_.null_reason);
        for (ColumnWriter& column : columns_) column.put_null(row_);
        return true;
    }

    bool json(std::string_view bytes) {
        Cursor in(bytes);
        in.skip_space();
        if (in.peek() == '{') {
            if (!object(in) || !missing()) return false;
        } else if (!spec_.scalar) {
            const uint8_t* const start = in.p;
            if (!in.skip_value(0) || !in.finish()) return not_json(in);
            return fail(std::string("expected a JSON object, read ") + read_kind(*start));
        } else if (!value(in, 0, 0)) {
            return false;
        }
        return in.finish() || not_json(in);
    }

    bool object(Cursor& in) {
        ++in.p;
        in.skip_space();
        seen_ = 0;
        if (in.peek() == '}') return ++in.p, true;
        for (size_t place = 0;; ++place) {
            const int found = key(in, place);
            if (found == FAILED) return not_json(in);
            in.skip_space();
            if (!in.expect(':')) return not_json(in);
            in.skip_space();
            if (found == UNKNOWN) {
                if (!in.skip_value(1)) return not_json(in);
            } else if (!field(in, static_cast<size_t>(found))) {
                return false;
            }
            in.skip_space();
            if (in.peek() == '}') return ++in.p, true;
            if (!in.expect(',')) return not_json(in);
            in.skip_space();
        }
    }

    // The column that the key at the cursor names. The key that stood here in the message before is tried first.
    int key(Cursor& in, size_t place) {
        if (place < hints_.size()) {
            const auto& [hint, column] = hints_[place];
            const std::string_view rest = in.rest();
            if (column != FAILED && rest.size() > hint.size() + 1 && rest[0] == '"' && rest[hint.size() + 1] == '"' &&
                std::memcmp(rest.data() + 1, hint.data(), hint.size()) == 0) {
                in.p += hint.size() + 2;
                return column;
            }
        }
        Text found;
        if (in.peek() != '"') {
            in.fail(Syntax::UNEXPECTED);
            return FAILED;
        }
        if (!in.scan_string(found)) return FAILED;
        const auto known = spec_.places.find(found.escaped ? plain(found.raw) : found.raw);
        const int column = known == spec_.places.end() ? UNKNOWN : known->second;
        if (!found.escaped && place < HINTS) {
            if (place >= hints_.size()) hints_.resize(place + 1, {{}, FAILED});
            // Either text outlives the batch: the declared name, or the bytes of this message.
            hints_[place] = {column == UNKNOWN ? found.raw : known->first, column};
        }
        return column;
    }

    bool field(Cursor& in, size_t place) {
        if (stamps_[place] == message_) return fail(name(spec_.fields[place]) + ": stands twice in the object");
        stamps_[place] = message_;
        ++seen_;
        return value(in, place, 1);
    }

    // NULL for every column that the object does not name.
    bool missing() {
        if (seen_ == columns_.size()) return true;
        for (size_t place = 0; place < columns_.size(); ++place) {
            if (stamps_[place] == message_) continue;
            if (!spec_.fields[place].nullable) return fail(name(spec_.fields[place]) + ": missing, but must not be null");
            columns_[place].put_null(row_);
        }
        return true;
    }

    // The value at the cursor into a column; `depth` values are open around it.
    bool value(Cursor& in, size_t place, int depth) {
        const Field& field = spec_.fields[place];
        ColumnWriter& column = columns_[place];
        const uint8_t first = in.peek();
        if (first == 'n') {
            if (!in.scan_literal("null")) return not_json(in);
            if (!field.nullable) return fail(name(field) + ": null, but must not be null");
            column.put_null(row_);
            return true;
        }
        if (field.kind == Kind::JSONB) return document(in, field, column, depth);
        Fault fault = nullptr;
        if (first == '"') {
            Text found;
            if (!in.scan_string(found)) return not_json(in);
            fault = put_text(column, field, row_, found.escaped ? plain(found.raw) : found.raw, scratch_);
        } else if (first == '-' || (first >= '0' && first <= '9')) {
            Number found;
            if (!in.scan_number(found)) return not_json(in);
            fault = put_number(column, field, found);
        } else if ((first == 't' || first == 'f') && field.kind == Kind::BOOLEAN) {
            if (!in.scan_literal(first == 't' ? "true" : "false")) return not_json(in);
            column.put(row_, static_cast<uint8_t>(first == 't'));
        } else {
            if (!in.skip_value(depth)) return not_json(in);
            fault = read_kind(first);
        }
        return fault == nullptr || mismatch(field, fault);
    }

    Fault put_number(ColumnWriter& column, const Field& field, const Number& number) {
        constexpr Fault FRACTION = "a number with a fraction or an exponent";
        switch (field.kind) {
            case Kind::SMALLINT: case Kind::INTEGER: case Kind::BIGINT:
                return number.integral ? put_integer(column, field, row_, number.raw) : FRACTION;
            case Kind::NUMERIC: return put_decimal(column, field, row_, number.raw);
            case Kind::REAL: return put_float<float>(column, row_, number.raw);
            case Kind::DOUBLE: return put_float<double>(column, row_, number.raw);
            case Kind::TIMESTAMP: case Kind::TIMESTAMPTZ:
                return number.integral ? put_epoch(column, row_, number.raw) : FRACTION;
            default: return "a number";
        }
    }

    // Any value as canonical jsonb.
    bool document(Cursor& in, const Field& field, ColumnWriter& column, int depth) {
        const std::string_view rest = in.rest();
        const int64_t start = in.position();
        if (!in.skip_value(depth)) return not_json(in);
        scratch_.clear();
        const auto size = static_cast<size_t>(in.position() - start);
        switch (text::canonical_json(rest.substr(0, size), text::Duplicates::error, scratch_)) {
            case text::Status::ok: column.put_bytes(row_, scratch_); return true;
            case text::Status::range: return mismatch(field, "a number of too many digits");
            case text::Status::unsupported: return mismatch(field, "text with a zero character");
            case text::Status::syntax: return mismatch(field, "an object with a key twice");
        }
        return mismatch(field, "something else");
    }

    // The text form of the only column's type.
    bool text(std::string_view bytes) {
        const Field& field = spec_.fields[0];
        ColumnWriter& column = columns_[0];
        Fault fault = nullptr;
        switch (field.kind) {
            case Kind::BYTEA: column.put_bytes(row_, bytes); return true;
            case Kind::TEXT: case Kind::DATE: case Kind::TIMESTAMP: case Kind::TIMESTAMPTZ: case Kind::INTERVAL: case Kind::TIME:
            case Kind::UUID: case Kind::CHAR: case Kind::VARCHAR:
                if (!text::valid_utf8(bytes)) return fail(name(field) + ": invalid UTF-8");
                fault = put_text(column, field, row_, bytes, scratch_);
                return fault == nullptr || mismatch(field, fault);
            default: break;
        }
        // Numbers, booleans and jsonb are written as in JSON.
        Cursor in(bytes);
        in.skip_space();
        const uint8_t first = in.peek();
        if (field.kind != Kind::JSONB && (first == 0 || first == '"' || first == 'n')) return mismatch(field, OTHER_FORM);
        if (!value(in, 0, 0)) return false;
        return in.finish() || not_json(in);
    }

    bool avro(std::string_view bytes) {
        uint32_t id = 0;
        if (!schema_id(bytes, id)) {
            return fail("not in Confluent's wire format: a zero byte, a schema id of four bytes, then the value");
        }
        const auto found = schemas_.find(id);
        if (found == schemas_.end()) return fail("schema " + std::to_string(id) + " is not known");
        if (found->second.plan == nullptr) return fail(found->second.error);
        const AvroPlan& plan = *found->second.plan;
        avro_.use(plan.nodes);
        AvroReader in(bytes.substr(5));
        seen_ = 0;
        if (plan.bare) {
            if (!avro_field(in, plan.root, 0)) return false;
        } else {
            const std::vector<int>& children = plan.nodes[static_cast<size_t>(plan.root)].children;
            for (size_t i = 0; i < children.size(); ++i) {
                if (plan.columns[i] == UNKNOWN) {
                    if (!avro_.skip(in, children[i])) return not_avro("");
                } else if (!avro_field(in, children[i], static_cast<size_t>(plan.columns[i]))) {
                    return false;
                }
            }
        }
        return in.at_end() ? missing() : not_avro(": bytes follow the value");
    }

    bool not_avro(const char* why) { return fail(std::string("not what its avro schema describes") + why); }

    bool avro_field(AvroReader& in, int node, size_t place) {
        const Field& field = spec_.fields[place];
        stamps_[place] = message_;
        ++seen_;
        const Fault fault = avro_.read(in, node, columns_[place], field, row_);
        if (fault == nullptr) return true;
        if (fault == CORRUPT) return not_avro("");
        if (fault != IS_NULL) return mismatch(field, fault);
        if (!field.nullable) return fail(name(field) + ": null, but must not be null");
        columns_[place].put_null(row_);
        return true;
    }

    // What an escaped string means; valid until the next call.
    std::string_view plain(std::string_view raw) {
        unescaped_.resize(raw.size());
        return {unescaped_.data(), unescape(raw, reinterpret_cast<uint8_t*>(unescaped_.data()))};
    }

    const Spec& spec_;
    const AvroSchemas& schemas_;
    std::vector<ColumnWriter> columns_;
    std::vector<int64_t> stamps_;  // of each column: the message that named it last
    std::vector<std::pair<std::string_view, int>> hints_;
    std::vector<int64_t> rows_;
    std::vector<std::pair<int64_t, std::string>> errors_;
    AvroDecoder avro_;
    std::string reason_, scratch_, unescaped_;
    int64_t message_ = 0, row_ = 0;
    size_t seen_ = 0;
};

}  // namespace headwater::decode
