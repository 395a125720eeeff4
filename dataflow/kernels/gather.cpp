#include "dataflow/kernels/gather.h"

namespace headwater::rows {

namespace {

using Sources = std::vector<const Column*>;

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

void Gather::append(const Sources& sources, const Ref* refs, int64_t count) {
  append_validity(sources, refs, count);
  if (format_.layout == arrow::Layout::boolean) {
    append_booleans(sources, refs, count);
  } else if (format_.layout == arrow::Layout::bytes) {
    append_bytes(sources, refs, count);
  } else if (count) {
    uint8_t* out = data_.extend(count * format_.width);
    switch (format_.width) {
      case 1: copy_fixed<uint8_t>(sources, refs, count, out); break;
      case 2: copy_fixed<uint16_t>(sources, refs, count, out); break;
      case 4: copy_fixed<uint32_t>(sources, refs, count, out); break;
      case 8: copy_fixed<uint64_t>(sources, refs, count, out); break;
      case 16: copy_fixed<Wide>(sources, refs, count, out); break;
      default: copy_width(sources, refs, count, format_.width, out);
    }
  }
  length_ += count;
}

// The bitmap starts when a source that has one appears: until then every row is valid. Bits beyond the end are ones.
void Gather::append_validity(const Sources& sources, const Ref* refs, int64_t count) {
  for (const Column* source : sources) nullable_ = nullable_ || source->validity;
  if (!nullable_) return;
  grow_bits(validity_, length_, 0xff);
  grow_bits(validity_, length_ + count, 0xff);
  uint8_t* bits = validity_.data();
  for (int64_t i = 0; i < count; ++i) {
    if (sources[refs[i].source]->valid(refs[i].row)) continue;
    set_bit(bits, length_ + i, false);
    ++nulls_;
  }
}

void Gather::append_booleans(const Sources& sources, const Ref* refs, int64_t count) {
  grow_bits(data_, length_ + count, 0);
  for (int64_t i = 0; i < count; ++i)
    set_bit(data_.data(), length_ + i, sources[refs[i].source]->boolean(refs[i].row));
}

void Gather::append_bytes(const Sources& sources, const Ref* refs, int64_t count) {
  if (!offsets_.size()) std::memset(offsets_.extend(8), 0, 8);
  int64_t end = data_.size(), total = 0;
  auto* ends = reinterpret_cast<int64_t*>(offsets_.extend(8 * count));
  for (int64_t i = 0; i < count; ++i) {
    const Column& source = *sources[refs[i].source];
    int64_t row = source.offset + refs[i].row;
    total += source.offsets[row + 1] - source.offsets[row];
    ends[i] = end + total;
  }
  if (!total) return;
  uint8_t* out = data_.extend(total);
  for (int64_t i = 0; i < count; ++i) {
    std::string_view bytes = sources[refs[i].source]->bytes(refs[i].row);
    if (bytes.size()) std::memcpy(out, bytes.data(), bytes.size());
    out += bytes.size();
  }
}

Column Gather::finish() {
  struct Memory {
    Buffer validity, offsets, data;
  };
  auto memory = std::make_shared<Memory>();
  if (format_.layout == arrow::Layout::bytes && !offsets_.size()) std::memset(offsets_.extend(8), 0, 8);
  data_.reserve(1);
  data_.shrink();
  offsets_.shrink();
  memory->validity = std::move(validity_);
  memory->offsets = std::move(offsets_);
  memory->data = std::move(data_);
  Column column;
  column.format = format_;
  column.length = length_;
  column.nulls = nulls_;
  column.validity = nulls_ ? memory->validity.data() : nullptr;
  column.offsets = memory->offsets.as<int64_t>();
  column.data = memory->data.data();
  column.owner = std::move(memory);
  return column;
}

std::vector<Column> gather(const std::vector<const std::vector<Column>*>& tables, const std::vector<Format>& formats,
                           const Ref* refs, int64_t count) {
  std::vector<Column> out;
  for (size_t c = 0; c < formats.size(); ++c) {
    Sources sources;
    for (const auto* table : tables) sources.push_back(&(*table)[c]);
    Gather column(formats[c]);
    column.reserve(count, 0);
    column.append(sources, refs, count);
    out.push_back(column.finish());
  }
  return out;
}

}  // namespace headwater::rows
