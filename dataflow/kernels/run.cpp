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

void Run::push(const Run& from, int64_t begin, int64_t end) {
  if (directory)
    for (int64_t row = begin; row < end; ++row) directory.push(from.hashes[row], rows() + row - begin);
  hashes.memory.append(from.hashes.begin() + begin, 8 * (end - begin));
  seconds.memory.append(from.seconds.begin() + begin, 8 * (end - begin));
  for (int64_t row = begin; from.negatives && row < end; ++row) negatives += from.diffs[row] < 0;
  if (!from.diffs.bytes()) total += static_cast<uint64_t>(end - begin);
  else for (int64_t row = begin; row < end; ++row) total += static_cast<uint64_t>(from.diffs[row]);
  diffs.push(from.diffs, begin, end);
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

void Pieces::sort_entries(Entry* entries, size_t count, Entry* spare) { sort_piece(entries, count, spare, &Entry::hash); }

namespace {

Pieces make_pieces(const Shape& shape, const std::vector<Column>& columns, const int64_t* diffs, size_t rows) {
  Raw<uint64_t> hashes(rows), seconds(rows);
  hash_rows(shape.key_of(columns), static_cast<int64_t>(rows), kKeySeed, hashes.data());
  if (shape.ordered) {
    const Order& first = shape.ties.front();
    order_prefix(columns[static_cast<size_t>(first.column)], first, seconds.data());
  } else {
    hash_rows(columns, static_cast<int64_t>(rows), kRowSeed, seconds.data());
  }
  return {hashes, [&](size_t i) {
            auto diff = static_cast<int32_t>(diffs[i]);
            return Entry{hashes[i], seconds[i], static_cast<uint32_t>(i), diff == diffs[i] ? diff : Entry::kLong};
          }};
}

// How a sorted entry compares with the one before it.
enum Tie : uint8_t { kApart, kSame, kTied };  // kTied: hash and second are equal, the rows are not

// What settling a piece needs for a moment.
struct Ties {
  std::vector<uint8_t> ties;
  std::vector<uint32_t> tied;
  bool any = false;

  void find(const std::vector<Column>& columns, const Entry* entries, size_t count) {
    ties.assign(count + 1, kApart);
    tied.clear();
    any = false;
    for (size_t i = 1; i < count; ++i) {
      ties[i] = entries[i].hash == entries[i - 1].hash && entries[i].second == entries[i - 1].second;
      if (ties[i]) tied.push_back(static_cast<uint32_t>(i));
    }
    for (const Column& column : columns) {
      visit(column.format, [&](auto type) {
        for (uint32_t i : tied) {
          int64_t a = entries[i - 1].index, b = entries[i].index;
          bool left = column.valid(a), right = column.valid(b);
          bool same = left && right ? type.equal(type.get(column, a), type.get(column, b)) : left == right;
          if (!same) ties[i] = kTied, any = true;
        }
      });
    }
  }

  // Put the entries that have one hash and one second in order, and see again which of them are the same row.
  void settle(const Shape& shape, const std::vector<Column>& columns, Entry* entries, size_t count) {
    for (size_t begin = 0, end; begin < count; begin = end) {
      bool same = true;
      for (end = begin + 1; ties[end]; ++end) same &= ties[end] == kSame;
      if (same) continue;
      std::stable_sort(entries + begin, entries + end, [&](const Entry& a, const Entry& b) {
        return compare_rows(shape.ties, columns, a.index, columns, b.index) < 0;
      });
      for (size_t i = begin + 1; i < end; ++i)
        ties[i] = equal_rows(columns, entries[i - 1].index, columns, entries[i].index) ? kSame : kApart;
    }
  }
};

// Add up equal rows; what is left of them moves to the front, its diffs to `sums`. Returns how many are left.
size_t add_up(Entry* entries, size_t count, const Ties& ties, const int64_t* diffs, int64_t* sums) {
  // The last entry of a row writes it, if anything is left of it; where it goes is a sum rather than a branch.
  size_t first = 0, kept = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    bool same = ties.ties[i];
    int64_t diff = entries[i].diff == Entry::kLong ? diffs[entries[i].index] : entries[i].diff;
    first = same ? first : i;
    sum = (same ? sum : 0) + static_cast<uint64_t>(diff);
    entries[kept] = entries[first];
    sums[kept] = static_cast<int64_t>(sum);
    kept += !ties.ties[i + 1] && sum;
  }
  return kept;
}

}  // namespace

RunPtr make_run(const std::shared_ptr<const Shape>& shape, const std::vector<Column>& columns, const int64_t* diffs,
                int64_t rows) {
  shape->check(columns);
  if (rows > kMaxRows) throw std::invalid_argument("a delta of " + std::to_string(rows) + " rows is too large");
  Pieces pieces = make_pieces(*shape, columns, diffs, static_cast<size_t>(rows));
  auto sums = std::make_unique_for_overwrite<int64_t[]>(pieces.size());
  struct Kept {
    size_t from, count, to;  // a piece's rows: where they are, how many, and their place in the run
  };
  std::vector<Kept> kept(pieces.count());
  pieces.sort([&](size_t piece, Entry* entries, size_t from, size_t count) {
    thread_local Ties ties;
    ties.find(columns, entries, count);
    if (ties.any) ties.settle(*shape, columns, entries, count);
    kept[piece] = {from, add_up(entries, count, ties, diffs, sums.get() + from), 0};
  });
  size_t left = 0;
  for (Kept& piece : kept) piece.to = std::exchange(left, left + piece.count);
  auto run = std::make_shared<Run>();
  run->shape = shape;
  run->reserve(static_cast<int64_t>(left));
  auto* hashes = reinterpret_cast<uint64_t*>(run->hashes.memory.extend(8 * static_cast<int64_t>(left)));
  auto* seconds = reinterpret_cast<uint64_t*>(run->seconds.memory.extend(8 * static_cast<int64_t>(left)));
  Raw<Ref> refs(left);
  split_into(parts_of(rows), static_cast<int64_t>(kept.size()), [&](int64_t begin, int64_t end, int64_t) {
    for (; begin < end; ++begin) {
      const Kept& piece = kept[static_cast<size_t>(begin)];
      const Entry* entries = pieces.begin() + piece.from;
      for (size_t i = 0, to = piece.to; i < piece.count; ++i, ++to) {
        hashes[to] = entries[i].hash;
        seconds[to] = entries[i].second;
        refs[to] = {0, entries[i].index};
      }
    }
  });
  for (const Kept& piece : kept)
    for (size_t i = 0; i < piece.count; ++i) run->count(hashes[piece.to + i], sums[piece.from + i]);
  run->finish();
  run->columns = gather({&columns}, shape->formats, refs.data(), static_cast<int64_t>(left));
  return run;
}

}  // namespace headwater::rows
