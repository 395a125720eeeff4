// Reads by key, from the bytes of the messages that ask to the bytes of those that answer.
//
//   B length  head  value-length value  tail    [D] E S            all but the value is as it was the first time
//
// Always true: every length is looked at before what it promises; what is not exactly as learned, and what one key's rows are too
// many of, is left to others. O(bytes + rows). Deliberately unknown: which view is read, sockets.
#pragma once

#include <nanobind/nanobind.h>

namespace headwater::pg {

void bind_lookups(nanobind::module_& m);

}  // namespace headwater::pg
