// What PostgreSQL's literals of arrays have in common with those of lists and maps: blanks, NULL, and which values stand in quotes.
#pragma once

#include "dataflow/scalars/kernels/text_number.h"

#include <string>
#include <string_view>

namespace headwater::arrays {

inline bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline bool is_null(std::string_view text) {
  return text.size() == 4 && text::lower(text[0]) == 'n' && text::lower(text[1]) == 'u' && text::lower(text[2]) == 'l' &&
         text::lower(text[3]) == 'l';
}

// Append a value, in quotes where it would be read as something else; `special`: what else has to be quoted.
inline void put_quoted(std::string& out, std::string_view text, std::string_view special = {}) {
  bool quotes = text.empty() || is_null(text);
  for (const char c : text) {
    quotes = quotes || blank(c) || c == '"' || c == '\\' || c == '{' || c == '}' || c == ',';
    quotes = quotes || special.find(c) != special.npos;
  }
  if (!quotes) {
    out.append(text);
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace headwater::arrays
