#include "dataflow/kernels/group.h"

namespace headwater::rows {

namespace {

// The groups of a stretch of rows: open addressing from a row's hash to its group's number. A slot is half of the hash and the number from 1 on, so that a
// look-up reads one place; 0 is free.
class Table {
 public:
  std::vector<int64_t> firsts;   // the first row of each group
  std::vector<uint64_t> hashes;  // and its hash

  // For the groups of so many rows, which are often much fewer.
  explicit Table(int64_t rows = 0) : slots_(std::bit_ceil(static_cast<size_t>(rows / 8 + 64))) {}

  // The group whose first row has this hash and is the `same` as a row, or -1.
  template <class Same>
  int64_t find(uint64_t hash, int64_t row, Same&& same) const {
    return static_cast<int64_t>(slots_[look(hash, row, same)] & kNumber) - 1;
  }
  // The same, or a new one.
  template <class Same>
  int64_t find_or_add(uint64_t hash, int64_t row, Same&& same) {
    size_t at = look(hash, row, same);
    if (slots_[at]) return static_cast<int64_t>(slots_[at] & kNumber) - 1;
    firsts.push_back(row);
    hashes.push_back(hash);
    slots_[at] = slot_of(hash, hashes.size());
    if (hashes.size() * 4 > slots_.size() * 3) grow();
    return static_cast<int64_t>(hashes.size()) - 1;
  }

 private:
  static constexpr uint64_t kNumber = 0xffffffff;
  static uint64_t slot_of(uint64_t hash, size_t number) { return (hash & ~kNumber) | number; }

  // The slot of the group, or the free one where it belongs.
  template <class Same>
  size_t look(uint64_t hash, int64_t row, Same&& same) const {
    size_t mask = slots_.size() - 1, at = hash & mask;
    for (uint64_t slot; (slot = slots_[at]); at = (at + 1) & mask)
      if ((slot ^ hash) >> 32 == 0 && same(firsts[(slot & kNumber) - 1], row)) break;
    return at;
  }
  void grow() {
    slots_.assign(slots_.size() * 4, 0);
    size_t mask = slots_.size() - 1;
    for (size_t number = 1; number <= hashes.size(); ++number) {
      size_t at = hashes[number - 1] & mask;
      while (slots_[at]) at = (at + 1) & mask;
      slots_[at] = slot_of(hashes[number - 1], number);
    }
  }
  std::vector<uint64_t> slots_;
};

// Whether rows [begin, end) of a column equal the rows that come first in their groups.
bool agrees(const Column& column, int64_t begin, int64_t end, const int64_t* ids, const std::vector<int64_t>& firsts) {
  return visit(column.format, [&](auto type) {
    bool same = true;
    for (int64_t i = begin; i < end; ++i) same &= same_value(type, column, i, column, firsts[static_cast<size_t>(ids[i])]);
    return same;
  });
}

// Each thread numbers a stretch of rows; then the groups of later stretches that are new get the next numbers, in order: those
// of the rows one after the other. `same` may be taken in by equal hashes: then `right` becomes false, and the groups mean nothing.
template <class Same>
Groups group_by(const std::vector<Column>& columns, int64_t rows, std::atomic<bool>& right, Same&& same) {
  constexpr int64_t kBlock = 2048;  // rows that are hashed, numbered and compared while they are in the nearest cache
  Groups groups;
  groups.ids.resize(static_cast<size_t>(rows));
  std::vector<Table> parts(static_cast<size_t>(parts_of(rows)));
  auto count = static_cast<int64_t>(parts.size());
  split_into(count, rows, [&](int64_t begin, int64_t end, int64_t part) {
    Table mine(end - begin);  // on this thread's stack: counting in a line that another thread counts in costs more than the rest
    uint64_t hashes[kBlock], before = 0;
    int64_t id = -1;
    bool agree = true;
    for (int64_t at = begin, to; agree && at < end; at = to) {
      hash_rows(columns, at, to = std::min(end, at + kBlock), kKeySeed, hashes);
      for (int64_t i = at; i < to; ++i) {
        // What an arrangement sorted has the rows of a group side by side.
        uint64_t hash = hashes[i - at];
        bool again = id >= 0 && hash == before && same(mine.firsts[static_cast<size_t>(id)], i);
        groups.ids[static_cast<size_t>(i)] = id = again ? id : mine.find_or_add(hash, i, same);
        before = hash;
      }
      for (const Column& column : columns) agree = agree && agrees(column, at, to, groups.ids.data(), mine.firsts);
    }
    if (!agree) right = false;
    parts[static_cast<size_t>(part)] = std::move(mine);
  });
  if (!right) return groups;
  groups.representatives = parts.front().firsts;
  std::vector<Raw<int64_t>> numbers(parts.size());
  for (size_t part = 1; part < parts.size(); ++part) {
    const std::vector<int64_t>& firsts = parts[part].firsts;
    Raw<int64_t>& mine = numbers[part];
    mine.resize(firsts.size());
    // The first stretch that has a group says its number; those of the very first are the numbers.
    split(static_cast<int64_t>(firsts.size()), [&](int64_t begin, int64_t end, int64_t) {
      for (auto g = static_cast<size_t>(begin); g < static_cast<size_t>(end); ++g) {
        int64_t id = -1;
        for (size_t earlier = 0; earlier < part && id < 0; ++earlier) {
          id = parts[earlier].find(parts[part].hashes[g], firsts[g], [&](int64_t a, int64_t b) { return equal_rows(columns, a, columns, b); });
          if (earlier && id >= 0) id = numbers[earlier][static_cast<size_t>(id)];
        }
        mine[g] = id;
      }
    });
    auto next = static_cast<int64_t>(groups.representatives.size());
    for (size_t g = 0; g < firsts.size(); ++g)
      if (mine[g] < 0) mine[g] = next++, groups.representatives.push_back(firsts[g]);
    int64_t first = rows * static_cast<int64_t>(part) / count, end = rows * static_cast<int64_t>(part + 1) / count;
    split(end - first, [&](int64_t begin, int64_t until, int64_t) {
      for (int64_t* id = groups.ids.data() + first + begin; id < groups.ids.data() + first + until; ++id) *id = mine[static_cast<size_t>(*id)];
    });
  }
  return groups;
}

}  // namespace

// Group by hash alone, and compare column by column; only where a collision shows is each row compared on its way in.
Groups group_rows(const std::vector<Column>& columns, int64_t rows) {
  if (rows >= kMaxRows) throw std::invalid_argument("cannot group " + std::to_string(rows) + " rows at once");
  std::atomic<bool> right{true};
  Groups groups = group_by(columns, rows, right, [](int64_t, int64_t) { return true; });
  if (right.exchange(true)) return groups;
  return group_by(columns, rows, right, [&](int64_t first, int64_t row) { return equal_rows(columns, first, columns, row); });
}

bool Wide::fits() const {
  uint64_t sign = words[1] >> 63 ? ~uint64_t{0} : 0;
  if (words[2] != sign) return false;
  constexpr int128 limit = static_cast<int128>(10000000000000000000ull) * static_cast<int128>(10000000000000000000ull);
  return low() < limit && low() > -limit;
}

void check_ids(const int64_t* ids, int64_t begin, int64_t end, int64_t groups) {
  for (int64_t i = begin; i < end; ++i)
    if (ids[i] < 0 || ids[i] >= groups)
      throw std::invalid_argument("group id " + std::to_string(ids[i]) + " of row " + std::to_string(i) +
                                  " is outside 0 to " + std::to_string(groups - 1));
}

Sums sum_values(const int64_t* ids, int64_t groups, const Column& values, const int64_t* diffs) {
  auto add = [&](int64_t begin, int64_t end, Wide* sums) {
    visit(values.format, [&](auto type) {
      using Value = typename decltype(type)::Value;
      if constexpr (std::is_integral_v<Value> || std::is_same_v<Value, int128>) {
        for (int64_t i = begin; i < end; ++i)
          if (values.valid(i)) sums[ids[i]].add(Wide::product(type.get(values, i), diffs[i]));
      } else {
        throw std::invalid_argument("values of arrow format '" + values.format.text + "' have no exact integer sum");
      }
    });
  };
  std::vector<Wide> wide = sum_parts<Wide>(ids, values.length, groups, add, [](Wide& sum, const Wide& more) { sum.add(more); });
  Sums sums;
  for (const Wide& sum : wide) {
    sums.values.push_back(sum.low());
    sums.overflow.push_back(!sum.fits());
    sums.any_overflow |= !sum.fits();
  }
  return sums;
}

std::vector<int64_t> leaders(const int64_t* ids, int64_t groups, const Column& values, const int64_t* diffs,
                             const Column& current, bool descending) {
  split(values.length, [&](int64_t begin, int64_t end, int64_t) { check_ids(ids, begin, end, groups); });
  if (!(values.format == current.format))
    throw std::invalid_argument("values of arrow format '" + values.format.text + "' are compared with '" +
                                current.format.text + "'");
  std::vector<int64_t> found(static_cast<size_t>(groups), kStays);
  visit(values.format, [&](auto type) {
    for (int64_t i = 0; i < values.length; ++i) {
      if (!values.valid(i)) continue;
      int64_t& lead = found[static_cast<size_t>(ids[i])];
      bool added = lead >= 0;
      if (!added && !current.valid(ids[i])) {
        if (diffs[i] > 0) lead = i;
        continue;
      }
      auto value = type.get(values, i), first = added ? type.get(values, lead) : type.get(current, ids[i]);
      if (diffs[i] > 0 ? (descending ? type.less(first, value) : type.less(value, first)) : false) lead = i;
      else if (diffs[i] <= 0 && !added && type.equal(value, first)) lead = kLost;
    }
  });
  return found;
}

std::vector<int64_t> sum_diffs(const int64_t* ids, int64_t rows, int64_t groups, const int64_t* diffs) {
  auto add = [&](int64_t begin, int64_t end, uint64_t* sums) {
    for (int64_t i = begin; i < end; ++i) sums[ids[i]] += static_cast<uint64_t>(diffs[i]);
  };
  std::vector<uint64_t> sums = sum_parts<uint64_t>(ids, rows, groups, add, [](uint64_t& sum, uint64_t more) { sum += more; });
  return {sums.begin(), sums.end()};
}

}  // namespace headwater::rows
