#include "dataflow/kernels/run.h"

namespace headwater::rows {

namespace {

void refuse(const char* what) { throw std::invalid_argument(std::string("a stored run has ") + what); }

const Column& check_numbers(const Column& column, int64_t rows, const char* format) {
  if (column.length != rows || column.nulls != 0 || column.format.text != format) refuse("hashes, seconds or diffs of another length or type");
  return column;
}

Numbers<uint64_t> borrow_numbers(const Column& column) {
  auto* at = const_cast<uint64_t*>(column.values<uint64_t>());
  return {Buffer::over(at, 8 * column.length, 8 * column.length)};
}

// Runs of another hash function would be searched in vain: the first row tells.
void check_hash(const Shape& shape, const std::vector<Column>& columns, const Numbers<uint64_t>& hashes) {
  if (!hashes.size()) return;
  const Ref row{0, 0};
  std::vector<Column> first = gather(columns, &row, 1);
  uint64_t hash = 0;
  hash_rows(shape.key_of(first), 1, kKeySeed, &hash);
  if (hash != hashes[0]) refuse("hashes of another version");
}

}  // namespace

RunPtr open_run(std::shared_ptr<const Shape> shape, std::vector<Column> columns, const Column& hashes, const Column& seconds,
                const Column* diffs) {
  shape->check(columns);
  const int64_t rows = hashes.length;
  if (rows > kMaxRows) refuse("more rows than a run may have");
  for (const Column& column : columns)
    if (column.length != rows) refuse("columns of other lengths");
  auto out = std::make_shared<Run>();
  out->hashes = borrow_numbers(check_numbers(hashes, rows, "L"));
  out->seconds = borrow_numbers(check_numbers(seconds, rows, "L"));
  out->diffs.borrow(diffs ? check_numbers(*diffs, rows, "l").values<int64_t>() : nullptr, rows);
  out->directory.start(rows);
  for (int64_t row = 0; row < rows; ++row) {
    if (row && out->hashes[row] < out->hashes[row - 1]) refuse("hashes that are not in order");
    out->directory.push(out->hashes[row], row);
    const int64_t diff = out->diffs[row];
    out->negatives += diff < 0;
    out->total += static_cast<uint64_t>(diff);
  }
  out->directory.finish(rows);
  check_hash(*shape, columns, out->hashes);
  out->keep = {hashes.owner, seconds.owner};
  if (diffs) out->keep.push_back(diffs->owner);
  out->columns = std::move(columns);
  out->shape = std::move(shape);
  out->stored = out->named = true;
  return out;
}

Scratch::Scratch(int file, int64_t bytes) : size_(bytes) {
  void* mapped = bytes > 0 ? mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  if (mapped == MAP_FAILED) throw std::runtime_error("the scratch file of a merge cannot be mapped");
  data_ = static_cast<uint8_t*>(mapped);
}

Scratch::~Scratch() { munmap(data_, static_cast<size_t>(size_)); }

Buffer Scratch::take(int64_t capacity) {
  if (capacity <= 0 || capacity > size_ - used_) return {};
  uint8_t* at = data_ + used_;
  used_ = std::min(size_, used_ + (capacity + kAlign - 1) / kAlign * kAlign);
  return Buffer::over(at, 0, capacity);
}

}  // namespace headwater::rows
