// COPY's formats read: the bytes that a client sends, cut into the fields of rows, a column at a time.
//
//   text    fields between delimiters, `\n` for a newline, NULL's own text; lines end in \n, \r\n or \r, all of them alike
//   csv     RFC 4180 as PostgreSQL reads it: a quote may begin anywhere, what is quoted is never NULL
//   binary  behind the header: fields(int16), then for each: length(int32, -1 for NULL) value; -1 fields end it
//
// O(bytes), one pass to find a row's end and one to cut it. Always true: only whole rows are taken, the rest is the caller's to
// hand in again; a row that cannot be cut ends the call with its place and what is wrong, behind the rows before it. Text that
// comes out is valid UTF-8 without zero bytes. Deliberately unknown here: types, names of columns, messages.
#include "dataflow/kernels/arrow.h"
#include "dataflow/scalars/kernels/text_utf8.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nb = nanobind;

namespace {

using headwater::arrow::Builder;
using headwater::arrow::write_column;

// What is wrong with a row. The numbers are the contract with serve/pg/copy_rows.py.
enum Wrong : int {
  fine = 0, missing, extra, carriage_return, newline, marker, unterminated, encoding, fields, field_size, cut_off, after_end, escaped,
};

enum Ends : int { unknown = 0, lf, cr, crlf };

struct Options {
  bool csv;
  char delimiter, quote, escape;
  std::string null;
};

// Where a row of text ends, and what follows it.
struct Line {
  size_t end = 0, next = 0;
  bool whole = false;
  int64_t newlines = 0;  // within quotes: lines that the row has besides its own
  Wrong wrong = fine;
};

// The end of the line at `at`. `ends` is learned from the first one. `last`: nothing comes behind `data`.
Line find_line(std::string_view data, size_t at, const Options& options, int& ends, bool last) {
  Line line;
  bool quoted = false;
  size_t i = at;
  for (; i < data.size(); ++i) {
    char c = data[i];
    if (options.csv) {
      if (quoted) {
        if (c == options.escape && options.escape != options.quote) {
          if (i + 1 < data.size() && (data[i + 1] == options.quote || data[i + 1] == options.escape)) ++i;
          else if (i + 1 == data.size() && !last) return line;
          continue;
        }
        if (c == options.quote) quoted = false;  // a doubled one begins again at once
        line.newlines += c == (ends == lf ? '\n' : '\r');  // while it is not known how lines end, as PostgreSQL counts
        continue;
      }
      if (c == options.quote) {
        quoted = true;
        continue;
      }
    } else if (c == '\\') {
      ++i;  // whatever follows belongs to it, also the end of a line
      continue;
    }
    if (c != '\n' && c != '\r') continue;
    if (c == '\r' && (ends == unknown || ends == crlf)) {
      if (i + 1 == data.size() && !last) return line;
      bool both = i + 1 < data.size() && data[i + 1] == '\n';
      if (ends == unknown) ends = both ? crlf : cr;
      if (!both && ends == crlf) {
        line.wrong = carriage_return;
        return line;
      }
    } else if (ends == unknown) {
      ends = lf;
    }
    if (c == '\r' && ends == lf) {
      line.wrong = carriage_return;
      return line;
    }
    if (c == '\n' && ends != lf) {
      line.wrong = newline;
      return line;
    }
    line.end = i;
    line.next = i + (ends == crlf ? 2 : 1);
    line.whole = true;
    return line;
  }
  if (!last) return line;
  if (quoted) {
    line.wrong = unterminated;
    return line;
  }
  line.end = line.next = data.size();
  line.whole = at < data.size();
  return line;
}

int digit(char c, int base) {
  int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
  return value < base ? value : -1;
}

// One field of COPY's text without its backslashes. False when bytes that it writes as numbers are no text.
bool unescape(std::string_view raw, std::string& out) {
  out.clear();
  bool bytes = false;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      out += raw[i];
      continue;
    }
    if (i + 1 == raw.size()) break;  // at the end of the data: it means nothing
    char c = raw[++i];
    int base = c == 'x' ? 16 : 8, value = 0, digits = 0;
    for (size_t k = c == 'x' ? i + 1 : i; k < raw.size() && digits < (c == 'x' ? 2 : 3) && digit(raw[k], base) >= 0; ++k, ++digits)
      value = value * base + digit(raw[k], base);
    if (digits) {
      i += static_cast<size_t>(c == 'x' ? digits : digits - 1);
      out += static_cast<char>(value);
      bytes |= (value & 0xff) >= 0x80 || (value & 0xff) == 0;
      continue;
    }
    switch (c) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'v': out += '\v'; break;
      default: out += c;
    }
  }
  return !bytes || (headwater::text::valid_utf8(out) && out.find('\0') == std::string::npos);
}

struct Cut {
  std::vector<std::string_view> raw;
  std::vector<bool> null;
  std::vector<std::string> made;  // the values that differ from their bytes; `raw` points into it
  std::string bad;  // a value whose escapes make bytes that are no text
};

Wrong cut_text(std::string_view line, const Options& options, size_t columns, Cut& cut) {
  size_t at = 0;
  bool over = false;
  cut.raw.clear();
  while (true) {
    size_t i = at;
    bool escaped_here = false;
    for (; i < line.size() && line[i] != options.delimiter; ++i)
      if (line[i] == '\\') escaped_here = true, ++i;
    if (i > line.size()) i = line.size();
    size_t n = std::min(cut.raw.size(), columns);  // what is too much is looked at, too: bytes that are no text come first
    std::string_view raw = line.substr(at, i - at);
    cut.null[n] = raw == options.null;
    if (escaped_here && !cut.null[n]) {
      if (!unescape(raw, cut.made[n])) {
        cut.bad = cut.made[n];
        return escaped;
      }
      raw = cut.made[n];
    }
    if (n == columns) over = true;
    else cut.raw.push_back(raw);
    if (i == line.size()) break;
    at = i + 1;
  }
  return over ? extra : cut.raw.size() < columns ? missing : fine;
}

Wrong cut_csv(std::string_view line, const Options& options, size_t columns, Cut& cut) {
  size_t at = 0;
  cut.raw.clear();
  while (true) {
    size_t i = at;
    while (i < line.size() && line[i] != options.delimiter && line[i] != options.quote) ++i;
    if (cut.raw.size() == columns) return extra;
    size_t n = cut.raw.size();
    if (i == line.size() || line[i] == options.delimiter) {
      std::string_view raw = line.substr(at, i - at);
      cut.null[n] = raw == options.null;
      cut.raw.push_back(raw);
    } else {
      std::string& made = cut.made[n];
      made.assign(line.substr(at, i - at));
      bool quoted = false;
      for (; i < line.size() && (quoted || line[i] != options.delimiter); ++i) {
        char c = line[i];
        if (quoted && c == options.escape && i + 1 < line.size() && (line[i + 1] == options.escape || line[i + 1] == options.quote))
          made += line[++i];
        else if (c == options.quote)
          quoted = !quoted;
        else
          made += c;
      }
      if (quoted) return unterminated;
      cut.null[n] = false;
      cut.raw.push_back(made);
    }
    if (i == line.size()) break;
    at = i + 1;
  }
  return cut.raw.size() < columns ? missing : fine;
}

// What a call has found: columns, for each row where it begins and ends and its line's number, and where reading goes on.
struct Found {
  std::vector<Builder> columns;
  Builder begins{"l"}, stops{"l"}, lines{"l"};
  size_t taken = 0;
  int64_t passed = 0;  // lines, or rows of the binary format, behind which it goes on
  int ends = 0;
  bool done = false;
  Wrong wrong = fine;
  int64_t column = 0;
  int64_t wrong_end = 0;
  std::string bad;
};

void read_text(std::string_view data, const Options& options, size_t columns, bool last, int64_t skip, Found& found) {
  Cut cut;
  cut.null.resize(columns + 1);
  cut.made.resize(columns + 1);
  while (found.taken < data.size()) {
    Line line = find_line(data, found.taken, options, found.ends, last);
    if (line.wrong == unterminated && skip > 0) {  // a header is passed over, whatever it says
      found.taken = data.size();
      return;
    }
    if (line.wrong != fine || !line.whole) {
      found.wrong = line.wrong;
      if (line.wrong != fine) found.passed += line.newlines;
      found.wrong_end = static_cast<int64_t>(data.size());
      return;
    }
    std::string_view text = data.substr(found.taken, line.end - found.taken);
    if (text == "\\." && (options.csv || line.next > line.end)) {
      found.taken = line.next;
      found.done = true;
      return;
    }
    found.wrong_end = static_cast<int64_t>(line.end);
    if (!headwater::text::valid_utf8(text) || text.find('\0') != std::string_view::npos) {
      found.wrong = encoding;
      return;
    }
    if (!options.csv && text.starts_with("\\.")) {
      found.wrong = marker;
      return;
    }
    found.passed += 1 + line.newlines;
    if (skip > 0) {
      --skip;
      found.taken = line.next;
      continue;
    }
    // A line without anything is a row of no columns.
    found.wrong = columns == 0 ? (text.empty() ? fine : extra)
                               : options.csv ? cut_csv(text, options, columns, cut) : cut_text(text, options, columns, cut);
    if (found.wrong != fine) {
      found.column = static_cast<int64_t>(cut.raw.size());
      found.bad = cut.bad;
    }
    // A row that ends too early comes out, too: a value of it may be the first that is wrong.
    if (found.wrong != fine && found.wrong != missing) return;
    for (size_t i = 0; i < columns; ++i)
      if (i >= cut.raw.size() || cut.null[i]) found.columns[i].append_null();
      else found.columns[i].append_bytes(cut.raw[i]);
    found.begins.append(static_cast<int64_t>(found.taken));
    found.stops.append(static_cast<int64_t>(line.end));
    found.lines.append(found.passed);
    if (found.wrong != fine) return;
    found.taken = line.next;
  }
}

template <class T>
T big_endian(std::string_view data, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(static_cast<uint64_t>(value) << 8 | static_cast<uint8_t>(data[at + i]));
  return value;
}

void read_binary(std::string_view data, size_t columns, bool last, Found& found) {
  std::vector<std::pair<size_t, int32_t>> cut(columns);
  while (found.taken < data.size()) {
    size_t at = found.taken;
    auto fail = [&](Wrong wrong, size_t column) {
      found.wrong = wrong;
      found.column = static_cast<int64_t>(column);
      found.wrong_end = static_cast<int64_t>(at);
    };
    auto lacks = [&](size_t bytes) { return data.size() - at < bytes; };
    if (lacks(2)) return last ? fail(cut_off, 0) : void();
    auto count = big_endian<int16_t>(data, at);
    at += 2;
    if (count == -1) {
      found.taken = at;
      found.done = true;
      if (at < data.size()) fail(after_end, 0);
      return;
    }
    if (count < 0 || static_cast<size_t>(count) != columns) return fail(fields, static_cast<size_t>(static_cast<uint16_t>(count)));
    for (size_t i = 0; i < columns; ++i) {
      if (lacks(4)) return last ? fail(cut_off, i) : void();
      auto size = big_endian<int32_t>(data, at);
      at += 4;
      if (size < -1) return fail(field_size, i);
      cut[i] = {at, size};
      if (size < 0) continue;
      if (lacks(static_cast<size_t>(size))) return last ? fail(cut_off, i) : void();
      at += static_cast<size_t>(size);
    }
    for (size_t i = 0; i < columns; ++i)
      if (cut[i].second < 0) found.columns[i].append_null();
      else found.columns[i].append_bytes(data.substr(cut[i].first, static_cast<size_t>(cut[i].second)));
    found.begins.append(static_cast<int64_t>(found.taken));
    found.stops.append(static_cast<int64_t>(at));
    found.lines.append(++found.passed);
    found.taken = at;
  }
}

nb::tuple fields_of(nb::bytes bytes, size_t columns, int form, const std::string& delimiter, const std::string& quote,
                    const std::string& escape, const std::string& null, int ends, int64_t skip, bool last) {
  if (columns > 32767 || form < 0 || form > 2 || delimiter.size() != 1 || quote.size() != 1 || escape.size() != 1 || ends < 0 || ends > 3)
    throw std::invalid_argument("a delimiter, a quote and an escape of one byte, and at most 32767 columns");
  std::string_view data(bytes.c_str(), bytes.size());
  Options options{form == 1, delimiter[0], quote[0], escape[0], null};
  Found found;
  found.ends = ends;
  for (size_t i = 0; i < columns; ++i) found.columns.emplace_back(form == 2 ? "Z" : "U");
  {
    nb::gil_scoped_release release;
    if (form == 2) read_binary(data, columns, last, found);
    else read_text(data, options, columns, last, skip, found);
  }
  nb::list made;
  for (Builder& column : found.columns) made.append(write_column(column.finish()));
  return nb::make_tuple(made, write_column(found.begins.finish()), write_column(found.stops.finish()), write_column(found.lines.finish()), found.taken, found.passed,
                        found.ends, found.done, static_cast<int>(found.wrong), found.column, found.wrong_end,
                        nb::bytes(found.bad.data(), found.bad.size()));
}

constexpr int MOST_GROUPS = 40;  // of four digits: many more than any numeric here has before or behind its point

// A numeric's text, of groups of four digits the first of which is of 10^(4 weight). Its length is bounded by that of the groups: what
// is beyond MOST_GROUPS is told apart no more, as all of it is too large, or nothing; zeros behind the last group are left out.
void put_numeric(std::string& text, bool negative, const std::vector<int>& groups, int weight, int scale) {
  const int count = static_cast<int>(groups.size());
  int first = 0;
  while (first < count && groups[static_cast<size_t>(first)] == 0) ++first;
  int highest = weight - first;  // the place of the first group that is not 0
  text.assign(negative ? 1 : 0, '-');
  if (first == count || highest < -MOST_GROUPS) {
    text += '0';
    return;
  }
  if (highest > MOST_GROUPS) {
    text.append(4 * MOST_GROUPS, '9');
    return;
  }
  auto digits = [&](int place) {
    int i = weight - place, value = i < 0 || i >= count ? 0 : groups[static_cast<size_t>(i)];
    for (int unit = 1000; unit; unit /= 10) text += static_cast<char>('0' + value / unit % 10);
  };
  for (int place = std::max(highest, 0); place >= 0; --place) digits(place);
  const int shown = std::min(scale, 4 * std::max(count - 1 - weight, 0));
  if (shown == 0) return;
  text += '.';
  const size_t end = text.size() + static_cast<size_t>(shown);
  for (int place = -1; text.size() < end; --place) digits(place);
  text.resize(end);
}

// PostgreSQL's numerics as text. A value that is none is the text "?", which no parser takes. O(bytes).
nb::tuple numeric_texts(nb::handle array) {
  auto column = headwater::arrow::read_column(array);
  if (column.format.layout != headwater::arrow::Layout::bytes) throw std::invalid_argument("numerics come as bytes");
  Builder out("U");
  {
    nb::gil_scoped_release release;
    std::string text;
    for (int64_t row = 0; row < column.length; ++row) {
      if (!column.valid(row)) {
        out.append_null();
        continue;
      }
      std::string_view data = column.bytes(row);
      text.assign(1, '?');
      if (data.size() >= 8) {
        auto count = big_endian<int16_t>(data, 0), weight = big_endian<int16_t>(data, 2), scale = big_endian<int16_t>(data, 6);
        auto sign = big_endian<uint16_t>(data, 4);
        if (sign == 0xC000) text = "NaN";
        else if (sign == 0xD000 || sign == 0xF000) text = sign == 0xD000 ? "Infinity" : "-Infinity";
        else if (count >= 0 && data.size() == 8 + 2 * static_cast<size_t>(count) && (sign == 0 || sign == 0x4000) && scale >= 0 &&
                 weight <= 1000 && weight >= -1000) {
          std::vector<int> groups;
          bool right = true;
          for (int i = 0; i < count; ++i) {
            int value = big_endian<int16_t>(data, 8 + 2 * static_cast<size_t>(i));
            right &= value >= 0 && value < 10000;
            groups.push_back(value);
          }
          if (right) put_numeric(text, sign != 0, groups, weight, scale);
        }
      }
      out.append_bytes(text);
    }
  }
  return write_column(out.finish());
}

// DataRow messages as CopyData ones: what is behind their lengths is a row of COPY's binary format. O(rows).
nb::bytes copy_data(nb::bytes rows) {
  nb::bytes made(rows.c_str(), rows.size());
  char* data = PyBytes_AS_STRING(made.ptr());
  for (size_t at = 0; at + 5 <= made.size(); at += 1 + big_endian<uint32_t>({data, made.size()}, at + 1)) data[at] = 'd';
  return made;
}

}  // namespace

NB_MODULE(_pg_copy, m) {
  m.def("fields", &fields_of, nb::arg("data"), nb::arg("columns"), nb::arg("form"), nb::arg("delimiter"), nb::arg("quote"),
        nb::arg("escape"), nb::arg("null"), nb::arg("ends"), nb::arg("skip"), nb::arg("last"));
  m.def("numeric_texts", &numeric_texts, nb::arg("values"));
  m.def("copy_data", &copy_data, nb::arg("rows"));
}
