// Arrays of texts as text and back: PostgreSQL's array literals, JSON, and texts joined and split.
#include "dataflow/scalars/kernels/array_literal.h"
#include "dataflow/scalars/kernels/array_rows.h"
#include "dataflow/scalars/kernels/text_utf8.h"

namespace headwater::arrays {
namespace {

using scalars::Arg;
using scalars::Errors;
using scalars::Unlocked;

// One array literal, read into the bytes of a text[]. `read` answers false where it is malformed.
class Literal {
 public:
  Literal(std::string_view text, std::string& made) : text_(text), made_(made) {}

  const char* read() {
    begin_array(made_, 0);
    Shape header;
    if (!bounds(header)) return failure_;
    blanks();
    if (at_ == text_.size() || text_[at_] != '{' || !list(0)) return failure_;
    blanks();
    if (at_ != text_.size()) return failure_;
    Shape shape;
    if (count_) {
      shape.dimensions = depth_;
      for (int d = 0; d < depth_; ++d) {
        shape.lengths[d] = lengths_[d];
        shape.lower[d] = header.dimensions ? header.lower[d] : 1;
      }
    }
    if (header.dimensions) {
      if (header.dimensions != shape.dimensions) return kMalformed;
      for (int d = 0; d < shape.dimensions; ++d)
        if (header.lengths[d] != shape.lengths[d]) return kMalformed;
    }
    if (count_ > kMostElements) return kTooLarge;
    put_shape(made_, shape);
    return nullptr;
  }

  static constexpr const char* kMalformed = "";  // the caller names the text

 private:
  void blanks() {
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
  }
  bool number(int64_t& value) {
    const size_t begin = at_;
    const bool negative = at_ < text_.size() && text_[at_] == '-';
    if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
    const size_t digits = at_;
    value = 0;
    for (; at_ < text_.size() && text::is_digit(text_[at_]) && at_ - begin < 12; ++at_) value = value * 10 + (text_[at_] - '0');
    if (negative) value = -value;
    return at_ > digits && value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max();
  }
  // `[1:2][0:3]=`, if it is there.
  bool bounds(Shape& shape) {
    for (;;) {
      blanks();
      if (at_ == text_.size() || text_[at_] != '[') break;
      if (shape.dimensions == kMostDimensions) return false;
      ++at_;
      int64_t low = 1, high = 0;
      if (!number(high)) return false;
      if (at_ < text_.size() && text_[at_] == ':') {
        ++at_;
        low = high;
        if (!number(high)) return false;
      }
      if (at_ == text_.size() || text_[at_++] != ']') return false;
      if (high < low) return failure_ = "upper bound cannot be less than lower bound", false;
      if (high - low >= kMostElements) return failure_ = kTooLarge, false;
      // As in PostgreSQL: what comes after the last element has a subscript too.
      if (high == std::numeric_limits<int32_t>::max()) return failure_ = "array lower bound is too large", false;
      shape.lengths[shape.dimensions] = static_cast<int32_t>(high - low + 1);
      shape.lower[shape.dimensions++] = static_cast<int32_t>(low);
    }
    if (!shape.dimensions) return true;
    if (at_ == text_.size() || text_[at_] != '=') return false;
    ++at_;
    return true;
  }
  // What stands within braces, at a depth from 0. Lists of one depth are of one length, and values of one depth.
  bool list(int depth) {
    if (depth == kMostDimensions) return failure_ = "number of array dimensions (7) exceeds the maximum allowed (6)", false;
    ++at_;
    blanks();
    int32_t length = 0;
    bool empty = false;
    if (at_ < text_.size() && text_[at_] == '}') {
      ++at_;
      empty = true;
    }
    while (!empty) {
      blanks();
      if (at_ == text_.size()) return false;
      if (text_[at_] == '{') {
        if (depth_ && depth_ == depth + 1) return false;
        if (!list(depth + 1)) return false;
      } else {
        if (depth_ && depth_ != depth + 1) return false;
        depth_ = depth + 1;
        if (!value()) return false;
      }
      ++length;
      blanks();
      if (at_ == text_.size()) return false;
      const char c = text_[at_++];
      if (c == '}') break;
      if (c != ',') return false;
    }
    if (known_[depth] && lengths_[depth] != length) return false;
    known_[depth] = true;
    lengths_[depth] = length;
    return true;
  }
  bool value() {
    ++count_;
    element_.clear();
    if (text_[at_] == '"') {
      for (++at_;; ++at_) {
        if (at_ == text_.size()) return false;
        if (text_[at_] == '"') break;
        if (text_[at_] == '\\' && ++at_ == text_.size()) return false;
        element_ += text_[at_];
      }
      ++at_;
      put_text(made_, element_);
      return true;
    }
    size_t kept = 0;  // without the blanks at the end, but for escaped ones
    bool escaped = false;
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == ',' || c == '}') break;
      if (c == '"' || c == '{') return false;
      if (c == '\\') {
        if (++at_ == text_.size()) return false;
        c = text_[at_];
        escaped = true;
        element_ += c;
        kept = element_.size();
        continue;
      }
      element_ += c;
      if (!blank(c)) kept = element_.size();
    }
    element_.resize(kept);
    if (element_.empty() && !escaped) return false;
    if (!escaped && is_null(element_)) put_null(made_, 0);
    else put_text(made_, element_);
    return true;
  }

  std::string_view text_;
  std::string& made_;
  std::string element_;
  const char* failure_ = kMalformed;
  size_t at_ = 0;
  int64_t count_ = 0;
  int depth_ = 0;
  bool known_[kMostDimensions] = {};
  int32_t lengths_[kMostDimensions] = {};
};

// Array literals as text[]. O(bytes).
nb::tuple parse(nb::handle values, int64_t rows) {
  const Arg a = scalars::read_arg(values, rows, -1);
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      const char* message = a.valid(i) ? Literal(a.bytes(i), made).read() : nullptr;
      if (a.valid(i) && !message) {
        out.append_bytes(made);
        continue;
      }
      if (message)
        errors.add(i, *message ? std::string(message) : "malformed array literal: \"" + std::string(a.bytes(i)) + '"');
      out.append_null();
    }
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

// The elements within brackets, nested as the array's dimensions are; `put` writes one. A separator stands between two.
template <class Put>
void nest(std::string& out, const View& view, char open, char close, std::string_view between, Put&& put) {
  const Shape& shape = view.shape;
  if (!shape.dimensions) {
    out += open;
    out += close;
    return;
  }
  int32_t place[kMostDimensions] = {};
  Walk walk(view);
  std::string_view element;
  bool first = true;
  while (walk.next(element)) {
    int fresh = 0;  // dimensions that begin here
    for (int d = shape.dimensions - 1; d >= 0 && place[d] == 0; --d) ++fresh;
    if (!first) out.append(between);
    first = false;
    out.append(static_cast<size_t>(fresh), open);
    put(element);
    for (int d = shape.dimensions - 1; d >= 0 && ++place[d] == shape.lengths[d]; --d) {
      place[d] = 0;
      out += close;
    }
  }
}

// text[] as array literals; with `json` as JSON arrays of elements that are JSON. O(bytes).
nb::tuple format(nb::handle arrays, int64_t rows, bool json) {
  return write_texts(arrays, rows, [json, made = std::string()](const View& view, std::string& text) mutable {
    bool shifted = false;
    for (int d = 0; d < view.shape.dimensions; ++d) shifted = shifted || view.shape.lower[d] != 1;
    if (shifted && !json) {
      put_bounds(text, view.shape);
      text += '=';
    }
    nest(text, view, json ? '[' : '{', json ? ']' : '}', json ? ", " : ",", [&](std::string_view element) {
      if (element[0] != kPresent) text.append(json ? "null" : "NULL");
      else if (json) text.append(text_of(element, made));
      else put_quoted(text, text_of(element, made));
    });
  });
}

// array_to_string: elements with a delimiter between; NULLs as `nulls`, or left out where that is None or NULL. O(bytes).
nb::tuple join(nb::handle arrays, nb::handle delimiters, nb::handle nulls, int64_t rows) {
  const Arg a = scalars::read_arg(arrays, rows, -1), d = scalars::read_arg(delimiters, rows, -1);
  const bool shows = !nulls.is_none();
  const Arg n = shows ? scalars::read_arg(nulls, rows, -1) : d;
  Builder out("U");
  {
    Unlocked unlocked(rows);
    std::string text, made;
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i) || !d.valid(i)) {
        out.append_null();
        continue;
      }
      text.clear();
      bool first = true;
      std::string_view element;
      for (Walk walk(View::read(a.bytes(i))); walk.next(element);) {
        const bool present = element[0] == kPresent;
        if (!present && !(shows && n.valid(i))) continue;
        if (!first) text.append(d.bytes(i));
        first = false;
        text.append(present ? text_of(element, made) : n.bytes(i));
      }
      out.append_bytes(text);
    }
  }
  return arrow::write_column(out.finish());
}

// string_to_array: at each delimiter, by character where it is NULL; parts that equal `nulls` (may be None) are NULL. O(bytes).
nb::tuple split(nb::handle values, nb::handle delimiters, nb::handle nulls, int64_t rows) {
  const Arg a = scalars::read_arg(values, rows, -1), d = scalars::read_arg(delimiters, rows, -1);
  const bool marks = !nulls.is_none();
  const Arg n = marks ? scalars::read_arg(nulls, rows, -1) : d;
  Builder out("Z");
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      if (!a.valid(i)) {
        out.append_null();
        continue;
      }
      const std::string_view value = a.bytes(i);
      begin_array(made, 0);
      int64_t count = 0;
      auto add = [&](std::string_view part) {
        if (marks && n.valid(i) && part == n.bytes(i)) put_null(made, 0);
        else put_text(made, part);
        ++count;
      };
      if (!d.valid(i)) {
        for (size_t at = 0; at < value.size();) {
          size_t size = 1;
          while (at + size < value.size() && (static_cast<unsigned char>(value[at + size]) & 0xc0) == 0x80) ++size;
          add(value.substr(at, size));
          at += size;
        }
      } else if (!value.empty()) {
        const std::string_view delimiter = d.bytes(i);
        size_t at = 0;
        for (size_t next; !delimiter.empty() && (next = value.find(delimiter, at)) != value.npos; at = next + delimiter.size())
          add(value.substr(at, next - at));
        add(value.substr(at));
      }
      put_shape(made, Shape::line(count));
      out.append_bytes(made);
    }
  }
  return arrow::write_column(out.finish());
}

}  // namespace

void add_texts(nb::module_& m) {
  m.def("parse", &parse);
  m.def("format", &format);
  m.def("join", &join, nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  m.def("split", &split, nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
}

}  // namespace headwater::arrays

NB_MODULE(_arrays, m) {
  m.doc() = "arrays, lists, maps and records as bytes that compare as they do";
  headwater::arrays::add_making(m);
  headwater::arrays::add_reading(m);
  headwater::arrays::add_changing(m);
  headwater::arrays::add_texts(m);
  headwater::arrays::add_maps(m);
  headwater::arrays::add_nested_texts(m);
}
