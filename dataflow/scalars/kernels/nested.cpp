// Values of any type as bytes that compare as they do, and maps made of them.
//
// A map is an array of bytes: key, value, key, value ..., in the order of its keys, each of which is there once. A value is there
// as `pack` writes it: what stands in an array behind the mark, texts and bytes as they are.
#include "dataflow/scalars/kernels/array_rows.h"

#include <algorithm>

namespace headwater::arrays {
namespace {

using scalars::Arg;
using scalars::Errors;
using scalars::Unlocked;

// Values as bytes that compare as they do; NULL stays NULL. O(bytes).
nb::tuple pack(nb::handle values) {
  const Column column = arrow::read_column(values);
  const Codec codec(column.format);
  Builder out("Z");
  {
    Unlocked unlocked(column.length);
    std::string made;
    for (int64_t i = 0; i < column.length; ++i) {
      if (!column.valid(i)) {
        out.append_null();
      } else if (codec.width == 0) {
        out.append_bytes(column.bytes(i));
      } else {
        made.clear();
        codec.put(made, column, i);
        out.append_bytes(std::string_view(made).substr(1));
      }
    }
  }
  return arrow::write_column(out.finish());
}

// The values of a format that were packed. O(bytes).
nb::tuple unpack(nb::handle packed, const std::string& format) {
  const Column column = arrow::read_column(packed);
  if (column.format.layout != Layout::bytes) throw std::invalid_argument("not a column of bytes");
  const Format wanted = Format::parse(format.c_str());
  const Codec codec(wanted);
  Builder out(wanted);
  {
    Unlocked unlocked(column.length);
    std::string element, made;
    for (int64_t i = 0; i < column.length; ++i) {
      if (!column.valid(i)) {
        out.append_null();
      } else if (codec.width == 0) {
        out.append_bytes(column.bytes(i));
      } else {
        if (column.bytes(i).size() != static_cast<size_t>(codec.width)) throw std::invalid_argument("a value is of another type");
        element.assign(1, kPresent).append(column.bytes(i));
        codec.take(out, element, made);
      }
    }
  }
  return arrow::write_column(out.finish());
}

// Maps of so many pairs each, one after another: of pairs with one key the last counts, one whose key is NULL not. O(n log n).
nb::tuple maps(nb::handle keys, nb::handle packed, nb::handle counts) {
  const Column k = arrow::read_column(keys), v = arrow::read_column(packed), sizes = arrow::read_column(counts);
  if (k.format.layout != Layout::bytes || v.format.layout != Layout::bytes || k.length != v.length)
    throw std::invalid_argument("maps are made of as many keys as values");
  if (sizes.format.text != "l" || sizes.validity) throw std::invalid_argument("counts are int64 and not NULL");
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(k.length);
    std::string made;
    std::vector<int64_t> order;
    int64_t at = 0;
    for (int64_t i = 0; i < sizes.length; ++i) {
      const auto count = sizes.value<int64_t>(i);
      if (count < 0 || count > k.length - at) throw std::invalid_argument("counts do not add up to the values");
      order.clear();
      for (const int64_t end = at + count; at < end; ++at)
        if (k.valid(at)) order.push_back(at);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return k.bytes(a) < k.bytes(b); });
      begin_array(made, 0);
      int64_t pairs = 0;
      for (size_t p = 0; p < order.size() && made.size() <= kMostBytes; ++p) {
        if (p + 1 < order.size() && k.bytes(order[p]) == k.bytes(order[p + 1])) continue;
        put_text(made, k.bytes(order[p]));
        if (v.valid(order[p])) put_text(made, v.bytes(order[p]));
        else put_null(made, 0);
        ++pairs;
      }
      if (2 * pairs > kMostElements || made.size() > kMostBytes) {
        errors.add(i, "map size exceeds the maximum allowed (67108863)");
        out.append_null();
        continue;
      }
      put_shape(made, Shape::line(2 * pairs));
      out.append_bytes(made);
    }
    if (at != k.length) throw std::invalid_argument("counts do not add up to the values");
  }
  return scalars::give({out.finish(), errors.finish(sizes.length)});
}

// The pairs of a map in order.
class Pairs {
 public:
  explicit Pairs(std::string_view map) : walk_(View::read(map)) {}
  bool next() {
    if (!walk_.next(key)) return false;
    if (!walk_.next(value)) throw std::invalid_argument("malformed map");
    return true;
  }
  std::string_view key, value;

 private:
  Walk walk_;
};

// The packed value of a key; NULL where there is none. O(bytes).
nb::tuple lookup(nb::handle maps, nb::handle keys, int64_t rows) {
  const Arg m = scalars::read_arg(maps, rows, -1), k = scalars::read_arg(keys, rows, -1);
  Builder out("Z");
  {
    Unlocked unlocked(rows);
    std::string wanted, made;
    for (int64_t i = 0; i < rows; ++i) {
      std::string_view found;
      if (m.valid(i) && k.valid(i)) {
        wanted.clear();
        put_text(wanted, k.bytes(i));
        for (Pairs pairs(m.bytes(i)); found.empty() && pairs.next() && pairs.key <= wanted;)
          if (pairs.key == wanted) found = pairs.value;
      }
      if (found.empty() || found[0] != kPresent) out.append_null();
      else out.append_bytes(text_of(found, made));
    }
  }
  return arrow::write_column(out.finish());
}

// Whether a map has all keys of a text[] (all), or one of them (any); a NULL is no key. O(bytes times keys).
nb::tuple has_keys(nb::handle maps, nb::handle keys, int64_t rows, bool all) {
  return test_rows(maps, keys, rows, [all](std::string_view map, std::string_view list) {
    bool answer = all;
    std::string_view wanted;
    for (Walk walk(View::read(list)); answer == all && walk.next(wanted);) {
      bool found = false;
      for (Pairs pairs(map); !found && pairs.next() && pairs.key <= wanted;) found = pairs.key == wanted;
      if (found != all) answer = found;
    }
    return answer;
  });
}

// Whether each pair of `parts` is one of `wholes`, NULL being a value. O(bytes).
nb::tuple map_contains(nb::handle wholes, nb::handle parts, int64_t rows) {
  return test_rows(wholes, parts, rows, [](std::string_view whole, std::string_view part) {
    bool holds = true;
    Pairs all(whole), wanted(part);
    while (holds && wanted.next()) {
      bool there = all.next();
      while (there && all.key < wanted.key) there = all.next();
      holds = there && all.key == wanted.key && all.value == wanted.value;
    }
    return holds;
  });
}

}  // namespace

void add_maps(nb::module_& m) {
  m.def("pack", &pack);
  m.def("unpack", &unpack);
  m.def("maps", &maps);
  m.def("lookup", &lookup);
  m.def("has_keys", &has_keys);
  m.def("map_contains", &map_contains);
}

}  // namespace headwater::arrays
