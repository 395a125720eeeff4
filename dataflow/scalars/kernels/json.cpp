// Access to canonical jsonb text: members, elements, kinds, and casts to scalars.
#include "dataflow/scalars/kernels/scalars.h"
#include "dataflow/scalars/kernels/text.h"

namespace headwater::scalars {
namespace {

using Text = std::string_view;

// The end of the string literal that starts at `at`; the end of the text when it is cut off.
size_t string_end(Text text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\')
      ++at;
    else if (text[at] == '"')
      return at + 1;
  }
  return text.size();
}

// The end of the value that starts at `at`.
size_t value_end(Text text, size_t at) {
  if (at >= text.size()) return text.size();
  if (text[at] == '"') return string_end(text, at);
  int64_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = string_end(text, at);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    }
    if (c == ',' && depth == 0) return at;
    ++at;
  }
  return text.size();
}

// Steps over the members of an object or the elements of an array: f(key, value) -> go on? Keys are as written, with quotes.
template <class F>
void each(Text json, F&& f) {
  const bool object = json.starts_with('{');
  if (!object && !json.starts_with('[')) return;
  size_t at = 1;
  while (at < json.size() && json[at] != '}' && json[at] != ']') {
    Text key;
    if (object) {
      const size_t end = string_end(json, at);
      key = json.substr(at, end - at);
      at = end + 2;  // a colon and a blank
    }
    const size_t end = value_end(json, at);
    if (at > json.size() || end <= at) return;
    if (!f(key, json.substr(at, end - at))) return;
    at = end + 2;  // a comma and a blank, or the end
  }
}

bool member(Text json, Text quoted_key, Text& out) {
  bool found = false;
  if (!json.starts_with('{')) return false;
  each(json, [&](Text key, Text value) {
    found = key == quoted_key;
    if (found) out = value;
    return !found;
  });
  return found;
}

int64_t length(Text json) {
  int64_t size = 0;
  each(json, [&](Text, Text) { return ++size, true; });
  return size;
}

bool element(Text json, int64_t index, Text& out) {
  if (!json.starts_with('[')) {
    // PostgreSQL stores a scalar as an array of one; its first and last element is itself.
    if (json.starts_with('{') || (index != 0 && index != -1)) return false;
    out = json;
    return true;
  }
  if (index < 0) index += length(json);
  if (index < 0) return false;
  bool found = false;
  each(json, [&](Text, Text value) {
    found = index-- == 0;
    if (found) out = value;
    return !found;
  });
  return found;
}

// What ->> gives: strings without quotes and escapes, everything else as it is; false for a JSON null.
bool as_text(Text json, std::string& out) {
  if (json == "null") return false;
  if (!json.starts_with('"')) {
    out = json;
    return true;
  }
  return text::JsonReader(json, text::Duplicates::last).string(out) == text::Status::ok;
}

std::string quoted(Text key) {
  std::string out;
  text::append_json_string(key, out);
  return out;
}

// keys: text or int32.
Column get(const Arg& a, const Arg& b, int64_t rows, bool text_result) {
  const bool by_index = b.column.format.layout == arrow::Layout::fixed;
  Unlocked unlocked(rows);
  Builder out("U");
  std::string made, key;
  const bool constant = b.step == 0 && !by_index && rows > 0 && b.valid(0);
  if (constant) key = quoted(b.bytes(0));
  for (int64_t i = 0; i < rows; ++i) {
    Text found;
    bool has = a.valid(i) && b.valid(i);
    if (has && !by_index && !constant) key = quoted(b.bytes(i));
    has = has && (by_index ? element(a.bytes(i), b.get<int32_t>(i), found) : member(a.bytes(i), key, found));
    if (has && text_result) {
      made.clear();
      has = as_text(found, made);
      found = made;
    }
    if (has)
      out.append_bytes(found);
    else
      out.append_null();
  }
  return out.finish();
}

const char* kind_of(Text json) {
  switch (json.empty() ? 'n' : json[0]) {
    case '{': return "object";
    case '[': return "array";
    case '"': return "string";
    case 't':
    case 'f': return "boolean";
    case 'n': return "null";
    default: return "number";
  }
}

bool exists(Text json, Text key) {
  const std::string name = quoted(key);
  if (!json.starts_with('{') && !json.starts_with('[')) return json == Text(name);
  bool found = false;
  each(json, [&](Text member_key, Text value) {
    found = (json[0] == '{' ? member_key : value) == Text(name);
    return !found;
  });
  return found;
}

// Whether every part is within the value at the same depth. Scalars compare as canonical text; arrays ignore order and
// repetition. The depth is that of canonical text: at most text::kJsonDepth.
bool contains(Text json, Text part, bool top) {
  const bool object = json.starts_with('{'), array = json.starts_with('[');
  const bool part_object = part.starts_with('{'), part_array = part.starts_with('[');
  if (part_object != object || part_array != array) {
    // The one exception of the same depth: an array contains its scalars.
    if (!top || !array || part_object || part_array) return false;
    bool found = false;
    each(json, [&](Text, Text value) { return found = value == part, !found; });
    return found;
  }
  if (!object && !array) return json == part;
  bool all = true;
  each(part, [&](Text key, Text wanted) {
    all = false;
    if (object) {
      Text value;
      all = member(json, key, value) && contains(value, wanted, false);
    } else {
      each(json, [&](Text, Text value) { return all = contains(value, wanted, false), !all; });
    }
    return all;
  });
  return all;
}

// Reads the number of each row with parse(text, T& out) -> message; other kinds of value are the error that PostgreSQL gives.
template <class T, class F>
Outcome numbers(const Arg& a, int64_t rows, const char* format, const char* wanted, const char* name, F&& parse) {
  Unlocked unlocked(rows);
  Output<T> out(rows);
  Errors errors;
  for (int64_t i = 0; i < rows; ++i) {
    if (!a.valid(i)) {
      out.set_null(i);
      continue;
    }
    const Text kind = kind_of(a.bytes(i));
    T value{};
    std::string message;
    if (kind == wanted) {
      message = parse(a.bytes(i), value);
    } else {
      message = "cannot cast jsonb ";
      message += kind == "number" ? "numeric" : kind;
      message += std::string(" to type ") + name;
    }
    if (message.empty()) {
      out.set(i, value);
    } else {
      errors.add(i, message);
      out.set_null(i);
    }
  }
  return {out.finish(format), errors.finish(rows)};
}

template <class T>
Outcome integers(const Arg& a, int64_t rows, const char* format, const char* name) {
  return numbers<T>(a, rows, format, "number", name, [=](Text text, T& out) -> std::string {
    Decimal value = 0;
    if (text::parse_decimal(text, 0, value) != text::Status::ok || value < std::numeric_limits<T>::min() ||
        value > std::numeric_limits<T>::max())
      return std::string(name) + " out of range";
    out = static_cast<T>(value);
    return {};
  });
}

template <class T>
Outcome reals(const Arg& a, int64_t rows, const char* format, const char* name) {
  return numbers<T>(a, rows, format, "number", name, [=](Text text, T& out) -> std::string {
    if (text::parse_float<T>(text, out) == text::Status::ok) return {};
    return "\"" + std::string(text) + "\" is out of range for type " + name;
  });
}

// format: the Arrow format of the result; precision and scale are numeric's.
nb::tuple cast(nb::handle values, int64_t rows, const std::string& format, int precision, int scale) {
  const Arg a = read_arg(values, rows, -1);
  if (format == "b")
    return give(numbers<bool>(a, rows, "b", "boolean", "boolean",
                              [](Text text, bool& out) -> std::string { return out = text == "true", std::string(); }));
  if (format == "s") return give(integers<int16_t>(a, rows, "s", "smallint"));
  if (format == "i") return give(integers<int32_t>(a, rows, "i", "integer"));
  if (format == "l") return give(integers<int64_t>(a, rows, "l", "bigint"));
  if (format == "f") return give(reals<float>(a, rows, "f", "real"));
  if (format == "g") return give(reals<double>(a, rows, "g", "double precision"));
  if (format != "d" || scale < 0 || scale > 38 || precision < 0 || precision > 38)
    throw std::invalid_argument("jsonb has no cast to arrow format '" + format + "'");
  return give(numbers<Decimal>(a, rows, decimal_format(scale).c_str(), "number", "numeric",
                               [=](Text text, Decimal& out) -> std::string {
                                 const bool ok = text::parse_decimal(text, scale, out) == text::Status::ok;
                                 return ok && text::fits(out, precision) ? "" : "numeric field overflow";
                               }));
}

// What jsonb_array_elements and jsonb_each make of each row: how many members, then the members of all rows one after another,
// keys as plain text (only of objects). A NULL has none, a value of another kind is an error. Linear in the bytes of the text.
nb::tuple expand(nb::handle values, int64_t rows, bool object, bool text_result, const std::string& name) {
  const Arg a = read_arg(values, rows, -1);
  Output<int64_t> counts(rows);
  Builder keys("U"), members("U");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i)) continue;
      const Text json = a.bytes(i);
      if (!json.starts_with(object ? '{' : '[')) {
        const bool scalar = !json.starts_with('{') && !json.starts_with('[');
        if (object)
          errors.add(i, name == "jsonb_object_keys"
                            ? "cannot call jsonb_object_keys on " + std::string(scalar ? "a scalar" : "an array")
                            : "cannot call " + name + " on a non-object");
        else
          errors.add(i, scalar ? "cannot extract elements from a scalar" : "cannot extract elements from an object");
        continue;
      }
      int64_t count = 0;
      each(json, [&](Text key, Text value) {
        if (object) {
          made.clear();
          as_text(key, made);
          keys.append_bytes(made);
        }
        made.clear();
        if (!text_result)
          members.append_bytes(value);
        else if (as_text(value, made))
          members.append_bytes(made);
        else
          members.append_null();
        return ++count, true;
      });
      counts.set(i, count);
    }
  }
  const std::optional<Column> failed = errors.finish(rows);
  return nb::make_tuple(arrow::write_column(counts.finish("l")), arrow::write_column(keys.finish()),
                        arrow::write_column(members.finish()),
                        failed ? nb::object(arrow::write_column(*failed)) : nb::none());
}

}  // namespace

void add_json(nb::module_& m) {
  m.def("json_expand", &expand);
  m.def("json_get", [](nb::handle values, nb::handle keys, int64_t rows, bool text_result) {
    const bool by_index = arrow::read_column(keys).format.layout == arrow::Layout::fixed;
    return arrow::write_column(get(read_arg(values, rows, -1), read_arg(keys, rows, by_index ? 4 : -1), rows, text_result));
  });
  m.def("json_cast", &cast);
  m.def("json_typeof", [](nb::handle values, int64_t rows) {
    const Arg a = read_arg(values, rows, -1);
    Builder out("U");
    for (int64_t i = 0; i < rows; ++i) {
      if (a.valid(i))
        out.append_bytes(kind_of(a.bytes(i)));
      else
        out.append_null();
    }
    return arrow::write_column(out.finish());
  });
  m.def("json_array_length", [](nb::handle values, int64_t rows) {
    return give(unary<int32_t, Text>(read_arg(values, rows, -1), rows, "i", [](Text json, int32_t& out) -> const char* {
      if (json.starts_with('{')) return "cannot get array length of a non-array";
      if (!json.starts_with('[')) return "cannot get array length of a scalar";
      out = static_cast<int32_t>(length(json));
      return nullptr;
    }));
  });
  m.def("json_contains", [](nb::handle values, nb::handle parts, int64_t rows) {
    return give(binary<bool, Text, Text>(
        read_arg(values, rows, -1), read_arg(parts, rows, -1), rows, "b",
        [](Text json, Text part, bool& out) -> const char* { return out = contains(json, part, true), nullptr; }));
  });
  m.def("json_exists", [](nb::handle values, nb::handle keys, int64_t rows) {
    return give(binary<bool, Text, Text>(
        read_arg(values, rows, -1), read_arg(keys, rows, -1), rows, "b",
        [](Text json, Text key, bool& out) -> const char* { return out = exists(json, key), nullptr; }));
  });
}

}  // namespace headwater::scalars
