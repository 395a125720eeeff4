// The kinds of types as kernels are told them, with their names in messages and their Arrow formats.
#pragma once

#include "dataflow/scalars/kernels/scalars.h"

namespace headwater::scalars {

inline constexpr const char* kDecimalOverflow = "numeric field overflow";

// The order is the contract with dataflow/scalars.py.
enum class Kind {
  boolean, smallint, integer, bigint, numeric, real, double_precision, text, date, timestamp, timestamptz, jsonb, bytea,
  interval, time, uuid, character, varying
};

inline Kind to_kind(int code) {
  if (code < 0 || code > static_cast<int>(Kind::varying)) throw std::invalid_argument("unknown kind of type");
  return static_cast<Kind>(code);
}

inline constexpr const char* kNames[] = {"boolean", "smallint", "integer", "bigint", "numeric", "real", "double precision",
                                  "text", "date", "timestamp", "timestamp with time zone", "json", "bytea",
                                  "interval", "time", "uuid", "character", "character varying"};
inline constexpr const char* kFormats[] = {"b", "s", "i", "l", "", "f", "g", "U", "tdD", "tsu:", "tsu:UTC", "U", "Z", "tin",
                                           "tDu", "w:16", "U", "U"};

}  // namespace headwater::scalars
