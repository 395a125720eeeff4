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

void Directory::build(const uint64_t* hashes, int64_t rows) {
  if (!bits_ || !rows) return;
  auto after = [&](int64_t row) { return static_cast<int64_t>(hashes[row] >> (64 - bits_)) + 1; };
  auto* begins = reinterpret_cast<uint32_t*>(begins_.extend(4 * (next_ = after(rows - 1))));
  split(rows, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t row = begin, next = begin ? after(begin - 1) : 0; row < end; ++row)
      for (; next < after(row); ++next) begins[next] = static_cast<uint32_t>(row);
  });
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
template <class Key>
void sort_few(const Entry* entries, size_t count, Entry* to, Key&& key) {
  decltype(key(*entries)) keys[kCounted];
  uint8_t places[kCounted] = {};
  for (size_t i = 0; i < count; ++i) keys[i] = key(entries[i]);
  for (size_t i = 1; i < count; ++i) {
    auto place = static_cast<uint8_t>(i);
    for (size_t j = 0; j < i; ++j) {
      bool before = keys[i] < keys[j];
      places[j] += before;
      place -= before;
    }
    places[i] = place;
  }
  for (size_t i = 0; i < count; ++i) to[places[i]] = entries[i];
}

void sort_few(const Entry* entries, size_t count, Entry* to) {
  // Most often they are of one key.
  uint64_t apart = 0;
  for (size_t i = 1; i < count; ++i) apart |= entries[i].hash ^ entries[0].hash;
  if (apart) sort_few(entries, count, to, [](const Entry& entry) { return static_cast<uint128>(entry.hash) << 64 | entry.second; });
  else sort_few(entries, count, to, [](const Entry& entry) { return entry.second; });
}

// Sort by `word` (and then, if that is the hash, by the second) in linear time for numbers that spread over their range; each
// level of pieces settles three bits at least of any others.
void sort_piece(Entry* entries, size_t count, Entry* spare, uint64_t Entry::*word) {
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
  for (size_t piece = 0, begin = 0; piece < pieces; begin = ends[piece++]) {
    size_t rows = ends[piece] - begin;
    if (rows <= kCounted) {
      sort_few(spare + begin, rows, entries + begin);
    } else {
      std::copy_n(spare + begin, rows, entries + begin);
      sort_piece(entries + begin, rows, spare + begin, word);
    }
  }
}

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

// The order column whose values the seconds are, or -1: 64 bits are, where none is NULL.
int64_t read_off_seconds(const Shape& shape, const std::vector<Column>& columns) {
  if (!shape.ordered) return -1;
  const Column& column = columns[static_cast<size_t>(shape.ties.front().column)];
  return column.format.meaning == arrow::Meaning::integer && column.format.width == 8 && !column.validity ? shape.ties.front().column : -1;
}

Column column_of(const Numbers<uint64_t>& seconds, const Order& order, const Format& format) {
  Buffer data;
  auto* values = reinterpret_cast<uint64_t*>(data.extend(8 * seconds.size()));
  const uint64_t flip = (order.descending ? ~uint64_t{0} : 0) ^ kSign;
  split(seconds.size(), [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t i = begin; i < end; ++i) values[i] = seconds[i] ^ flip;
  });
  return arrow::column_over(format, seconds.size(), 0, {{}, {}, std::move(data)});
}

// How a sorted entry compares with the one before it.
enum Tie : uint8_t { kApart, kSame, kTied };  // kTied: hash and second are equal, the rows are not

// What settling a piece needs for a moment.
struct Ties {
  Raw<uint8_t> ties;
  Raw<uint32_t> tied;

  // See which entries tie, and put those that are not the same row in order. Columns but the one that the seconds are.
  void find(const Shape& shape, const std::vector<Column>& columns, int64_t seconds, Entry* entries, size_t count) {
    ties.resize(count + 1);
    tied.resize(count);
    ties[0] = ties[count] = kApart;
    size_t some = 0;
    for (size_t i = 1; i < count; ++i) {
      bool tie = !((entries[i].hash ^ entries[i - 1].hash) | (entries[i].second ^ entries[i - 1].second));
      tied[some] = static_cast<uint32_t>(i);
      some += ties[i] = tie;
    }
    bool any = false;
    for (size_t c = 0; c < columns.size(); ++c) {
      if (static_cast<int64_t>(c) == seconds) continue;
      visit(columns[c].format, [&](auto type) {
        const Column& column = columns[c];
        for (size_t t = 0; t < some; ++t) {
          int64_t a = entries[tied[t] - 1].index, b = entries[tied[t]].index;
          if (!same_value(type, column, a, column, b)) ties[tied[t]] = kTied, any = true;
        }
      });
    }
    if (any) order(shape, columns, entries, count);
  }

  // Put the entries that have one hash and one second in order, and see again which of them are the same row.
  void order(const Shape& shape, const std::vector<Column>& columns, Entry* entries, size_t count) {
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

// The rows of a sort, with room for all of them. A task's begin at a place of its own until `close` moves them up to each other.
struct Sorted {
  struct Stretch {
    size_t from = 0, count = 0;
  };
  uint64_t *hashes, *seconds;
  Raw<Ref> refs;
  Raw<int64_t> diffs;
  std::vector<Stretch> stretches;

  // Add a piece, whose first entry is at `from`; equal rows are added up.
  void add(size_t task, size_t from, const Entry* entries, size_t count, const Ties& ties, const int64_t* given) {
    if (!stretches[task].count) stretches[task].from = from;
    // The last entry of a row writes it, if anything is left of it; where it goes is a sum rather than a branch.
    size_t to = stretches[task].from + stretches[task].count, begin = to;
    uint32_t first = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      bool same = ties.ties[i];
      int64_t diff = entries[i].diff == Entry::kLong ? given[entries[i].index] : entries[i].diff;
      first = same ? first : entries[i].index;
      sum = (same ? sum : 0) + static_cast<uint64_t>(diff);
      hashes[to] = entries[i].hash;
      seconds[to] = entries[i].second;
      refs[to] = {0, first};
      diffs[to] = static_cast<int64_t>(sum);
      to += !ties.ties[i + 1] && sum;
    }
    stretches[task].count += to - begin;
  }

  int64_t close() {
    size_t to = 0;
    for (auto [from, count] : stretches) {
      auto move = [&](auto* values) { std::memmove(values + to, values + from, count * sizeof(*values)); };
      if (from != to) move(hashes), move(seconds), move(refs.data()), move(diffs.data());
      to += count;
    }
    return static_cast<int64_t>(to);
  }
};

}  // namespace

void Pieces::sort_entries(Entry* entries, size_t count, Entry* spare) {
  if (count > kCounted) return sort_piece(entries, count, spare, &Entry::hash);
  std::copy_n(entries, count, spare);
  sort_few(spare, count, entries);
}

RunPtr make_run(const std::shared_ptr<const Shape>& shape, const std::vector<Column>& columns, const int64_t* diffs,
                int64_t rows) {
  shape->check(columns);
  if (rows > kMaxRows) throw std::invalid_argument("a delta of " + std::to_string(rows) + " rows is too large");
  Pieces pieces = make_pieces(*shape, columns, diffs, static_cast<size_t>(rows));
  const int64_t own = read_off_seconds(*shape, columns), tasks = pieces.tasks();
  auto run = std::make_shared<Run>();
  run->shape = shape;
  run->reserve(rows);
  Sorted sorted{run->hashes.memory.as<uint64_t>(), run->seconds.memory.as<uint64_t>(), Raw<Ref>(pieces.size()), Raw<int64_t>(pieces.size()),
                std::vector<Sorted::Stretch>(static_cast<size_t>(tasks))};
  pieces.sort(tasks, [&](size_t task, Entry* entries, size_t from, size_t count) {
    thread_local Ties ties;
    ties.find(*shape, columns, own, entries, count);
    sorted.add(task, from, entries, count, ties, diffs);
  });
  const int64_t left = sorted.close();
  run->hashes.memory.extend(8 * left);
  run->seconds.memory.extend(8 * left);
  run->directory.build(sorted.hashes, left);
  if (std::all_of(sorted.diffs.data(), sorted.diffs.data() + left, [](int64_t diff) { return diff == 1; })) run->all_ones(left);
  else for (int64_t row = 0; row < left; ++row) run->weigh(sorted.diffs[static_cast<size_t>(row)]);
  run->finish();
  std::vector<Column> others = columns;
  if (own >= 0) others.erase(others.begin() + own);
  run->columns = gather(others, sorted.refs.data(), left);
  if (own >= 0) run->columns.insert(run->columns.begin() + own, column_of(run->seconds, shape->ties.front(), columns[static_cast<size_t>(own)].format));
  return run;
}

}  // namespace headwater::rows
