// Lists, maps and records as text, and lists and maps read from it: one layer at a time, what is within being text by then.
#include "dataflow/scalars/kernels/array_literal.h"
#include "dataflow/scalars/kernels/array_rows.h"

namespace headwater::arrays {
namespace {

using scalars::Arg;
using scalars::Errors;
using scalars::Unlocked;

// The numbers are the contract with dataflow/scalars/nested.py.
enum class Form : int { list = 0, map, record, object };

// The elements of a list, or the keys and values of a map in turns, of a literal like {a, "b c", NULL} or {a => 1}, into the bytes
// of a text[]. `nested`: what begins with a brace is taken whole, up to the brace that ends it.
class Literal {
 public:
  Literal(std::string_view text, Form form, bool nested, std::string& made)
      : text_(text), map_(form == Form::map), nested_(nested), made_(made) {}

  bool read() {
    begin_array(made_, 0);
    blanks();
    if (!take('{')) return false;
    int64_t count = 0;
    blanks();
    if (!take('}')) {
      for (;;) {
        if (map_ && !(value(true) && arrow())) return false;
        if (!value(false)) return false;
        count += map_ ? 2 : 1;
        blanks();
        if (take('}')) break;
        if (!take(',')) return false;
      }
    }
    blanks();
    if (at_ != text_.size() || count > kMostElements) return false;
    put_shape(made_, Shape::line(count));
    return true;
  }

 private:
  void blanks() {
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
  }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool arrow() {
    blanks();
    return take('=') && take('>');
  }
  bool value(bool key) {
    blanks();
    if (at_ == text_.size()) return false;
    element_.clear();
    if (text_[at_] == '"') return quoted();
    if (text_[at_] == '{') return nested_ && !key && braces();
    return bare(key);
  }
  bool quoted() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && ++at_ == text_.size()) return false;
      element_ += text_[at_];
    }
    if (!take('"')) return false;
    put_text(made_, element_);
    return true;
  }
  bool braces() {
    const size_t begin = at_;
    int64_t depth = 0;
    for (bool in_quotes = false; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\') ++at_;
      else if (c == '"') in_quotes = !in_quotes;
      else if (!in_quotes && c == '{') ++depth;
      else if (!in_quotes && c == '}' && --depth == 0) break;
    }
    if (!take('}')) return false;
    put_text(made_, text_.substr(begin, at_ - begin));
    return true;
  }
  bool bare(bool key) {
    size_t kept = 0;  // without the blanks at the end, but for escaped ones
    bool escaped = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == ',' || c == '}' || (key && c == '=' && at_ + 1 < text_.size() && text_[at_ + 1] == '>')) break;
      if (c == '"' || c == '{') return false;
      if (c == '\\') {
        if (++at_ == text_.size()) return false;
        escaped = true;
      }
      element_ += text_[at_];
      if (c == '\\' || !blank(c)) kept = element_.size();
    }
    element_.resize(kept);
    if (element_.empty()) return false;
    if (escaped || !is_null(element_)) put_text(made_, element_);
    else if (key) return false;
    else put_null(made_, 0);
    return true;
  }

  std::string_view text_;
  bool map_, nested_;
  std::string& made_;
  std::string element_;
  size_t at_ = 0;
};

// Literals of lists or maps as text[] of what they hold. O(bytes).
nb::tuple split(nb::handle values, int64_t rows, int form, bool nested) {
  const Arg a = scalars::read_arg(values, rows, -1);
  const auto kind = static_cast<Form>(form);
  if (kind != Form::list && kind != Form::map) throw std::invalid_argument("only lists and maps are read");
  Builder out("Z");
  Errors errors;
  {
    Unlocked unlocked(rows);
    std::string made;
    for (int64_t i = 0; i < rows; ++i) {
      if (a.valid(i) && Literal(a.bytes(i), kind, nested, made).read()) {
        out.append_bytes(made);
        continue;
      }
      if (a.valid(i)) {
        std::string message = kind == Form::map ? "malformed map literal: \"" : "malformed list literal: \"";
        errors.add(i, message.append(a.bytes(i)) += '"');
      }
      out.append_null();
    }
  }
  return scalars::give({out.finish(), errors.finish(rows)});
}

// A field of a record as PostgreSQL writes it: what is to be escaped stands twice.
void put_field(std::string& out, std::string_view text) {
  bool quotes = text.empty();
  for (const char c : text) quotes = quotes || blank(c) || c == '"' || c == '\\' || c == '(' || c == ')' || c == ',';
  if (quotes) out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += c;
    out += c;
  }
  if (quotes) out += '"';
}

// text[] as literals: of a list its elements, of a map its keys and values in turns, of a record its fields; with Form::object keys
// and values that are JSON, as canonical jsonb spaces them. `nested`: what begins with a brace is written as it is. O(bytes).
nb::tuple write(nb::handle texts, int64_t rows, int form, bool nested) {
  return write_texts(texts, rows, [kind = static_cast<Form>(form), nested, made = std::string()](const View& view, std::string& text) mutable {
    text += kind == Form::record ? '(' : '{';
    bool second = false;  // the value of a pair comes next
    std::string_view element;
    for (Walk walk(view); walk.next(element);) {
      if (second) text.append(kind == Form::map ? "=>" : ": ");
      else if (element.data() != view.body.data()) text.append(kind == Form::object ? ", " : ",");
      if (kind == Form::map || kind == Form::object) second = !second;
      const bool key = second;
      if (element[0] != kPresent) {
        if (kind != Form::record) text.append(kind == Form::object ? "null" : "NULL");
        continue;
      }
      const std::string_view value = text_of(element, made);
      if (kind == Form::record) put_field(text, value);
      else if (kind == Form::object || (nested && !key && value.starts_with('{'))) text.append(value);
      else put_quoted(text, value, kind == Form::map ? "=>" : "");
    }
    text += kind == Form::record ? ')' : '}';
  });
}

}  // namespace

void add_nested_texts(nb::module_& m) {
  m.def("split_literals", &split);
  m.def("write_literals", &write);
}

}  // namespace headwater::arrays
