#include "dataflow/kernels/group.h"

namespace headwater::rows {

namespace {

// Open addressing from row hash to group id, for hashes whose equality somebody else verifies.
class Table {
 public:
  Table() : slots_(1024, -1) {}

  // The group of `hash` for which `same(id)` holds, or a new one.
  template <class Same>
  int64_t find_or_add(uint64_t hash, Same&& same) {
    size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      int64_t id = slots_[at];
      if (id < 0) {
        slots_[at] = static_cast<int64_t>(hashes_.size());
        hashes_.push_back(hash);
        if (hashes_.size() * 2 > slots_.size()) grow();
        return static_cast<int64_t>(hashes_.size()) - 1;
      }
      if (hashes_[static_cast<size_t>(id)] == hash && same(id)) return id;
    }
  }
  size_t size() const { return hashes_.size(); }

 private:
  void grow() {
    slots_.assign(slots_.size() * 4, -1);
    size_t mask = slots_.size() - 1;
    for (size_t id = 0; id < hashes_.size(); ++id) {
      size_t at = hashes_[id] & mask;
      while (slots_[at] >= 0) at = (at + 1) & mask;
      slots_[at] = static_cast<int64_t>(id);
    }
  }
  std::vector<int64_t> slots_;
  std::vector<uint64_t> hashes_;
};

template <class Same>
Groups group_by(const std::vector<uint64_t>& hashes, Same&& same) {
  Groups groups;
  Table table;
  groups.ids.resize(hashes.size());
  for (size_t i = 0; i < hashes.size(); ++i) {
    auto row = static_cast<int64_t>(i);
    int64_t id = table.find_or_add(
        hashes[i], [&](int64_t found) { return same(groups.representatives[static_cast<size_t>(found)], row); });
    if (table.size() > groups.representatives.size()) groups.representatives.push_back(row);
    groups.ids[i] = id;
  }
  return groups;
}

// Whether every row equals the first row of its group in this column.
bool column_agrees(const Column& column, const Groups& groups) {
  return visit(column.format, [&](auto type) {
    bool agrees = true;
    for (int64_t i = 0; i < column.length; ++i) {
      int64_t first = groups.representatives[static_cast<size_t>(groups.ids[static_cast<size_t>(i)])];
      bool left = column.valid(i), right = column.valid(first);
      agrees &= left && right ? type.equal(type.get(column, i), type.get(column, first)) : left == right;
    }
    return agrees;
  });
}

}  // namespace

// Group by hash alone, then verify column by column; only where a collision shows is each row compared on its way in.
Groups group_rows(const std::vector<Column>& columns, int64_t rows) {
  std::vector<uint64_t> hashes(static_cast<size_t>(rows));
  hash_rows(columns, rows, kKeySeed, hashes.data());
  Groups groups = group_by(hashes, [](int64_t, int64_t) { return true; });
  for (const Column& column : columns) {
    if (column_agrees(column, groups)) continue;
    return group_by(hashes, [&](int64_t first, int64_t row) { return equal_rows(columns, first, columns, row); });
  }
  return groups;
}

void Wide::add(const Wide& other) {
  unsigned char carry = 0;
  for (int i = 0; i < 3; ++i) {
    uint128 sum = static_cast<uint128>(words[i]) + other.words[i] + carry;
    words[i] = static_cast<uint64_t>(sum);
    carry = static_cast<unsigned char>(sum >> 64);
  }
}

Wide Wide::product(int128 value, int64_t diff) {
  bool negative = (value < 0) != (diff < 0);
  uint128 magnitude = value < 0 ? -static_cast<uint128>(value) : static_cast<uint128>(value);
  uint64_t times = diff < 0 ? -static_cast<uint64_t>(diff) : static_cast<uint64_t>(diff);
  uint128 low = static_cast<uint128>(static_cast<uint64_t>(magnitude)) * times;
  uint128 high = static_cast<uint128>(static_cast<uint64_t>(magnitude >> 64)) * times + (low >> 64);
  Wide out{{static_cast<uint64_t>(low), static_cast<uint64_t>(high), static_cast<uint64_t>(high >> 64)}};
  if (!negative) return out;
  for (uint64_t& word : out.words) word = ~word;
  out.add(Wide{{1, 0, 0}});
  return out;
}

bool Wide::fits() const {
  uint64_t sign = words[1] >> 63 ? ~uint64_t{0} : 0;
  if (words[2] != sign) return false;
  constexpr int128 limit = static_cast<int128>(10000000000000000000ull) * static_cast<int128>(10000000000000000000ull);
  return low() < limit && low() > -limit;
}

void check_ids(const int64_t* ids, int64_t rows, int64_t groups) {
  for (int64_t i = 0; i < rows; ++i)
    if (ids[i] < 0 || ids[i] >= groups)
      throw std::invalid_argument("group id " + std::to_string(ids[i]) + " of row " + std::to_string(i) +
                                  " is outside 0 to " + std::to_string(groups - 1));
}

namespace {

template <class Type>
void accumulate(const int64_t* ids, const Column& values, const int64_t* diffs, std::vector<Wide>& sums) {
  if constexpr (std::is_integral_v<typename Type::Value> || std::is_same_v<typename Type::Value, int128>) {
    for (int64_t i = 0; i < values.length; ++i)
      if (values.valid(i)) sums[static_cast<size_t>(ids[i])].add(Wide::product(Type::get(values, i), diffs[i]));
  } else {
    throw std::invalid_argument("values of arrow format '" + values.format.text + "' have no exact integer sum");
  }
}

}  // namespace

Sums sum_values(const int64_t* ids, int64_t groups, const Column& values, const int64_t* diffs) {
  check_ids(ids, values.length, groups);
  std::vector<Wide> wide(static_cast<size_t>(groups));
  visit(values.format, [&](auto type) { accumulate<decltype(type)>(ids, values, diffs, wide); });
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
  check_ids(ids, values.length, groups);
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
  check_ids(ids, rows, groups);
  std::vector<uint64_t> sums(static_cast<size_t>(groups));
  for (int64_t i = 0; i < rows; ++i) sums[static_cast<size_t>(ids[i])] += static_cast<uint64_t>(diffs[i]);
  return {sums.begin(), sums.end()};
}

}  // namespace headwater::rows
