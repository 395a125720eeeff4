// Runs: immutable, sorted, consolidated pieces of a collection, and how they are made and merged.
//
// A run is sorted by (hash of the key, second, tie order), each ascending; no two of its rows are equal and no diff is 0.
// `second` is the row's own hash, or, in an ordered shape, the prefix of the first order column. Hashes only place rows:
// whether two rows are equal is always decided by comparing them.
#pragma once

#include "dataflow/kernels/gather.h"
#include "dataflow/kernels/hash.h"
#include "dataflow/kernels/pool.h"

#include <bit>

namespace headwater::rows {

// The fixed part of every run of a spine. Shared ownership starts at the object itself (also where Python passes it in), so that the last owner need not have
// the GIL to let go.
struct Shape : std::enable_shared_from_this<Shape> {
  std::vector<Format> formats;
  std::vector<int64_t> key;
  bool ordered = false;
  std::vector<Order> ties;  // total: the order columns first, then every other column, ascending

  // Raises std::invalid_argument when a key or order column does not exist.
  Shape(std::vector<Format> formats, std::vector<int64_t> key, const std::vector<Order>& order);

  // Raises std::invalid_argument unless the columns have the shape's formats.
  void check(const std::vector<Column>& columns) const;
  std::vector<Column> key_of(const std::vector<Column>& columns) const;
};

// A sorted array of u64 or int64, shared with numpy views of it.
template <class T>
struct Numbers {
  Buffer memory;
  int64_t size() const { return memory.size() / 8; }
  const T* begin() const { return memory.as<const T>(); }
  const T& operator[](int64_t i) const { return memory.as<const T>()[i]; }
  void push(T value) { std::memcpy(memory.extend(8), &value, 8); }
};

// The diffs of a run: no memory as long as all of them are 1, as they are in nearly every large run.
class Weights {
 public:
  int64_t size() const { return count_; }
  int64_t bytes() const { return memory_.size(); }
  int64_t operator[](int64_t i) const { return memory_.size() ? memory_.as<const int64_t>()[i] : 1; }
  void push(int64_t diff) {
    if (diff != 1 && !memory_.size()) {
      auto* ones = reinterpret_cast<int64_t*>(memory_.extend(8 * (count_ + 1)));
      std::fill_n(ones, count_, int64_t{1});
      ones[count_] = diff;
    } else if (memory_.size()) {
      std::memcpy(memory_.extend(8), &diff, 8);
    }
    ++count_;
  }
  // Add rows [begin, end) of other diffs.
  void push(const Weights& from, int64_t begin, int64_t end) {
    if (memory_.size() || from.memory_.size())
      for (; begin < end; ++begin) push(from[begin]);
    count_ += end - begin;
  }
  void shrink() { memory_.shrink(); }
  // Read `count` diffs where they lie; null when all of them are 1.
  void borrow(const int64_t* diffs, int64_t count) {
    count_ = count;
    if (diffs) memory_ = Buffer::over(const_cast<int64_t*>(diffs), 8 * count, 8 * count);
  }

 private:
  Buffer memory_;
  int64_t count_ = 0;
};

// Where in a run the hashes with the same leading bits begin: a search looks at about kRows rows, wherever they are.
// Filled while the hashes are pushed in order; small runs go without.
class Directory {
 public:
  // Make room for a run of at most `rows` rows.
  void start(int64_t rows) {
    if (rows < kLeast) return;
    bits_ = std::bit_width(static_cast<uint64_t>(rows / kRows));
    begins_.reserve(4 * ((int64_t{1} << bits_) + 1));
  }
  void push(uint64_t hash, int64_t row) {
    if (bits_) fill(static_cast<int64_t>(hash >> (64 - bits_)), row);
  }
  // The same for all rows at once; O(rows + buckets), in pieces.
  void build(const uint64_t* hashes, int64_t rows);
  // The run has ended with this many rows.
  void finish(int64_t rows);

  int64_t bytes() const { return begins_.size(); }
  explicit operator bool() const { return bits_; }
  // The first row of the hash's bucket, and one past its last.
  const uint32_t* bucket(uint64_t hash) const { return begins_.as<const uint32_t>() + (hash >> (64 - bits_)); }

 private:
  static constexpr int64_t kLeast = 1024, kRows = 16;

  void fill(int64_t bucket, int64_t row) {
    for (; next_ <= bucket; ++next_) *reinterpret_cast<uint32_t*>(begins_.extend(4)) = static_cast<uint32_t>(row);
  }
  Buffer begins_;
  int bits_ = 0;
  int64_t next_ = 0;
};

struct Run : std::enable_shared_from_this<Run> {
  std::shared_ptr<const Shape> shape;
  std::vector<Column> columns;
  Weights diffs;
  Numbers<uint64_t> hashes, seconds;
  Directory directory;
  int64_t negatives = 0;  // rows with a negative diff
  uint64_t total = 0;     // sum of the diffs, modulo 2^64
  bool stored = false;    // whether hashes, seconds and columns lie in a file
  bool named = false;     // whether that is the run's own file, which has the diffs too, and not the scratch of a merge
  std::vector<std::shared_ptr<const void>> keep;  // what the buffers borrow from

  int64_t rows() const { return diffs.size(); }
  // Hash and second of a row as one number: rows are in its order, and equal rows have the same.
  uint128 place(int64_t row) const { return static_cast<uint128>(hashes[row]) << 64 | seconds[row]; }
  int64_t bytes() const;
  // Of these bytes, those in a file.
  int64_t stored_bytes() const { return stored ? bytes() - directory.bytes() - (named ? 0 : diffs.bytes()) : 0; }

  // Building: make room for at most this many rows, add the next one (its columns come apart), end.
  void reserve(int64_t rows);
  void push(uint64_t hash, uint64_t second, int64_t diff) {
    hashes.push(hash);
    seconds.push(second);
    directory.push(hash, rows());
    weigh(diff);
  }
  void weigh(int64_t diff) {
    diffs.push(diff);
    negatives += diff < 0;
    total += static_cast<uint64_t>(diff);
  }
  // So many rows of diff 1, when there are none yet.
  void all_ones(int64_t rows) { diffs.borrow(nullptr, rows), total = static_cast<uint64_t>(rows); }
  // Add rows [begin, end) of another run.
  void push(const Run& from, int64_t begin, int64_t end);
  void finish();
};

using RunPtr = std::shared_ptr<const Run>;

// Sort and consolidate rows into a run; it may have no rows.
RunPtr make_run(const std::shared_ptr<const Shape>& shape, const std::vector<Column>& columns, const int64_t* diffs,
                int64_t rows);

// A run read where it lies: its columns, hashes, seconds, and diffs (null when all are 1). One pass over hashes and diffs.
// Raises std::invalid_argument when they do not fit together, are not in order, or were hashed otherwise; whether the rows
// within one hash are in order is not looked at.
RunPtr open_run(std::shared_ptr<const Shape> shape, std::vector<Column> columns, const Column& hashes, const Column& seconds,
                const Column* diffs);

// Memory over a file that the caller has made as large: pages of it can leave memory while a merge goes on.
class Scratch {
 public:
  // Raises std::runtime_error when the file cannot be mapped.
  Scratch(int file, int64_t bytes);
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  // A buffer of this capacity; in ordinary memory when there is no room left.
  Buffer take(int64_t capacity);

  static constexpr int64_t kAlign = 64;

 private:
  uint8_t* data_;
  int64_t size_, used_ = 0;
};

// Merges runs of one shape a slice at a time; the inputs stay readable.
class Merge {
 public:
  // Raises std::invalid_argument without inputs or when their shapes differ. With a scratch the result lies there.
  explicit Merge(std::vector<RunPtr> inputs, std::shared_ptr<Scratch> scratch = nullptr);
  // Bytes of scratch that suffice.
  static int64_t most_bytes(const std::vector<RunPtr>& inputs);
  Merge(const Merge&) = delete;
  Merge& operator=(const Merge&) = delete;

  // Consume up to `fuel` input rows (and one at least); returns the rows still to consume.
  int64_t step(int64_t fuel);
  // The merged run, once nothing remains; may be called once. Raises std::logic_error otherwise.
  RunPtr finish();

 private:
  struct Head {
    uint128 place;  // hash and second of its row
    int64_t row, end;
    uint32_t source;
  };
  int64_t pick();
  int64_t copy_ahead(int64_t fuel);
  bool advance(Head& head) const;
  int compare(const Head& a, const Head& b) const;

  std::vector<RunPtr> inputs_;
  std::vector<Head> heads_;   // those with rows left
  std::vector<size_t> same_;  // heads at the smallest row
  std::vector<Ref> refs_;     // rows decided and not yet copied
  std::vector<Gather> gathers_;
  std::shared_ptr<Scratch> scratch_;
  std::shared_ptr<Run> out_;
  int64_t remaining_ = 0;
};

// One entry of a sort by (hash, second).
struct Entry {
  uint64_t hash, second;
  uint32_t index;
  int32_t diff;  // kLong: to be looked up
  static constexpr int32_t kLong = std::numeric_limits<int32_t>::min();
};

// Entries in pieces by the leading bits of their hashes: what is done in a piece finds it in a near cache. The pieces depend on
// the hashes alone; threads share them.
class Pieces {
 public:
  // Entry i is make(i), and its hash is hashes[i]. Entries of one hash stay in the order they come in.
  template <class Make>
  Pieces(const Raw<uint64_t>& hashes, Make&& make)
      : entries_(std::make_unique_for_overwrite<Entry[]>(hashes.size())), size_(hashes.size()) {
    int bits = std::min(kMostBits, static_cast<int>(std::bit_width(size_ / kRows)));
    auto piece = [&](uint64_t hash) { return bits ? hash >> (64 - bits) : 0; };
    // Each thread counts, then places, a stretch: within a piece the stretches follow each other.
    size_t pieces = size_t{1} << bits;
    auto rows = static_cast<int64_t>(size_), parts = bits ? parts_of(rows) : 1;
    std::vector<std::vector<uint32_t>> places(static_cast<size_t>(parts), std::vector<uint32_t>(pieces));
    if (bits) split_into(parts, rows, [&](int64_t begin, int64_t end, int64_t part) {
      std::vector<uint32_t>& counts = places[static_cast<size_t>(part)];
      for (int64_t i = begin; i < end; ++i) ++counts[piece(hashes[static_cast<size_t>(i)])];
    });
    uint32_t at = 0;
    for (size_t p = 0; p < pieces; ++p) {
      begins_.push_back(at);
      for (std::vector<uint32_t>& counts : places) at += std::exchange(counts[p], at);
    }
    begins_.push_back(static_cast<uint32_t>(size_));
    split_into(parts, rows, [&](int64_t begin, int64_t end, int64_t part) {
      std::vector<uint32_t>& next = places[static_cast<size_t>(part)];
      for (int64_t i = begin; i < end; ++i) {
        auto row = static_cast<size_t>(i);
        entries_[bits ? next[piece(hashes[row])]++ : row] = make(row);
      }
    });
  }
  const Entry* begin() const { return entries_.get(); }
  size_t size() const { return size_; }

  // How many tasks `sort` is; neighbouring pieces are one.
  int64_t tasks() const {
    auto pieces = static_cast<int64_t>(begins_.size()) - 1;
    return Pool::shared().threads() == 1 ? 1 : std::min(pieces, pieces_of(static_cast<int64_t>(size_)));
  }
  // Put each piece in order, then call use(task, its entries, the place of the first one, how many), in order within one of `tasks` tasks.
  template <class Use>
  void sort(int64_t tasks, Use&& use) {
    auto pieces = static_cast<int64_t>(begins_.size()) - 1;
    Pool::shared().run(tasks, [&](int64_t task) {
      std::vector<Entry> spare;
      for (int64_t p = pieces * task / tasks; p < pieces * (task + 1) / tasks; ++p) {
        size_t from = begins_[static_cast<size_t>(p)], rows = begins_[static_cast<size_t>(p) + 1] - from;
        if (spare.size() < rows) spare.resize(rows);
        sort_entries(entries_.get() + from, rows, spare.data());
        use(static_cast<size_t>(task), entries_.get() + from, from, rows);
      }
    });
  }

 private:
  static constexpr int kMostBits = 8;
  static constexpr size_t kRows = 2048;

  static void sort_entries(Entry* entries, size_t count, Entry* spare);

  std::unique_ptr<Entry[]> entries_;
  size_t size_;
  std::vector<uint32_t> begins_;  // of each piece, and the end
};

}  // namespace headwater::rows
