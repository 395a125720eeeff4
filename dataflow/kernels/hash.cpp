#include "dataflow/kernels/hash.h"

#include "dataflow/kernels/pool.h"

#include <atomic>

namespace headwater::rows {

static std::atomic<uint64_t> hash_mask{~uint64_t{0}};

void set_hash_mask(uint64_t mask) { hash_mask = mask; }

void hash_rows(const std::vector<Column>& columns, int64_t begin, int64_t end, uint64_t seed, uint64_t* out) {
  const uint64_t mask = hash_mask;
  const int64_t rows = end - begin;
  std::fill(out, out + rows, seed);
  for (const Column& column : columns) {
    visit(column.format, [&](auto type) {
      if (!column.validity) {
        for (int64_t i = 0; i < rows; ++i) out[i] = type.hash(type.get(column, begin + i), out[i]);
      } else {
        for (int64_t i = 0; i < rows; ++i)
          out[i] = column.valid(begin + i) ? type.hash(type.get(column, begin + i), out[i]) : fold(out[i] ^ kNull, kBytes);
      }
    });
  }
  for (int64_t i = 0; i < rows; ++i) {
    uint64_t h = (out[i] ^ (out[i] >> 32)) * kEnd;
    out[i] = (h ^ (h >> 29)) & mask;
  }
}

void hash_rows(const std::vector<Column>& columns, int64_t rows, uint64_t seed, uint64_t* out) {
  split(rows, [&](int64_t begin, int64_t end, int64_t) { hash_rows(columns, begin, end, seed, out + begin); });
}

void order_prefix(const Column& column, const Order& order, uint64_t* out) {
  uint64_t flip = order.descending ? ~uint64_t{0} : 0, null = order.nulls_first ? 0 : ~uint64_t{0};
  split(column.length, [&](int64_t begin, int64_t end, int64_t) {
    visit(column.format, [&](auto type) {
      for (int64_t i = begin; i < end; ++i)
        out[i] = column.valid(i) ? type.prefix(type.get(column, i)) ^ flip : null;
    });
  });
}

}  // namespace headwater::rows
