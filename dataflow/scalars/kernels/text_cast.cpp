// Casts from text, with PostgreSQL's messages, and to text.
#include "dataflow/scalars/kernels/kind.h"
#include "dataflow/scalars/kernels/text.h"

namespace headwater::scalars {
namespace {

using text::Status;

std::string quoted(std::string_view value) {
  std::string out(1, '"');
  out.append(value).append(1, '"');
  return out;
}

std::string input_error(Kind kind, Status status, std::string_view value) {
  const std::string name = kNames[static_cast<int>(kind)];
  if (kind == Kind::jsonb) {
    if (status == Status::unsupported) return "unsupported Unicode escape sequence";
    return status == Status::range ? "json value is nested too deeply or has a number that is too long"
                                   : "invalid input syntax for type json";
  }
  if (status == Status::unsupported) return "numeric " + quoted(value) + " is not supported: only finite numbers are";
  if (status == Status::syntax) return "invalid input syntax for type " + name + ": " + quoted(value);
  switch (kind) {
    case Kind::numeric: return kDecimalOverflow;
    case Kind::real:
    case Kind::double_precision: return quoted(value) + " is out of range for type " + name;
    case Kind::date:
    case Kind::timestamp:
    case Kind::timestamptz:
    case Kind::time: return "date/time field value out of range: " + quoted(value);
    case Kind::interval: return "interval field value out of range: " + quoted(value);
    default: return "value " + quoted(value) + " is out of range for type " + name;
  }
}

// parse(text, T& out) -> Status for each row.
template <class T, class F>
Outcome parse_all(const Arg& a, int64_t rows, Kind kind, const char* format, F&& parse) {
  Unlocked unlocked(rows);
  Output<T> out(rows);
  Errors errors;
  for (int64_t i = 0; i < rows; ++i) {
    if (!a.valid(i)) {
      out.set_null(i);
      continue;
    }
    T value{};
    if (const Status status = parse(a.bytes(i), value); status == Status::ok) {
      out.set(i, value);
    } else {
      errors.add(i, input_error(kind, status, a.bytes(i)));
      out.set_null(i);
    }
  }
  return {out.finish(format), errors.finish(rows)};
}

template <class T>
Outcome parse_integers(const Arg& a, int64_t rows, Kind kind) {
  return parse_all<T>(a, rows, kind, kFormats[static_cast<int>(kind)], [](std::string_view text, T& out) {
    int64_t value = 0;
    const Status status = text::parse_integer(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), value);
    out = static_cast<T>(value);
    return status;
  });
}

Outcome parse_json(const Arg& a, int64_t rows) {
  Unlocked unlocked(rows);
  Builder out("U");
  Errors errors;
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    made.clear();
    Status status = a.valid(i) ? text::canonical_json(a.bytes(i), text::Duplicates::last, made) : Status::ok;
    if (a.valid(i) && status == Status::ok) {
      out.append_bytes(made);
      continue;
    }
    if (status != Status::ok) errors.add(i, input_error(Kind::jsonb, status, a.bytes(i)));
    out.append_null();
  }
  return {out.finish(), errors.finish(rows)};
}

int hex_digit(char c) {
  if (text::is_digit(c)) return c - '0';
  c = text::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Hexadecimal (\x0aFF, blanks between bytes allowed) or escaped (\\ and \ooo); the message of the first mistake.
std::string parse_bytea(std::string_view from, std::string& out) {
  if (from.substr(0, 2) == "\\x") {
    for (size_t i = 2; i < from.size(); i += 2) {
      while (i < from.size() && (from[i] == ' ' || from[i] == '\n' || from[i] == '\t' || from[i] == '\r')) ++i;
      if (i == from.size()) break;
      if (hex_digit(from[i]) < 0) return "invalid hexadecimal digit: " + quoted(from.substr(i, 1));
      if (i + 1 == from.size()) return "invalid hexadecimal data: odd number of digits";
      if (hex_digit(from[i + 1]) < 0) return "invalid hexadecimal digit: " + quoted(from.substr(i + 1, 1));
      out += static_cast<char>(hex_digit(from[i]) * 16 + hex_digit(from[i + 1]));
    }
    return "";
  }
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != '\\') {
      out += from[i];
    } else if (i + 1 < from.size() && from[i + 1] == '\\') {
      out += from[++i];
    } else {
      const std::string_view octal = from.substr(i + 1, 3);
      if (octal.size() < 3 || octal[0] < '0' || octal[0] > '3' || octal[1] < '0' || octal[1] > '7' || octal[2] < '0' ||
          octal[2] > '7')
        return "invalid input syntax for type bytea";
      out += static_cast<char>((octal[0] - '0') * 64 + (octal[1] - '0') * 8 + octal[2] - '0');
      i += 3;
    }
  }
  return "";
}

Outcome parse_byteas(const Arg& a, int64_t rows) {
  Unlocked unlocked(rows);
  Builder out("Z");
  Errors errors;
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    made.clear();
    const std::string message = a.valid(i) ? parse_bytea(a.bytes(i), made) : "";
    if (!message.empty()) errors.add(i, message);
    if (a.valid(i) && message.empty())
      out.append_bytes(made);
    else
      out.append_null();
  }
  return {out.finish(), errors.finish(rows)};
}

nb::tuple parse(nb::handle values, int64_t rows, int code, int precision, int scale) {
  const Kind kind = to_kind(code);
  const Arg a = read_arg(values, rows, -1);
  if (scale < 0 || scale > 38 || precision < 0 || precision > 38) throw std::invalid_argument("numeric out of bounds");
  switch (kind) {
    case Kind::boolean: return give(parse_all<bool>(a, rows, kind, "b", text::parse_bool));
    case Kind::smallint: return give(parse_integers<int16_t>(a, rows, kind));
    case Kind::integer: return give(parse_integers<int32_t>(a, rows, kind));
    case Kind::bigint: return give(parse_integers<int64_t>(a, rows, kind));
    case Kind::real: return give(parse_all<float>(a, rows, kind, "f", text::parse_float<float>));
    case Kind::double_precision: return give(parse_all<double>(a, rows, kind, "g", text::parse_float<double>));
    case Kind::date: return give(parse_all<int32_t>(a, rows, kind, "tdD", text::parse_date));
    case Kind::timestamp:
    case Kind::timestamptz:
      return give(parse_all<int64_t>(a, rows, kind, kFormats[code], [=](std::string_view text, int64_t& out) {
        return text::parse_timestamp(text, kind == Kind::timestamptz, out);
      }));
    case Kind::numeric:
      return give(parse_all<Decimal>(a, rows, kind, decimal_format(scale).c_str(), [=](std::string_view text, Decimal& out) {
        const Status status = text::parse_decimal(text, scale, out);
        return status == Status::ok && !text::fits(out, precision) ? Status::range : status;
      }));
    case Kind::jsonb: return give(parse_json(a, rows));
    case Kind::bytea: return give(parse_byteas(a, rows));
    case Kind::interval: return give(parse_all<Interval>(a, rows, kind, "tin", text::parse_interval));
    case Kind::time: return give(parse_all<int64_t>(a, rows, kind, "tDu", text::parse_time));
    case Kind::uuid: return give(parse_all<text::Uuid>(a, rows, kind, "w:16", text::parse_uuid));
    case Kind::text:
    case Kind::character:
    case Kind::varying: break;
  }
  throw std::invalid_argument("text is not parsed");
}

// format(i, char* to) -> end, at most 80 characters.
template <class F>
Column format_all(const Arg& a, int64_t rows, F&& format) {
  Unlocked unlocked(rows);
  Builder out("U");
  out.reserve(rows, rows * 12);
  char shown[80];
  for (int64_t i = 0; i < rows; ++i) {
    if (a.valid(i))
      out.append_bytes({shown, static_cast<size_t>(format(i, shown) - shown)});
    else
      out.append_null();
  }
  return out.finish();
}

Column format_bytea(const Arg& a, int64_t rows) {
  Unlocked unlocked(rows);
  Builder out("U");
  std::string made;
  for (int64_t i = 0; i < rows; ++i) {
    if (!a.valid(i)) {
      out.append_null();
      continue;
    }
    made = "\\x";
    for (const char c : a.bytes(i)) {
      made += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
      made += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
    out.append_bytes(made);
  }
  return out.finish();
}

// short_boolean: t and f, as concat prints them, instead of true and false.
nb::tuple format(nb::handle values, int64_t rows, int code, bool trims, bool short_boolean) {
  const Kind kind = to_kind(code);
  const Arg a = read_arg(values, rows, kind == Kind::boolean ? -2 : kind == Kind::bytea ? -1 : 0);
  auto give_text = [](Column column) { return arrow::write_column(column); };
  const int width = a.column.format.width;
  auto need = [&](int expected) {
    if (width != expected) throw std::invalid_argument(std::string("not a column of ") + kNames[code]);
  };
  switch (kind) {
    case Kind::boolean:
      return give_text(format_all(a, rows, [&](int64_t i, char* to) {
        const std::string_view word = a.boolean(i) ? (short_boolean ? "t" : "true") : (short_boolean ? "f" : "false");
        return static_cast<char*>(std::memcpy(to, word.data(), word.size())) + word.size();
      }));
    case Kind::smallint:
      need(2);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_integer(a.get<int16_t>(i), to); }));
    case Kind::integer:
      need(4);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_integer(a.get<int32_t>(i), to); }));
    case Kind::bigint:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_integer(a.get<int64_t>(i), to); }));
    case Kind::real:
      need(4);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_float(a.get<float>(i), to); }));
    case Kind::double_precision:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_float(a.get<double>(i), to); }));
    case Kind::numeric: {
      need(16);
      const int scale = a.column.format.scale();
      return give_text(format_all(
          a, rows, [&](int64_t i, char* to) { return text::format_decimal(a.get<Decimal>(i), scale, trims, to); }));
    }
    case Kind::date:
      need(4);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_date(a.get<int32_t>(i), to); }));
    case Kind::timestamp:
    case Kind::timestamptz:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) {
        return text::format_timestamp(a.get<int64_t>(i), ' ', kind == Kind::timestamptz ? "+00" : "", to);
      }));
    case Kind::interval:
      need(16);
      return give_text(
          format_all(a, rows, [&](int64_t i, char* to) { return text::format_interval(a.get<Interval>(i), to); }));
    case Kind::time:
      need(8);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_time(a.get<int64_t>(i), to); }));
    case Kind::uuid:
      need(16);
      return give_text(format_all(a, rows, [&](int64_t i, char* to) { return text::format_uuid(a.get<text::Uuid>(i), to); }));
    case Kind::bytea: return give_text(format_bytea(a, rows));
    default: throw std::invalid_argument("text and jsonb are text already");
  }
}

}  // namespace

void add_text_casts(nb::module_& m) {
  m.def("parse", &parse);
  m.def("format", &format);
}

}  // namespace headwater::scalars
