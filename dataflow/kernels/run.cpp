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

namespace {

constexpr size_t kCounted = 16, kPiece = 4;
constexpr int kMostBits = 8;

// Sort few entries by counting for each how many come before it: no branch depends on a key, and guesses would cost more.
void sort_few(Entry* entries, size_t count, Entry* spare) {
  uint8_t places[kCounted] = {};
  for (size_t i = 1; i < count; ++i) {
    for (size_t j = 0; j < i; ++j) {
      bool before = entries[i] < entries[j];
      places[j] += before;
      places[i] += !before;
    }
  }
  std::copy_n(entries, count, spare);
  for (size_t i = 0; i < count; ++i) entries[places[i]] = spare[i];
}

// Sort by `word` (and then, if that is the hash, by the second) in linear time for numbers that spread over their range; each
// level of pieces settles three bits at least of any others.
void sort_piece(Entry* entries, size_t count, Entry* spare, uint64_t Entry::*word) {
  if (count <= kCounted) return sort_few(entries, count, spare);
  uint64_t low = ~uint64_t{0}, high = 0;
  for (size_t i = 0; i < count; ++i) {
    low = std::min(low, entries[i].*word);
    high = std::max(high, entries[i].*word);
  }
  if (low == high) {
    if (word == &Entry::hash) sort_piece(entries, count, spare, &Entry::second);
    return;
  }
  int bits = std::min(kMostBits, static_cast<int>(std::bit_width(count / kPiece)));
  int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - bits);
  size_t pieces = ((high - low) >> shift) + 1;
  uint32_t ends[(size_t{1} << kMostBits) + 1];
  std::fill_n(ends, pieces + 1, 0);
  for (size_t i = 0; i < count; ++i) ++ends[((entries[i].*word - low) >> shift) + 1];
  for (size_t piece = 1; piece < pieces; ++piece) ends[piece + 1] += ends[piece];
  for (size_t i = 0; i < count; ++i) spare[ends[(entries[i].*word - low) >> shift]++] = entries[i];
  std::copy_n(spare, count, entries);
  size_t begin = 0;
  for (size_t piece = 0; piece < pieces; begin = ends[piece++])
    if (ends[piece] - begin > 1) sort_piece(entries + begin, ends[piece] - begin, spare + begin, word);
}

}  // namespace

void sort_entries(std::vector<Entry>& entries) {
  std::vector<Entry> spare(entries.size());
  sort_piece(entries.data(), entries.size(), spare.data(), &Entry::hash);
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

// How a sorted entry compares with the one before it.
enum Tie : uint8_t { kApart, kSame, kTied };  // kTied: hash and second are equal, the rows are not

std::vector<uint8_t> find_ties(const std::vector<Column>& columns, const std::vector<Entry>& entries) {
  std::vector<uint8_t> ties(entries.size() + 1);
  std::vector<uint32_t> tied;
  for (size_t i = 1; i < entries.size(); ++i) {
    ties[i] = entries[i].hash == entries[i - 1].hash && entries[i].second == entries[i - 1].second;
    if (ties[i]) tied.push_back(static_cast<uint32_t>(i));
  }
  for (const Column& column : columns) {
    visit(column.format, [&](auto type) {
      for (uint32_t i : tied) {
        int64_t a = entries[i - 1].index, b = entries[i].index;
        bool left = column.valid(a), right = column.valid(b);
        bool same = left && right ? type.equal(type.get(column, a), type.get(column, b)) : left == right;
        if (!same) ties[i] = kTied;
      }
    });
  }
  return ties;
}

// Put the entries that have one hash and one second in order, and see again which of them are the same row.
void break_ties(const Shape& shape, const std::vector<Column>& columns, std::vector<Entry>& entries,
                std::vector<uint8_t>& ties) {
  for (size_t begin = 0, end; begin < entries.size(); begin = end) {
    bool same = true;
    for (end = begin + 1; ties[end]; ++end) same &= ties[end] == kSame;
    if (same) continue;
    std::stable_sort(entries.begin() + static_cast<std::ptrdiff_t>(begin),
                     entries.begin() + static_cast<std::ptrdiff_t>(end), [&](const Entry& a, const Entry& b) {
                       return compare_rows(shape.ties, columns, a.index, columns, b.index) < 0;
                     });
    for (size_t i = begin + 1; i < end; ++i)
      ties[i] = equal_rows(columns, entries[i - 1].index, columns, entries[i].index) ? kSame : kApart;
  }
}

}  // namespace

RunPtr make_run(const std::shared_ptr<const Shape>& shape, const std::vector<Column>& columns, const int64_t* diffs,
                int64_t rows) {
  shape->check(columns);
  if (rows > kMaxRows) throw std::invalid_argument("a delta of " + std::to_string(rows) + " rows is too large");
  std::vector<Entry> entries = make_entries(*shape, columns, rows);
  sort_entries(entries);
  std::vector<uint8_t> ties = find_ties(columns, entries);
  if (std::find(ties.begin(), ties.end(), kTied) != ties.end()) break_ties(*shape, columns, entries, ties);
  auto run = std::make_shared<Run>();
  run->shape = shape;
  run->reserve(rows);
  std::vector<Ref> refs(entries.size());
  // The last entry of a row writes it, if anything is left of it; where it goes is a sum rather than a branch.
  size_t first = 0, kept = 0;
  uint64_t sum = 0;
  std::vector<int64_t> sums(entries.size());
  // Nearly every delta has no other diff: then they need not be looked up in sorted order.
  bool ones = std::all_of(diffs, diffs + rows, [](int64_t diff) { return diff == 1; });
  for (size_t i = 0; i < entries.size(); ++i) {
    bool same = ties[i];
    first = same ? first : i;
    sum = (same ? sum : 0) + (ones ? 1 : static_cast<uint64_t>(diffs[entries[i].index]));
    refs[kept] = {0, static_cast<uint32_t>(first)};
    sums[kept] = static_cast<int64_t>(sum);
    kept += !ties[i + 1] && sum;
  }
  for (size_t i = 0; i < kept; ++i) {
    const Entry& entry = entries[refs[i].row];
    run->push(entry.hash, entry.second, sums[i]);
    refs[i].row = entry.index;
  }
  run->finish();
  run->columns = gather({&columns}, shape->formats, refs.data(), static_cast<int64_t>(kept));
  return run;
}

}  // namespace headwater::rows
