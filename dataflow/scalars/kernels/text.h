// SQL values from and to text, by PostgreSQL 15's rules: what the casts of the planner and the decoders of ingest share.
//
// Header only, no state, no locale, no allocation except where a std::string is handed in. Every function takes a bounded
// std::string_view, never reads past it, never throws on bad data and says with a Status what was wrong. Parsers skip
// PostgreSQL's white space (blank, \t \n \v \f \r) at both ends and must consume everything else.
// Deliberately unknown here: error messages, Arrow, and which column a value belongs to.
//
//   text_number.h   booleans, integers, decimals to a scale, floats
//   text_time.h     dates, timestamps and times of day (proleptic Gregorian calendar, UTC)
//   text_interval.h intervals
//   text_utf8.h     UTF-8 validation
//   text_uuid.h     UUIDs
//   text_json.h     canonical jsonb
#pragma once

#include "dataflow/scalars/kernels/text_interval.h"
#include "dataflow/scalars/kernels/text_json.h"
#include "dataflow/scalars/kernels/text_number.h"
#include "dataflow/scalars/kernels/text_time.h"
#include "dataflow/scalars/kernels/text_utf8.h"
#include "dataflow/scalars/kernels/text_uuid.h"
