#include "dataflow/kernels/run.h"

namespace headwater::rows {

namespace {
// Rows whose order is decided before their columns are copied: small enough for the first level of cache.
constexpr int64_t kChunk = 4096;

// Bytes of text of one column of all runs.
int64_t text_bytes(const std::vector<RunPtr>& runs, size_t c) {
  int64_t bytes = 0;
  for (const RunPtr& run : runs) {
    const Column& column = run->columns[c];
    if (column.offsets) bytes += column.offsets[column.offset + column.length] - column.offsets[column.offset];
  }
  return bytes;
}

int64_t offset_bytes(const Format& format, int64_t rows) {
  return format.layout == arrow::Layout::bytes ? 8 * (rows + 1) : 0;
}

// At least 1: what a column's values are read from must be somewhere.
int64_t value_bytes(const Format& format, int64_t rows, int64_t text) {
  if (format.layout == arrow::Layout::boolean) return rows / 8 + 1;
  return format.layout == arrow::Layout::fixed ? rows * format.width + 1 : text + 1;
}
}  // namespace

int64_t Merge::most_bytes(const std::vector<RunPtr>& inputs) {
  if (inputs.empty()) return 0;
  int64_t rows = 0, bytes = 0;
  for (const RunPtr& run : inputs) rows += run->rows();
  const std::vector<Format>& formats = inputs.front()->shape->formats;
  for (size_t c = 0; c < formats.size(); ++c)
    bytes += offset_bytes(formats[c], rows) + value_bytes(formats[c], rows, text_bytes(inputs, c));
  return bytes + 16 * rows + Scratch::kAlign * 2 * (static_cast<int64_t>(formats.size()) + 1);
}

Merge::Merge(std::vector<RunPtr> inputs, std::shared_ptr<Scratch> scratch)
    : inputs_(std::move(inputs)), scratch_(std::move(scratch)), out_(std::make_shared<Run>()) {
  if (inputs_.empty()) throw std::invalid_argument("a merge needs a run");
  out_->shape = inputs_.front()->shape;
  const Shape& shape = *out_->shape;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Run& run = *inputs_[i];
    if (run.shape != out_->shape) throw std::invalid_argument("runs of different layouts cannot be merged");
    remaining_ += run.rows();
    if (run.rows()) heads_.push_back({run.place(0), 0, run.rows(), static_cast<uint32_t>(i)});
  }
  if (remaining_ > kMaxRows) throw std::invalid_argument("a run of " + std::to_string(remaining_) + " rows is too large");
  for (size_t c = 0; c < shape.formats.size(); ++c) {
    int64_t bytes = text_bytes(inputs_, c);
    gathers_.emplace_back(shape.formats[c]);
    if (scratch_) gathers_.back().use(scratch_->take(offset_bytes(shape.formats[c], remaining_)),
                                      scratch_->take(value_bytes(shape.formats[c], remaining_, bytes)));
    gathers_.back().reserve(remaining_, bytes);
  }
  if (scratch_) {
    out_->hashes.memory = scratch_->take(8 * remaining_);
    out_->seconds.memory = scratch_->take(8 * remaining_);
    out_->keep.push_back(scratch_);
    out_->stored = true;
  }
  out_->reserve(remaining_);
}

int Merge::compare(const Head& a, const Head& b) const {
  if (a.place != b.place) return a.place < b.place ? -1 : 1;
  return compare_rows(out_->shape->ties, inputs_[a.source]->columns, a.row, inputs_[b.source]->columns, b.row);
}

// Go to the head's next row; false at its end.
bool Merge::advance(Head& head) const {
  if (++head.row == head.end) return false;
  head.place = inputs_[head.source]->place(head.row);
  return true;
}

// Copy rows of the lowest head for as long as they are below every other head's; returns how many.
int64_t Merge::copy_ahead(int64_t fuel) {
  // Which head is lowest cannot be guessed, so nothing branches on it.
  size_t best = 0;
  uint128 low = heads_.front().place, bound = ~uint128{0};
  for (size_t i = 1; i < heads_.size(); ++i) {
    uint128 place = heads_[i].place;
    bool less = place < low;
    uint128 higher = less ? low : place;
    bound = higher < bound ? higher : bound;
    low = less ? place : low;
    best = less ? i : best;
  }
  Head& head = heads_[best];
  const Run& run = *inputs_[head.source];
  int64_t begin = head.row, most = std::min(head.end, begin + fuel), end = begin;
  if (heads_.size() == 1) end = most;
  while (end < most && run.place(end) < bound) ++end;
  if (begin == end) return 0;
  if (end == begin + 1) out_->push(run.hashes[begin], run.seconds[begin], run.diffs[begin]);
  else out_->push(run, begin, end);
  for (int64_t row = begin; row < end; ++row) refs_.push_back({head.source, static_cast<uint32_t>(row)});
  head.row = end - 1;
  if (!advance(head)) heads_.erase(heads_.begin() + static_cast<std::ptrdiff_t>(best));
  return end - begin;
}

// Write the smallest row of the heads with its diffs added up; returns how many input rows that took.
int64_t Merge::pick() {
  size_t best = 0;
  same_.assign(1, 0);
  for (size_t i = 1; i < heads_.size(); ++i) {
    int sign = compare(heads_[i], heads_[best]);
    if (sign > 0) continue;
    if (sign < 0) {
      best = i;
      same_.clear();
    }
    same_.push_back(i);
  }
  uint64_t sum = 0;
  for (size_t i : same_) sum += static_cast<uint64_t>(inputs_[heads_[i].source]->diffs[heads_[i].row]);
  const Head& head = heads_[best];
  if (sum) {
    out_->push(static_cast<uint64_t>(head.place >> 64), static_cast<uint64_t>(head.place), static_cast<int64_t>(sum));
    refs_.push_back({head.source, static_cast<uint32_t>(head.row)});
  }
  auto count = static_cast<int64_t>(same_.size());
  while (!same_.empty()) {
    if (!advance(heads_[same_.back()])) heads_.erase(heads_.begin() + static_cast<std::ptrdiff_t>(same_.back()));
    same_.pop_back();
  }
  return count;
}

int64_t Merge::step(int64_t fuel) {
  if (!out_) return 0;
  std::vector<Sources> sources(gathers_.size());
  for (size_t c = 0; c < sources.size(); ++c)
    for (const RunPtr& run : inputs_) sources[c].push_back(&run->columns[c]);
  for (fuel = std::max<int64_t>(fuel, 1); fuel > 0 && remaining_ > 0;) {
    int64_t used = 0, limit = std::min(fuel, kChunk);
    refs_.clear();
    while (used < limit && !heads_.empty()) {
      int64_t copied = copy_ahead(limit - used);
      used += copied ? copied : pick();
    }
    append(gathers_, sources, refs_.data(), static_cast<int64_t>(refs_.size()));
    remaining_ -= used;
    fuel -= used;
  }
  return remaining_;
}

RunPtr Merge::finish() {
  if (remaining_ || !out_) throw std::logic_error("the merge is not at its end");
  out_->finish();
  for (Gather& gathered : gathers_) {
    out_->columns.push_back(gathered.finish());
    std::shared_ptr<const void>& owner = out_->columns.back().owner;
    if (scratch_) owner = std::make_shared<std::pair<std::shared_ptr<Scratch>, std::shared_ptr<const void>>>(scratch_, owner);
  }
  scratch_.reset();
  gathers_.clear();
  inputs_.clear();
  return std::move(out_);
}

}  // namespace headwater::rows
