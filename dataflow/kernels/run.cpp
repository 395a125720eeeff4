#include "dataflow/kernels/run.h"

namespace headwater::rows {

Shape::Shape(std::vector<Format> formats_, std::vector<int64_t> key_, const std::vector<Order>& order)
    : formats(std::move(formats_)), key(std::move(key_)), ordered(!order.empty()) {
  auto count = static_cast<int64_t>(formats.size());
  auto check_column = [&](int64_t column) {
    if (column < 0 || column >= count)
      throw std::invalid_argument("column " + std::to_string(column) + " of a layout with " + std::to_string(count) +
                                  " columns does not exist");
  };
  for (int64_t column : key) check_column(column);
  std::vector<bool> named(formats.size());
  for (const Order& term : order) {
    check_column(term.column);
    if (named[static_cast<size_t>(term.column)]) continue;
    named[static_cast<size_t>(term.column)] = true;
    ties.push_back(term);
  }
  for (int64_t column = 0; column < count; ++column)
    if (!named[static_cast<size_t>(column)]) ties.push_back({column, false, false});
}

void Shape::check(const std::vector<Column>& columns) const {
  if (columns.size() != formats.size())
    throw std::invalid_argument("got " + std::to_string(columns.size()) + " columns, the layout has " +
                                std::to_string(formats.size()));
  for (size_t c = 0; c < columns.size(); ++c)
    if (!(columns[c].format == formats[c]))
      throw std::invalid_argument("column " + std::to_string(c) + " has arrow format '" + columns[c].format.text +
                                  "', the layout says '" + formats[c].text + "'");
}

std::vector<Column> Shape::key_of(const std::vector<Column>& columns) const {
  std::vector<Column> out;
  for (int64_t column : key) out.push_back(columns[static_cast<size_t>(column)]);
  return out;
}

void Directory::finish(int64_t rows) {
  if (!bits_) return;
  fill(int64_t{1} << bits_, rows);
  int fewer = bits_ - (rows < kLeast ? 0 : std::bit_width(static_cast<uint64_t>(rows / kRows)));
  if (fewer <= 0) return;
  // Rows have cancelled: keep each 2^fewer-th bucket, or none.
  Directory smaller;
  if (fewer < bits_) {
    smaller.bits_ = bits_ - fewer;
    for (; smaller.next_ <= int64_t{1} << smaller.bits_; ++smaller.next_)
      smaller.begins_.append(begins_.as<uint32_t>() + (smaller.next_ << fewer), 4);
    smaller.begins_.shrink();
  }
  *this = std::move(smaller);
}

void Run::reserve(int64_t rows) {
  hashes.memory.reserve(8 * rows);
  seconds.memory.reserve(8 * rows);
  directory.start(rows);
}

void Run::finish() {
  hashes.memory.shrink();
  seconds.memory.shrink();
  diffs.shrink();
  directory.finish(rows());
}

int64_t Run::bytes() const {
  int64_t total = 16 * rows() + diffs.bytes() + directory.bytes();
  for (const Column& column : columns) total += column.size();
  return total;
}

// Hashes spread evenly, so one scatter by their leading bits leaves pieces of a few rows, but for keys that have many.
void sort_entries(std::vector<Entry>& entries) {
  constexpr size_t kSmall = 1024, kPiece = 8;
  constexpr int kMostBits = 14;
  if (entries.size() <= kSmall) {
    std::sort(entries.begin(), entries.end());
    return;
  }
  int bits = std::min(kMostBits, static_cast<int>(std::bit_width(entries.size() / kPiece)));
  int shift = 64 - bits;
  std::vector<size_t> ends((size_t{1} << bits) + 1);
  for (const Entry& entry : entries) ++ends[(entry.hash >> shift) + 1];
  for (size_t piece = 1; piece < ends.size(); ++piece) ends[piece] += ends[piece - 1];
  std::vector<Entry> scattered(entries.size());
  std::vector<size_t> next(ends.begin(), ends.end() - 1);
  for (const Entry& entry : entries) scattered[next[entry.hash >> shift]++] = entry;
  for (size_t piece = 0; piece + 1 < ends.size(); ++piece)
    if (ends[piece + 1] - ends[piece] > 1)
      std::sort(scattered.begin() + static_cast<std::ptrdiff_t>(ends[piece]),
                scattered.begin() + static_cast<std::ptrdiff_t>(ends[piece + 1]));
  entries.swap(scattered);
}

namespace {

std::vector<Entry> make_entries(const Shape& shape, const std::vector<Column>& columns, int64_t rows) {
  std::vector<uint64_t> hashes(static_cast<size_t>(rows)), seconds(static_cast<size_t>(rows));
  hash_rows(shape.key_of(columns), rows, kKeySeed, hashes.data());
  if (shape.ordered) {
    const Order& first = shape.ties.front();
    order_prefix(columns[static_cast<size_t>(first.column)], first, seconds.data());
  } else {
    hash_rows(columns, rows, kRowSeed, seconds.data());
  }
  std::vector<Entry> entries(static_cast<size_t>(rows));
  for (size_t i = 0; i < entries.size(); ++i) entries[i] = {hashes[i], seconds[i], static_cast<uint32_t>(i)};
  return entries;
}

// Whether every entry of [begin, end) is the same row; true for nearly every tie of an unordered shape.
bool all_equal(const std::vector<Column>& columns, const std::vector<Entry>& entries, size_t begin, size_t end) {
  for (size_t i = begin + 1; i < end; ++i)
    if (!equal_rows(columns, entries[begin].index, columns, entries[i].index)) return false;
  return true;
}

}  // namespace

RunPtr make_run(const std::shared_ptr<const Shape>& shape, const std::vector<Column>& columns, const int64_t* diffs,
                int64_t rows) {
  shape->check(columns);
  if (rows > kMaxRows) throw std::invalid_argument("a delta of " + std::to_string(rows) + " rows is too large");
  std::vector<Entry> entries = make_entries(*shape, columns, rows);
  sort_entries(entries);
  auto run = std::make_shared<Run>();
  run->shape = shape;
  run->reserve(rows);
  std::vector<Ref> refs;
  refs.reserve(entries.size());
  // Nearly every delta has no other diff: then they need not be looked up in sorted order.
  bool ones = std::all_of(diffs, diffs + rows, [](int64_t diff) { return diff == 1; });
  // Add up the diffs of entries [begin, end), which are one row.
  auto fold_rows = [&](size_t begin, size_t end) {
    uint64_t sum = ones ? end - begin : 0;
    for (size_t i = begin; i < end && !ones; ++i) sum += static_cast<uint64_t>(diffs[entries[i].index]);
    if (!sum) return;
    run->push(entries[begin].hash, entries[begin].second, static_cast<int64_t>(sum));
    refs.push_back({0, entries[begin].index});
  };
  for (size_t begin = 0, end; begin < entries.size(); begin = end) {
    const Entry& first = entries[begin];
    end = begin + 1;
    while (end < entries.size() && entries[end].hash == first.hash && entries[end].second == first.second) ++end;
    if (end == begin + 1 || all_equal(columns, entries, begin, end)) {
      fold_rows(begin, end);
      continue;
    }
    std::stable_sort(entries.begin() + static_cast<std::ptrdiff_t>(begin),
                     entries.begin() + static_cast<std::ptrdiff_t>(end), [&](const Entry& a, const Entry& b) {
                       return compare_rows(shape->ties, columns, a.index, columns, b.index) < 0;
                     });
    for (size_t same = begin, next; same < end; same = next) {
      next = same + 1;
      while (next < end && equal_rows(columns, entries[same].index, columns, entries[next].index)) ++next;
      fold_rows(same, next);
    }
  }
  run->finish();
  run->columns = gather({&columns}, shape->formats, refs.data(), static_cast<int64_t>(refs.size()));
  return run;
}

}  // namespace headwater::rows
