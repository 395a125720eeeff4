#include "dataflow/kernels/gather.h"

#include "dataflow/kernels/pool.h"

namespace headwater::rows {

namespace {

struct Wide {  // 16 bytes of any alignment
  uint64_t low, high;
};

template <class T>
void copy_fixed(const Sources& sources, const Ref* refs, int64_t count, uint8_t* out) {
  std::vector<const uint8_t*> bases;
  for (const Column* source : sources) bases.push_back(source->data + source->offset * int64_t{sizeof(T)});
  const uint8_t* const* base = bases.data();
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(out + i * int64_t{sizeof(T)}, base[refs[i].source] + int64_t{refs[i].row} * int64_t{sizeof(T)}, sizeof(T));
}

void copy_width(const Sources& sources, const Ref* refs, int64_t count, int64_t width, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    const Column& source = *sources[refs[i].source];
    std::memcpy(out + i * width, source.data + (source.offset + refs[i].row) * width, static_cast<size_t>(width));
  }
}

void set_bit(uint8_t* bits, int64_t i, bool value) {
  auto mask = static_cast<uint8_t>(1u << (i & 7));
  bits[i >> 3] = static_cast<uint8_t>(value ? bits[i >> 3] | mask : bits[i >> 3] & ~mask);
}

// Make a bitmap as long as `length` bits; new bytes are `fill`.
void grow_bits(Buffer& bits, int64_t length, uint8_t fill) {
  int64_t more = (length + 7) / 8 - bits.size();
  if (more > 0) std::memset(bits.extend(more), fill, static_cast<size_t>(more));
}

}  // namespace

void Gather::reserve(int64_t rows, int64_t bytes) {
  if (format_.layout == arrow::Layout::boolean) data_.reserve((rows + 7) / 8);
  if (format_.layout == arrow::Layout::fixed) data_.reserve(rows * format_.width);
  if (format_.layout == arrow::Layout::bytes) {
    offsets_.reserve(8 * (rows + 1));
    data_.reserve(bytes);
  }
}

// The bitmap starts when a source that has one appears: until then every row is valid. Bits beyond the end are ones.
void Gather::extend(const Sources& sources, int64_t count, int64_t* bytes, int64_t pieces) {
  for (const Column* source : sources) nullable_ = nullable_ || source->validity;
  if (nullable_) grow_bits(validity_, length_ + count, 0xff);
  if (format_.layout == arrow::Layout::boolean) {
    grow_bits(data_, length_ + count, 0);
  } else if (format_.layout == arrow::Layout::fixed) {
    data_.extend(count * format_.width);
  } else {
    if (!offsets_.size()) std::memset(offsets_.extend(8), 0, 8);
    offsets_.extend(8 * count);
    int64_t begin = data_.size(), end = begin;
    for (int64_t piece = 0; piece < pieces; ++piece) end += std::exchange(bytes[piece], end);
    data_.extend(end - begin);
  }
}

int64_t Gather::copy(const Sources& sources, const Ref* refs, int64_t begin, int64_t end, int64_t at) {
  if (format_.layout == arrow::Layout::boolean) {
    for (int64_t i = begin; i < end; ++i)
      set_bit(data_.data(), length_ + i, sources[refs[i].source]->boolean(refs[i].row));
  } else if (format_.layout == arrow::Layout::bytes) {
    copy_bytes(sources, refs, begin, end, at);
  } else {
    uint8_t* out = data_.data() + (length_ + begin) * format_.width;
    const Ref* from = refs + begin;
    int64_t count = end - begin;
    switch (format_.width) {
      case 1: copy_fixed<uint8_t>(sources, from, count, out); break;
      case 2: copy_fixed<uint16_t>(sources, from, count, out); break;
      case 4: copy_fixed<uint32_t>(sources, from, count, out); break;
      case 8: copy_fixed<uint64_t>(sources, from, count, out); break;
      case 16: copy_fixed<Wide>(sources, from, count, out); break;
      default: copy_width(sources, from, count, format_.width, out);
    }
  }
  int64_t nulls = 0;
  for (int64_t i = begin; nullable_ && i < end; ++i) {
    if (sources[refs[i].source]->valid(refs[i].row)) continue;
    set_bit(validity_.data(), length_ + i, false);
    ++nulls;
  }
  return nulls;
}

void Gather::copy_bytes(const Sources& sources, const Ref* refs, int64_t begin, int64_t end, int64_t at) {
  int64_t* ends = offsets_.as<int64_t>() + length_ + 1;
  for (int64_t i = begin; i < end; ++i) {
    std::string_view bytes = sources[refs[i].source]->bytes(refs[i].row);
    if (bytes.size()) std::memcpy(data_.data() + at, bytes.data(), bytes.size());
    ends[i] = at += static_cast<int64_t>(bytes.size());
  }
}

void append(std::vector<Gather>& columns, const std::vector<Sources>& sources, const Ref* refs, int64_t count) {
  if (columns.empty() || !count) return;
  auto width = static_cast<int64_t>(columns.size());
  int64_t pieces = pieces_of(count), shift = columns.front().length_ % 8;
  // Pieces begin where the bitmaps have bytes of their own.
  auto edge = [&](int64_t piece) {
    return piece == pieces ? count : std::max<int64_t>(0, (shift + count) * piece / pieces / 8 * 8 - shift);
  };
  std::vector<int64_t> begins(static_cast<size_t>(width * pieces)), nulls(begins);
  auto each = [&](auto&& use) {
    Pool::shared().run(width * pieces, [&](int64_t task) {
      auto c = static_cast<size_t>(task / pieces);
      use(columns[c], sources[c], edge(task % pieces), edge(task % pieces + 1), static_cast<size_t>(task));
    }, pieces > 1);
  };
  auto text = [](const Gather& column) { return column.format_.layout == arrow::Layout::bytes; };
  if (std::any_of(columns.begin(), columns.end(), text)) {
    each([&](const Gather& column, const Sources& from, int64_t begin, int64_t end, size_t task) {
      if (!text(column)) return;
      int64_t bytes = 0;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t* at = from[refs[i].source]->offsets + from[refs[i].source]->offset + refs[i].row;
        bytes += at[1] - at[0];
      }
      begins[task] = bytes;
    });
  }
  for (size_t c = 0; c < columns.size(); ++c)
    columns[c].extend(sources[c], count, begins.data() + static_cast<int64_t>(c) * pieces, pieces);
  each([&](Gather& column, const Sources& from, int64_t begin, int64_t end, size_t task) {
    nulls[task] = column.copy(from, refs, begin, end, begins[task]);
  });
  for (size_t c = 0; c < columns.size(); ++c) {
    columns[c].length_ += count;
    for (int64_t piece = 0; piece < pieces; ++piece) columns[c].nulls_ += nulls[c * static_cast<size_t>(pieces) + static_cast<size_t>(piece)];
  }
}

Column Gather::finish() {
  if (format_.layout == arrow::Layout::bytes && !offsets_.size()) std::memset(offsets_.extend(8), 0, 8);
  return column_over(format_, length_, nulls_, {std::move(validity_), std::move(offsets_), std::move(data_)});
}

std::vector<Column> gather(const std::vector<Column>& from, const Ref* refs, int64_t count) {
  std::vector<Gather> columns;
  std::vector<Sources> sources;
  for (const Column& column : from) {
    sources.push_back({&column});
    columns.emplace_back(column.format);
    columns.back().reserve(count, 0);
  }
  append(columns, sources, refs, count);
  std::vector<Column> out;
  for (Gather& column : columns) out.push_back(column.finish());
  return out;
}

}  // namespace headwater::rows
