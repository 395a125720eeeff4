// Hashes of rows: 64 bits each, the same in every process and on every machine.
#pragma once

#include "dataflow/kernels/values.h"

namespace headwater::rows {

// Two independent functions: a run's key hashes use the first, its row hashes the second.
inline constexpr uint64_t kKeySeed = 0x5851f42d4c957f2d, kRowSeed = 0x14057b7ef767814f;

// Hash each row of the columns into out[0, rows). No columns: one constant for every row.
void hash_rows(const std::vector<Column>& columns, int64_t rows, uint64_t seed, uint64_t* out);

// Hash rows [begin, end) of the columns, on this thread.
void hash_rows(const std::vector<Column>& columns, int64_t begin, int64_t end, uint64_t seed, uint64_t* out);

// An order-preserving u64 for each row of one column, with the direction and the place of NULLs folded in.
void order_prefix(const Column& column, const Order& order, uint64_t* out);

// Tests set this to few bits to make different rows collide; every bit is used otherwise.
void set_hash_mask(uint64_t mask);

}  // namespace headwater::rows
