#include "dataflow/kernels/probe.h"

namespace headwater::rows {

// Hashes spread evenly, so without a directory the guess is
// nearly right for runs of many keys; doubling steps find the place where it is not.
int64_t lower_bound(const Run& run, int64_t from, uint64_t hash) {
  int64_t rows = run.rows();
  if (from >= rows || run.hashes[from] >= hash) return from;
  if (run.directory) {
    const uint32_t* bucket = run.directory.bucket(hash);
    const uint64_t* begin = run.hashes.begin() + std::max<int64_t>(from, bucket[0]);
    return std::lower_bound(begin, run.hashes.begin() + bucket[1], hash) - run.hashes.begin();
  }
  auto guess = static_cast<int64_t>((static_cast<uint128>(hash) * static_cast<uint128>(rows)) >> 64);
  int64_t low = from, high = rows, at = std::max(guess, from + 1), step = 8;  // hashes[low] < hash
  if (at < rows && run.hashes[at] < hash) {
    for (low = at; low + step < rows && run.hashes[low + step] < hash; step *= 2) low += step;
    high = std::min(rows, low + step);
  } else {
    for (high = std::min(at, rows); high - step > from && run.hashes[high - step] >= hash; step *= 2) high -= step;
    low = std::max(from, high - step);
  }
  const uint64_t* found = std::lower_bound(run.hashes.begin() + low, run.hashes.begin() + high, hash);
  return found - run.hashes.begin();
}

int64_t equal_end(const Run& run, int64_t begin, uint64_t hash) {
  int64_t rows = run.rows(), low = begin, step = 1;
  while (low + step < rows && run.hashes[low + step] == hash) {
    low += step;
    step *= 2;
  }
  const uint64_t* end = run.hashes.begin() + std::min(rows, low + step);
  return std::upper_bound(run.hashes.begin() + low, end, hash) - run.hashes.begin();
}

namespace {

// The probe's rows by hash; those with a NULL are left out when a NULL matches nothing.
Pieces sorted_keys(const std::vector<Column>& keys, int64_t rows, bool nulls_match) {
  Raw<uint64_t> hashes(static_cast<size_t>(rows));
  hash_rows(keys, rows, kKeySeed, hashes.data());
  std::vector<uint32_t> whole;
  auto nullable = [](const Column& key) { return key.validity != nullptr; };
  const bool some = !nulls_match && std::any_of(keys.begin(), keys.end(), nullable);
  for (uint32_t i = 0; some && i < rows; ++i) {
    if (!std::all_of(keys.begin(), keys.end(), [&](const Column& key) { return key.valid(i); })) continue;
    hashes[whole.size()] = hashes[i];
    whole.push_back(i);
  }
  if (some) hashes.resize(whole.size());
  Pieces entries(hashes, [&](size_t i) { return Entry{hashes[i], 0, some ? whole[i] : static_cast<uint32_t>(i), 0}; });
  // What an arrangement sorted comes in order.
  if (!std::is_sorted(hashes.begin(), hashes.end())) entries.sort(entries.tasks(), [](size_t, const Entry*, size_t, size_t) {});
  return entries;
}

void check_keys(const Shape& shape, const std::vector<Column>& keys, int64_t rows) {
  if (keys.size() != shape.key.size())
    throw std::invalid_argument("got " + std::to_string(keys.size()) + " key columns, the layout has " +
                                std::to_string(shape.key.size()));
  if (rows > kMaxRows) throw std::invalid_argument("a probe of " + std::to_string(rows) + " rows is too large");
  for (size_t c = 0; c < keys.size(); ++c) {
    const Format& format = shape.formats[static_cast<size_t>(shape.key[c])];
    if (!(keys[c].format == format))
      throw std::invalid_argument("key column " + std::to_string(c) + " has arrow format '" + keys[c].format.text +
                                  "', the layout says '" + format.text + "'");
  }
}

struct Found {
  std::vector<uint32_t> probes, rows;
};

// Keep the pairs whose values in this column are equal.
void verify(const Column& key, const Column& column, Found& found) {
  size_t kept = 0;
  visit(key.format, [&](auto type) {
    for (size_t i = 0; i < found.rows.size(); ++i) {
      bool same = same_value(type, key, found.probes[i], column, found.rows[i]);
      found.probes[kept] = found.probes[i];
      found.rows[kept] = found.rows[i];
      kept += same;
    }
  });
  found.probes.resize(kept);
  found.rows.resize(kept);
}

constexpr int64_t kAhead = 16;  // memory reads in flight while searching

// Call use(key, begin, end) for each of the keys [first, last) whose hash the run has, with the rows [begin, end) that have it.
template <class Use>
void search(const Run& run, const Pieces& entries, int64_t first, int64_t last, Use&& use) {
  const Entry* keys = entries.begin();
  int64_t begin = 0, end = 0;
  for (int64_t k = first; k < last; ++k) {
    uint64_t hash = keys[k].hash;
    if (run.directory) {
      if (k + 2 * kAhead < last) __builtin_prefetch(run.directory.bucket(keys[k + 2 * kAhead].hash));
      if (k + kAhead < last) __builtin_prefetch(run.hashes.begin() + *run.directory.bucket(keys[k + kAhead].hash));
    }
    if (k == first || hash != keys[k - 1].hash) {
      begin = lower_bound(run, end, hash);
      if (begin == run.rows()) return;
      end = run.hashes[begin] == hash ? equal_end(run, begin, hash) : begin;
    }
    if (begin < end) use(keys[k], begin, end);
  }
}

}  // namespace

std::vector<Column> Matches::take(const Shape& shape, const std::vector<int64_t>& columns, int64_t begin,
                                  int64_t end) const {
  std::vector<Gather> gathers;
  std::vector<Sources> sources;
  for (int64_t c : columns) {
    sources.emplace_back();
    for (const RunPtr& run : runs) sources.back().push_back(&run->columns[static_cast<size_t>(c)]);
    gathers.emplace_back(shape.formats[static_cast<size_t>(c)]);
    gathers.back().reserve(end - begin, 0);
  }
  append(gathers, sources, refs.data() + begin, end - begin);
  std::vector<Column> out;
  for (Gather& gathered : gathers) out.push_back(gathered.finish());
  return out;
}

Matches probe(const Shape& shape, std::vector<RunPtr> runs, const std::vector<Column>& keys, int64_t rows,
              bool nulls_match) {
  check_keys(shape, keys, rows);
  Matches matches;
  matches.runs = std::move(runs);
  Pieces sorted = sorted_keys(keys, rows, nulls_match);
  auto count = static_cast<int64_t>(sorted.size());
  int64_t pieces = pieces_of(count), tasks = pieces * static_cast<int64_t>(matches.runs.size());
  std::vector<Found> found(static_cast<size_t>(tasks));
  Pool::shared().run(tasks, [&](int64_t task) {
    const Run& run = *matches.runs[static_cast<size_t>(task / pieces)];
    int64_t piece = task % pieces;
    Found& pairs = found[static_cast<size_t>(task)];
    search(run, sorted, count * piece / pieces, count * (piece + 1) / pieces, [&](const Entry& key, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        pairs.probes.push_back(key.index);
        pairs.rows.push_back(static_cast<uint32_t>(row));
      }
    });
    for (size_t c = 0; c < keys.size(); ++c) verify(keys[c], run.columns[static_cast<size_t>(shape.key[c])], pairs);
  }, pieces > 1);
  std::vector<size_t> begins{0};
  for (const Found& pairs : found) begins.push_back(begins.back() + pairs.rows.size());
  matches.probe_rows.resize(begins.back()), matches.refs.resize(begins.back()), matches.diffs.resize(begins.back());
  Pool::shared().run(tasks, [&](int64_t task) {
    auto r = static_cast<uint32_t>(task / pieces);
    const Found& pairs = found[static_cast<size_t>(task)];
    size_t at = begins[static_cast<size_t>(task)];
    for (size_t i = 0; i < pairs.rows.size(); ++i, ++at) {
      matches.probe_rows[at] = pairs.probes[i];
      matches.refs[at] = {r, pairs.rows[i]};
      matches.diffs[at] = matches.runs[r]->diffs[pairs.rows[i]];
    }
  }, pieces > 1);
  return matches;
}

namespace {

// The rows of one run that share a probe key's hash.
struct Range {
  uint32_t run, begin, end;
};

// Walks the ranges of one key in the runs' common order and collects live rows.
class Walk {
 public:
  Walk(const Shape& shape, const std::vector<Column>& keys, const std::vector<RunPtr>& runs, Matches& matches)
      : shape_(shape), keys_(keys), runs_(runs), matches_(matches) {}

  // The ranges are used up.
  void key(uint32_t probe, Range* ranges, size_t count, int64_t limit, bool negatives) {
    while (limit > 0 && count) {
      find_smallest(ranges, count);
      const Range& first = ranges[same_.front()];
      Ref ref{first.run, first.begin};
      uint64_t sum = 0;
      for (size_t i : same_) sum += static_cast<uint64_t>(run(ranges[i]).diffs[ranges[i].begin]);
      if (const bool live = static_cast<int64_t>(sum) > 0; (live || (negatives && sum)) && matches_key(probe, ref)) {
        matches_.probe_rows.push_back(probe);
        matches_.refs.push_back(ref);
        matches_.diffs.push_back(static_cast<int64_t>(sum));
        limit -= live;
      }
      for (size_t i = same_.size(); i-- > 0;) {
        Range& range = ranges[same_[i]];
        if (++range.begin == range.end) std::copy(&range + 1, ranges + count--, &range);
      }
    }
  }

 private:
  const Run& run(const Range& range) const { return *runs_[range.run]; }

  void find_smallest(const Range* ranges, size_t count) {
    same_.assign(1, 0);
    for (size_t i = 1; i < count; ++i) {
      int sign = compare(ranges[i], ranges[same_.front()]);
      if (sign < 0) same_.clear();
      if (sign <= 0) same_.push_back(i);
    }
  }

  int compare(const Range& a, const Range& b) const {
    const Run &left = run(a), &right = run(b);
    uint64_t x = left.seconds[a.begin], y = right.seconds[b.begin];
    if (x != y) return x < y ? -1 : 1;
    return compare_rows(shape_.ties, left.columns, a.begin, right.columns, b.begin);
  }

  bool matches_key(uint32_t probe, Ref ref) const {
    const auto& columns = runs_[ref.source]->columns;
    for (size_t c = 0; c < keys_.size(); ++c)
      if (!equal_value(keys_[c], probe, columns[static_cast<size_t>(shape_.key[c])], ref.row)) return false;
    return true;
  }

  const Shape& shape_;
  const std::vector<Column>& keys_;
  const std::vector<RunPtr>& runs_;
  Matches& matches_;
  std::vector<size_t> same_;
};

}  // namespace

Matches first(const Shape& shape, std::vector<RunPtr> runs, const std::vector<Column>& keys, int64_t rows,
              int64_t limit, bool negatives) {
  check_keys(shape, keys, rows);
  Matches matches;
  matches.runs = std::move(runs);
  Pieces sorted = sorted_keys(keys, rows, true);
  std::vector<std::vector<std::pair<uint32_t, Range>>> found(static_cast<size_t>(pieces_of(static_cast<int64_t>(sorted.size()))));
  split(static_cast<int64_t>(sorted.size()), [&](int64_t begin, int64_t end, int64_t piece) {
    auto& own = found[static_cast<size_t>(piece)];
    for (size_t r = 0; r < matches.runs.size(); ++r) {
      search(*matches.runs[r], sorted, begin, end, [&](const Entry& key, int64_t first, int64_t last) {
        own.push_back({key.index, {static_cast<uint32_t>(r), static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
      });
    }
  });
  // Those of each key side by side, by run.
  std::vector<size_t> begins(static_cast<size_t>(rows) + 2);
  for (const auto& own : found)
    for (const auto& [key, range] : own) ++begins[key + 2];
  for (size_t i = 2; i < begins.size(); ++i) begins[i] += begins[i - 1];
  std::vector<Range> ranges(begins.back());
  for (const auto& own : found)
    for (const auto& [key, range] : own) ranges[begins[key + 1]++] = range;
  std::vector<Matches> parts(static_cast<size_t>(pieces_of(rows)));
  split(rows, [&](int64_t begin, int64_t end, int64_t piece) {
    Walk walk(shape, keys, matches.runs, parts[static_cast<size_t>(piece)]);
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      walk.key(static_cast<uint32_t>(i), ranges.data() + begins[i], begins[i + 1] - begins[i], limit, negatives);
  });
  for (const Matches& part : parts) {
    matches.probe_rows.insert(matches.probe_rows.end(), part.probe_rows.begin(), part.probe_rows.end());
    matches.refs.insert(matches.refs.end(), part.refs.begin(), part.refs.end());
    matches.diffs.insert(matches.diffs.end(), part.diffs.begin(), part.diffs.end());
  }
  return matches;
}

}  // namespace headwater::rows
