#include "dataflow/kernels/window.h"

namespace headwater::rows {

namespace {

// The rows of one run that have the partition's hash.
struct Range {
  uint32_t run;
  int64_t begin, end;
};

using Places = std::vector<int64_t>;  // one for each range

// A row of the merged collection: where it lies, how often it is there, how often more after the change.
struct Row {
  Ref ref;
  int64_t count = 0, change = 0;
  bool any() const { return count || change; }
  // Whether it is there before and after: only then it counts on the way, so that the reach suffices for both.
  bool steady() const { return count > 0 && static_cast<int64_t>(static_cast<uint64_t>(count) + static_cast<uint64_t>(change)) > 0; }
};

class Reader {
 public:
  Reader(const Shape& shape, const Reach& reach, Stretches& out) : shape_(shape), reach_(reach), out_(out) {
    auto own = static_cast<size_t>(reach.own);
    for (const Order& term : shape.ties) {
      if (terms_.size() < static_cast<size_t>(reach.terms)) terms_.push_back(term);
      if (term.column < reach.own) own_.push_back(term);
      else rest_.push_back(term);
    }
    if (own_.size() != own) throw std::invalid_argument("the reach names more columns than there are");
    delta_ = static_cast<uint32_t>(out.matches.runs.size() - 1);
  }

  // The rows that follow are about the key of this row of the delta.
  void set_key(int64_t row) { key_row_ = row; }

  bool same_key(uint32_t run, int64_t row) const {
    const auto& mine = columns(delta_);
    for (int64_t key : shape_.key) {
      auto c = static_cast<size_t>(key);
      if (!equal_value(mine[c], key_row_, columns(run)[c], row)) return false;
    }
    return true;
  }

  // Read around rows of the delta, in order and of one key; the ranges are those of the key's hash.
  void partition(const std::vector<int64_t>& pivots, std::vector<Range> ranges) {
    ranges_ = std::move(ranges);
    set_key(pivots.front());
    first_.clear();
    last_.clear();
    for (const Range& range : ranges_) {
      first_.push_back(range.begin);
      last_.push_back(range.end);
    }
    at_ = first_;
    open_ = owing_ = false;
    for (int64_t pivot : pivots) around(pivot);
    forward(last_);
  }

 private:
  const Run& run(uint32_t r) const { return *out_.matches.runs[r]; }
  const std::vector<Column>& columns(uint32_t r) const { return run(r).columns; }

  // Negative, zero or positive as a row comes before, with or after another by some terms; `second` belongs to the first of them.
  int compare(const std::vector<Order>& terms, uint32_t r, int64_t i, uint32_t s, int64_t j) const {
    if (terms.empty()) return 0;
    uint64_t x = run(r).seconds[i], y = run(s).seconds[j];
    if (x != y) return x < y ? -1 : 1;
    return compare_rows(terms, columns(r), i, columns(s), j);
  }

  // The first place of each range that is not before the pivot (or, with `past`, after it) by the terms.
  Places seek(const std::vector<Order>& terms, int64_t pivot, bool past) const {
    Places places;
    for (const Range& range : ranges_) {
      int64_t low = range.begin, high = range.end;
      while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int sign = compare(terms, range.run, middle, delta_, pivot);
        if (sign < 0 || (past && sign == 0)) low = middle + 1;
        else high = middle;
      }
      places.push_back(low);
    }
    return places;
  }

  // The row at the smallest place, if any is left; the places move past it.
  bool next(Places& places, Row& row) {
    return pass(places, 1, row, [&](size_t i) { return places[i] < ranges_[i].end; });
  }

  // The same backwards: the places move before the row in front of them, no further than `low`.
  bool previous(Places& places, const Places& low, Row& row) {
    return pass(places, -1, row, [&](size_t i) { return places[i] > low[i]; });
  }

  // Several versions of the row may lie in the runs. left(i): whether range i has a row in the direction of the step.
  template <class Left>
  bool pass(Places& places, int step, Row& row, Left&& left) {
    auto at = [&](size_t i) { return step < 0 ? places[i] - 1 : places[i]; };
    size_t none = ranges_.size(), best = none;
    for (size_t i = 0; i < none; ++i)
      if (left(i) && (best == none || step * compare(own_, ranges_[i].run, at(i), ranges_[best].run, at(best)) < 0)) best = i;
    if (best == none) return false;
    Ref model = ref(best, at(best));
    same_.clear();
    for (size_t i = 0; i < none; ++i)
      for (; left(i) && compare(own_, ranges_[i].run, at(i), model.source, model.row) == 0; places[i] += step) same_.push_back(ref(i, at(i)));
    row = fold();
    return true;
  }

  Ref ref(size_t range, int64_t place) const { return {ranges_[range].run, static_cast<uint32_t>(place)}; }

  // One row of all its versions in `same_`: the one whose diffs do not add up to nothing.
  Row fold() const {
    Row row{same_.front()};
    bool found = false;
    for (size_t i = 0; i < same_.size(); ++i) {
      int64_t diff = run(same_[i].source).diffs[same_[i].row];
      if (same_[i].source == delta_) {
        row.change = diff;
        if (!found) row.ref = same_[i];
        continue;
      }
      if (found) continue;
      bool again = false;
      for (size_t j = 0; j < i && !again; ++j) again = same_version(same_[j], same_[i]);
      if (again) continue;
      auto sum = static_cast<uint64_t>(diff);
      for (size_t j = i + 1; j < same_.size(); ++j)
        if (same_version(same_[j], same_[i])) sum += static_cast<uint64_t>(run(same_[j].source).diffs[same_[j].row]);
      if (!sum) continue;
      row.count = static_cast<int64_t>(sum);
      row.ref = same_[i];
      found = true;
    }
    return row;
  }

  bool same_version(Ref a, Ref b) const {
    return a.source != delta_ && b.source != delta_ &&
           compare_rows(rest_, columns(a.source), a.row, columns(b.source), b.row) == 0;
  }

  bool peers(Ref a, Ref b) const { return compare(terms_, a.source, a.row, b.source, b.row) == 0; }

  bool visible(const Row& row) const { return row.any() && same_key(row.ref.source, row.ref.row); }

  bool reached(const Places& places) const {
    for (size_t i = 0; i < places.size(); ++i)
      if (at_[i] < places[i]) return false;
    return true;
  }

  // Read one changed row with its peers, if they count, and what lies before it within reach.
  void around(int64_t pivot) {
    const std::vector<Order>& terms = reach_.whole_groups ? terms_ : own_;
    Places begin = reach_.before < 0 ? first_ : seek(terms, pivot, false);
    if (!reached(begin)) forward(begin);
    if (!reached(begin)) backward(begin);
    Places end = reach_.after < 0 ? last_ : seek(terms, pivot, true);
    Row row;
    while (!reached(end) && next(at_, row))
      if (visible(row)) put(row, false);
    owed_ = reach_.after;
    owing_ = true;
  }

  // Read on behind the last changed row as far as its reach goes, but not beyond a place.
  void forward(const Places& until) {
    if (!owing_) return;
    Row row;
    bool counted = false;
    for (Places before = at_; !reached(until) && next(at_, row); before = at_) {
      if (!visible(row)) continue;
      bool same_group = open_ && peers(out_.matches.refs.back(), row.ref);
      if (owed_ == 0 && !(reach_.whole_groups && same_group)) {
        at_ = before;
        break;
      }
      counted = reach_.groups && same_group && counted;
      if (row.steady() && !counted) {
        counted = true;
        --owed_;
      }
      put(row, false);
    }
    owing_ = reached(until);
  }

  // Read backwards from `begin` within reach, and no further than what has been read: the stretch goes on there, or one begins.
  void backward(const Places& begin) {
    Places places = begin;
    back_.clear();
    Row row;
    int64_t left = reach_.before;
    bool counted = false, base = false;
    for (Places here = places; !base && previous(places, at_, row); here = places) {
      if (!visible(row)) continue;
      bool same_group = !back_.empty() && peers(back_.back().ref, row.ref);
      if (left == 0 && !(reach_.whole_groups && same_group)) {
        if (!reach_.base) {
          places = here;
          break;
        }
        base = row.steady();
      } else {
        counted = reach_.groups && same_group && counted;
        if (row.steady() && !counted) {
          counted = true;
          --left;
        }
      }
      back_.push_back(row);
    }
    // What stopped the reading was the end of the last stretch, or else a row beyond reach.
    bool joined = open_ && places == at_;
    if (!joined) open_ = false;
    for (size_t i = back_.size(); i-- > 0;) put(back_[i], base && i + 1 == back_.size());
    at_ = begin;
  }

  void put(const Row& row, bool base) {
    if (!open_) {
      ++stretch_;
      open_ = true;
    }
    out_.matches.probe_rows.push_back(static_cast<uint32_t>(stretch_));
    out_.matches.refs.push_back(row.ref);
    out_.matches.diffs.push_back(row.count);
    out_.changes.push_back(row.change);
    out_.bases.push_back(base);
  }

  const Shape& shape_;
  const Reach& reach_;
  Stretches& out_;
  std::vector<Order> terms_, own_, rest_;
  uint32_t delta_ = 0;  // the run of changes, the last one
  std::vector<Range> ranges_;
  int64_t key_row_ = 0, stretch_ = -1, owed_ = 0;
  bool open_ = false;          // whether the stretch goes on at `at_`
  bool owing_ = false;         // whether there is more to read behind the last changed row, `owed_` rows or groups of it
  Places first_, last_, at_;   // where the partition begins and ends, and how far it has been read
  std::vector<Ref> same_;
  std::vector<Row> back_;
};

}  // namespace

Stretches stretches(const Shape& shape, std::vector<RunPtr> runs, RunPtr delta, const Reach& reach) {
  if (!shape.ordered) throw std::invalid_argument("the layout has no order; build the spine with one to read around rows");
  auto columns = static_cast<int64_t>(shape.formats.size());
  if (reach.own < 1 || reach.own > columns || reach.terms < 0 || reach.terms > reach.own)
    throw std::invalid_argument("a reach of " + std::to_string(reach.own) + " columns and " + std::to_string(reach.terms) +
                                " terms does not fit a layout with " + std::to_string(columns) + " columns");
  Stretches out;
  out.matches.runs = std::move(runs);
  out.matches.runs.push_back(delta);
  Reader reader(shape, reach, out);
  auto changed = static_cast<uint32_t>(out.matches.runs.size() - 1);
  std::vector<int64_t> from(out.matches.runs.size());
  for (int64_t begin = 0, end; begin < delta->rows(); begin = end) {
    uint64_t hash = delta->hashes[begin];
    end = equal_end(*delta, begin, hash);
    std::vector<Range> ranges;
    for (uint32_t r = 0; r <= changed; ++r) {
      const Run& run = *out.matches.runs[r];
      int64_t first = from[r] = lower_bound(run, from[r], hash);
      if (first < run.rows() && run.hashes[first] == hash) ranges.push_back({r, first, equal_end(run, first, hash)});
    }
    std::vector<int64_t> pivots, others;
    for (int64_t row = begin; row < end; ++row) pivots.push_back(row);
    while (!pivots.empty()) {
      reader.set_key(pivots.front());
      others.clear();
      std::erase_if(pivots, [&](int64_t row) {
        bool other = !reader.same_key(changed, row);
        if (other) others.push_back(row);
        return other;
      });
      reader.partition(pivots, ranges);
      pivots.swap(others);
    }
  }
  return out;
}

}  // namespace headwater::rows
