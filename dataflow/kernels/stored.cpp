#include "dataflow/kernels/run.h"

namespace headwater::rows {

namespace {

void refuse(const char* what) { throw std::invalid_argument(std::string("the copy of a run has other ") + what); }

const Column& check_numbers(const Column& column, int64_t rows, const char* format) {
  if (column.length != rows || column.nulls != 0 || column.format.text != format) refuse("hashes, seconds or diffs");
  return column;
}

Numbers<uint64_t> borrow_numbers(const Column& column) {
  auto* at = const_cast<uint64_t*>(column.values<uint64_t>());
  return {Buffer::over(at, 8 * column.length, 8 * column.length)};
}

}  // namespace

RunPtr borrow_run(const Run& run, std::vector<Column> columns, const Column& hashes, const Column& seconds,
                  const Column* diffs) {
  run.shape->check(columns);
  auto out = std::make_shared<Run>();
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].length != run.rows()) refuse("rows");
    if (columns[c].size() != run.columns[c].size()) refuse("values");
  }
  out->shape = run.shape;
  out->hashes = borrow_numbers(check_numbers(hashes, run.rows(), "L"));
  out->seconds = borrow_numbers(check_numbers(seconds, run.rows(), "L"));
  out->diffs.borrow(diffs ? check_numbers(*diffs, run.rows(), "l").values<int64_t>() : nullptr, run.rows());
  out->keep = {hashes.owner, seconds.owner};
  if (diffs) out->keep.push_back(diffs->owner);
  out->columns = std::move(columns);
  out->directory = run.directory.copy();
  out->negatives = run.negatives;
  out->total = run.total;
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
