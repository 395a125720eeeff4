// Functions of text. Positions and lengths count code points; the text is valid UTF-8, and nothing is read beyond its end if not.
#include <algorithm>

#include "dataflow/scalars/kernels/digest.h"
#include "dataflow/scalars/kernels/scalars.h"

namespace headwater::scalars {
namespace {

using Text = std::string_view;

constexpr size_t kLongest = size_t{1} << 26;  // bytes that one lpad, rpad, repeat or replace may make: bounds a mistake
constexpr const char* kTooLong = "requested length too large";

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int64_t count(Text text) {
  return static_cast<int64_t>(text.size()) - std::count_if(text.begin(), text.end(), continues);
}

// Where code point n (from 0) starts; the end when there are fewer.
size_t start_of(Text text, int64_t n) {
  size_t at = 0;
  while (n > 0 && at < text.size()) {
    ++at;
    while (at < text.size() && continues(text[at])) ++at;
    --n;
  }
  return at;
}

Text first(Text text, int64_t n) { return text.substr(0, start_of(text, n)); }
Text without_first(Text text, int64_t n) { return text.substr(start_of(text, n)); }

// Calls f(i, std::string& out) -> message or nullptr for the rows in which every argument is not NULL.
template <class F>
Outcome text_rows(const std::vector<Arg>& args, int64_t rows, const char* format, F&& f) {
  Unlocked unlocked(rows);
  Builder out(format);
  out.reserve(rows, rows * 8);
  Errors errors;
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    const bool valid = std::all_of(args.begin(), args.end(), [&](const Arg& arg) { return arg.valid(i); });
    const char* message = nullptr;
    if (valid) {
      made.clear();
      message = f(i, made);
      if (message) errors.add(i, message);
    }
    if (valid && !message)
      out.append_bytes(made);
    else
      out.append_null();
  }
  return {out.finish(), errors.finish(rows)};
}

template <class... Width>
std::vector<Arg> read_all(const nb::sequence& values, int64_t rows, Width... widths) {
  const int32_t wanted[] = {widths...};
  if (nb::len(values) != sizeof...(widths)) throw std::invalid_argument("wrong number of arguments");
  std::vector<Arg> args;
  for (size_t i = 0; i < sizeof...(widths); ++i) args.push_back(read_arg(values[i], rows, wanted[i]));
  return args;
}

// substring(text from start for length); length may be open. SQL's rule: the window may lie partly outside of the text.
const char* substring(Text text, int64_t start, const int32_t* length, std::string& out) {
  int64_t end = std::numeric_limits<int64_t>::max();
  if (length) {
    if (*length < 0) return "negative substring length not allowed";
    end = start + *length;
  }
  start = std::max<int64_t>(start, 1);
  if (end <= start) return nullptr;
  const Text rest = without_first(text, start - 1);
  out = length ? first(rest, end - start) : rest;
  return nullptr;
}

Text left(Text text, int64_t n) { return first(text, n >= 0 ? n : std::max<int64_t>(count(text) + n, 0)); }
Text right(Text text, int64_t n) { return without_first(text, n >= 0 ? std::max<int64_t>(count(text) - n, 0) : -n); }

enum Ends { kLeft = 1, kRight = 2 };

Text trim(Text text, Text set, int ends) {
  auto in_set = [&](Text character) { return !character.empty() && set.find(character) != Text::npos; };
  // A match inside `set` cannot start in the middle of a character: UTF-8 lead bytes differ from continuations.
  while ((ends & kLeft) && in_set(first(text, 1))) text = without_first(text, 1);
  while ((ends & kRight) && !text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && continues(text[at])) --at;
    if (!in_set(text.substr(at))) break;
    text = text.substr(0, at);
  }
  return text;
}

const char* replace(Text text, Text from, Text to, std::string& out) {
  size_t at = 0;
  for (size_t next; !from.empty() && (next = text.find(from, at)) != Text::npos; at = next + from.size()) {
    out.append(text.substr(at, next - at)).append(to);
    if (out.size() > kLongest) return kTooLong;
  }
  out.append(text.substr(at));
  return nullptr;
}

const char* split_part(Text text, Text delimiter, int64_t n, std::string& out) {
  if (n == 0) return "field position must not be zero";
  if (delimiter.empty()) {
    if (n == 1 || n == -1) out = text;
    return nullptr;
  }
  if (n < 0) {
    int64_t fields = 1;
    for (size_t at = 0; (at = text.find(delimiter, at)) != Text::npos; at += delimiter.size()) ++fields;
    n += fields + 1;
    if (n < 1) return nullptr;
  }
  size_t at = 0;
  for (int64_t field = 1;; ++field) {
    const size_t next = text.find(delimiter, at);
    if (field == n) {
      out = text.substr(at, next == Text::npos ? next : next - at);
      return nullptr;
    }
    if (next == Text::npos) return nullptr;
    at = next + delimiter.size();
  }
}

const char* pad(Text text, int64_t width, Text fill, bool at_left, std::string& out) {
  width = std::max<int64_t>(width, 0);
  const int64_t have = count(text);
  if (have >= width || fill.empty()) {
    out = first(text, width);
    return nullptr;
  }
  if (static_cast<uint64_t>(width) * 4 > kLongest) return kTooLong;
  if (!at_left) out = text;
  const int64_t filling = count(fill);
  int64_t missing = width - have;
  for (; missing >= filling; missing -= filling) out.append(fill);
  out.append(first(fill, missing));
  if (at_left) out.append(text);
  return nullptr;
}

const char* repeat(Text text, int64_t n, std::string& out) {
  if (n <= 0 || text.empty()) return nullptr;
  if (static_cast<uint64_t>(n) > kLongest / text.size()) return kTooLong;
  for (; n > 0; --n) out.append(text);
  return nullptr;
}

void reverse(Text text, std::string& out) {
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && continues(text[at])) --at;
    out.append(text.substr(at));
    text = text.substr(0, at);
  }
}

// The pattern with a backslash in place of its own escape character (empty: none, so that backslashes are plain).
const char* like_escape(Text pattern, Text escape, std::string& out) {
  if (count(escape) > 1) return "invalid escape string";
  bool escaped = false;
  while (!pattern.empty()) {
    const Text character = first(pattern, 1);
    pattern = pattern.substr(character.size());
    if (character == escape && !escaped) {
      out += '\\';
      escaped = true;
      continue;
    }
    if (character == "\\" && !escaped) out += '\\';
    out.append(character);
    escaped = false;
  }
  return nullptr;
}

// Matches LIKE: % any text, _ one character, a backslash takes the next character as it is. The last % seen is the only place
// to go back to, so the time is at most text times pattern. Sets `failed` when a match gets to a backslash at the end.
bool like(Text text, Text pattern, bool& failed) {
  size_t t = 0, p = 0, star = Text::npos, retry = 0;
  auto next_character = [&](size_t at) {
    ++at;
    while (at < text.size() && continues(text[at])) ++at;
    return at;
  };
  while (true) {
    if (p < pattern.size() && pattern[p] == '%') {
      star = ++p;
      retry = t;
      if (p == pattern.size()) return true;
      continue;
    }
    if (p == pattern.size() && t == text.size()) return true;
    if (p < pattern.size() && t < text.size()) {
      if (pattern[p] == '_') {
        t = next_character(t);
        ++p;
        continue;
      }
      const size_t from = pattern[p] == '\\' ? p + 1 : p;
      if (from == pattern.size()) {
        failed = true;
        return false;
      }
      if (text[t] == pattern[from]) {
        ++t;
        p = from + 1;
        continue;
      }
    }
    if (star == Text::npos || retry >= text.size()) return false;
    retry = next_character(retry);
    t = retry;
    p = star;
  }
}

Outcome like_rows(const std::vector<Arg>& a, int64_t rows, bool negated) {
  Unlocked unlocked(rows);
  Output<bool> out(rows);
  Errors errors;
  for (int64_t i = 0; i < rows; ++i) {
    if (!(a[0].valid(i) && a[1].valid(i))) {
      out.set_null(i);
      continue;
    }
    bool failed = false;
    const bool matched = like(a[0].bytes(i), a[1].bytes(i), failed);
    if (failed) {
      errors.add(i, "LIKE pattern must not end with escape character");
      out.set_null(i);
    } else {
      out.set(i, matched != negated);
    }
  }
  return {out.finish("b"), errors.finish(rows)};
}

enum class Piece { substring, left, right, btrim, ltrim, rtrim, replace, split_part, lpad, rpad, repeat, reverse, like_escape };

// Calls the function with the arguments of row i; the texts and numbers are where each function has them.
const char* apply(Piece piece, const std::vector<Arg>& a, int64_t i, std::string& out) {
  const Text text = a[0].bytes(i);
  auto number = [&](size_t place) { return a[place].get<int32_t>(i); };
  switch (piece) {
    case Piece::substring: {
      const int32_t length = a.size() > 2 ? number(2) : 0;
      return substring(text, number(1), a.size() > 2 ? &length : nullptr, out);
    }
    case Piece::left: out = left(text, number(1)); return nullptr;
    case Piece::right: out = right(text, number(1)); return nullptr;
    case Piece::btrim: out = trim(text, a[1].bytes(i), kLeft | kRight); return nullptr;
    case Piece::ltrim: out = trim(text, a[1].bytes(i), kLeft); return nullptr;
    case Piece::rtrim: out = trim(text, a[1].bytes(i), kRight); return nullptr;
    case Piece::replace: return replace(text, a[1].bytes(i), a[2].bytes(i), out);
    case Piece::split_part: return split_part(text, a[1].bytes(i), number(2), out);
    case Piece::lpad:
    case Piece::rpad: return pad(text, number(1), a[2].bytes(i), piece == Piece::lpad, out);
    case Piece::repeat: return repeat(text, number(1), out);
    case Piece::reverse: reverse(text, out); return nullptr;
    case Piece::like_escape: return like_escape(text, a[1].bytes(i), out);
  }
  return nullptr;
}

std::vector<Arg> read_piece(Piece piece, const nb::sequence& values, int64_t rows) {
  switch (piece) {
    case Piece::substring: return nb::len(values) == 2 ? read_all(values, rows, -1, 4) : read_all(values, rows, -1, 4, 4);
    case Piece::left:
    case Piece::right:
    case Piece::repeat: return read_all(values, rows, -1, 4);
    case Piece::btrim:
    case Piece::ltrim:
    case Piece::rtrim:
    case Piece::like_escape: return read_all(values, rows, -1, -1);
    case Piece::replace: return read_all(values, rows, -1, -1, -1);
    case Piece::split_part: return read_all(values, rows, -1, -1, 4);
    case Piece::lpad:
    case Piece::rpad: return read_all(values, rows, -1, 4, -1);
    case Piece::reverse: return read_all(values, rows, -1);
  }
  return {};
}

// strict: NULL when any part is NULL (||); otherwise NULL parts are left out (concat, and concat_ws with a separator).
Column concat(const std::vector<Arg>& parts, int64_t rows, bool strict, const std::optional<Arg>& between, const char* format) {
  Unlocked unlocked(rows);
  Builder out(format);
  for (int64_t i = 0; i < rows; ++i) {
    const bool null = (between && !between->valid(i)) ||
                      (strict && !std::all_of(parts.begin(), parts.end(), [&](const Arg& p) { return p.valid(i); }));
    if (null) {
      out.append_null();
      continue;
    }
    bool written = false;
    for (const Arg& part : parts) {
      if (!part.valid(i)) continue;
      if (between && written) out.raw().append(between->bytes(i).data(), static_cast<int64_t>(between->bytes(i).size()));
      out.raw().append(part.bytes(i).data(), static_cast<int64_t>(part.bytes(i).size()));
      written = true;
    }
    out.end_raw();
  }
  return out.finish();
}

}  // namespace

void add_text(nb::module_& m) {
  m.def("text", [](int code, const nb::sequence& values, int64_t rows) {
    if (code < 0 || code > static_cast<int>(Piece::like_escape)) throw std::invalid_argument("unknown function of text");
    const Piece piece = static_cast<Piece>(code);
    const auto args = read_piece(piece, values, rows);
    return give(text_rows(args, rows, "U", [&](int64_t i, std::string& out) { return apply(piece, args, i, out); }));
  });
  m.def("like", [](const nb::sequence& values, int64_t rows, bool negated) {
    return give(like_rows(read_all(values, rows, -1, -1), rows, negated));
  });
  m.def(
      "concat",
      [](const nb::sequence& values, int64_t rows, bool strict, nb::handle separator, const std::string& format) {
        std::vector<Arg> parts;
        for (nb::handle value : values) parts.push_back(read_arg(value, rows, -1));
        std::optional<Arg> between;
        if (!separator.is_none()) between = read_arg(separator, rows, -1);
        return arrow::write_column(concat(parts, rows, strict, between, format.c_str()));
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  m.def("length", [](nb::handle values, int64_t rows, bool bytes) {
    return give(unary<int32_t, Text>(read_arg(values, rows, -1), rows, "i", [=](Text text, int32_t& out) -> const char* {
      out = static_cast<int32_t>(bytes ? static_cast<int64_t>(text.size()) : count(text));
      return nullptr;
    }));
  });
  m.def("position", [](nb::handle values, nb::handle parts, int64_t rows) {
    return give(binary<int32_t, Text, Text>(
        read_arg(values, rows, -1), read_arg(parts, rows, -1), rows, "i",
        [](Text text, Text part, int32_t& out) -> const char* {
          const size_t at = text.find(part);
          out = at == Text::npos ? 0 : static_cast<int32_t>(count(text.substr(0, at))) + 1;
          return nullptr;
        }));
  });
  m.def("starts_with", [](nb::handle values, nb::handle parts, int64_t rows) {
    return give(binary<bool, Text, Text>(
        read_arg(values, rows, -1), read_arg(parts, rows, -1), rows, "b",
        [](Text text, Text part, bool& out) -> const char* { return out = text.starts_with(part), nullptr; }));
  });
  m.def("digest", [](nb::handle values, int64_t rows, bool sha256) {
    const std::vector<Arg> args{read_arg(values, rows, -1)};
    return give(text_rows(args, rows, sha256 ? "Z" : "U", [&](int64_t i, std::string& out) -> const char* {
      out = sha256 ? digest::sha256(args[0].bytes(i)) : digest::hex(digest::md5(args[0].bytes(i)));
      return nullptr;
    }));
  });
}

}  // namespace headwater::scalars
