#include "serve/kernels/pg_lookups.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "dataflow/reads/find.h"
#include "serve/kernels/pg_fields.h"

namespace nb = nanobind;

namespace headwater::pg {

namespace {

using rows::Found;
using rows::Finder;

// How a key is sent. The numbers are the contract with serve/pg/quick.py.
enum class Sent : int { int64_text = 0, int64_binary, int32_text, int32_binary, text };

constexpr int64_t MOST_ROWS = 256;  // that are looked at for one key here, where everybody waits
constexpr size_t MOST_BYTES = 8 << 20;  // of all answers: more are for who sends them one by one, as the client takes them

inline int32_t get32(const char* at) {
  uint32_t value;
  std::memcpy(&value, at, 4);
  if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap32(value);
  return static_cast<int32_t>(value);
}

// A key's bytes as an index has them, held by whoever asked.
struct Key {
  char number[8];
  std::string_view bytes;

  template <class T>
  bool whole(T value) {
    std::memcpy(number, &value, sizeof(T));
    bytes = {number, sizeof(T)};
    return true;
  }

  template <class T>
  bool digits(std::string_view sent, size_t most) {
    if (sent.empty() || sent.size() > most) return false;
    T value = 0;
    for (char c : sent) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + (c - '0');
    }
    return whole(value);
  }

  template <class T>
  bool swapped(std::string_view sent) {
    if (sent.size() != sizeof(T)) return false;
    for (size_t i = 0; i < sizeof(T); ++i) number[i] = sent[std::endian::native == std::endian::little ? sizeof(T) - 1 - i : i];
    bytes = {number, sizeof(T)};
    return true;
  }

  // Whether it is a usual value: others are for who can say what is wrong with them.
  bool read(Sent how, std::string_view sent) {
    switch (how) {
      case Sent::int64_text: return digits<int64_t>(sent, 18);
      case Sent::int64_binary: return swapped<int64_t>(sent);
      case Sent::int32_text: return digits<int32_t>(sent, 9);
      case Sent::int32_binary: return swapped<int32_t>(sent);
      case Sent::text:
        bytes = sent;
        return std::all_of(sent.begin(), sent.end(), [](unsigned char c) { return c > 0 && c < 0x80; });
    }
    return false;
  }
};

std::string_view view(nb::bytes bytes) { return {bytes.c_str(), bytes.size()}; }

class Lookups {
 public:
  // tail, rest: what follows the value in Bind, and what follows Bind. before: what the answer begins with.
  Lookups(nb::bytes head, nb::bytes tail, nb::bytes rest, nb::bytes before, int sent, std::vector<int64_t> columns,
          const std::vector<std::pair<int, bool>>& forms)
      : head_(view(head)), tail_(std::string(view(tail)) + std::string(view(rest))), before_(view(before)), columns_(std::move(columns)),
        bind_tail_(tail.size()), sent_(static_cast<Sent>(sent)) {
    if (sent < 0 || sent > static_cast<int>(Sent::text)) throw std::invalid_argument("no such way to send a key");
    if (columns_.size() != forms.size() || forms.size() > 32767) throw std::invalid_argument("give one form for each column");
    for (auto form : forms) styles_.push_back(make_style(form));
  }

  nb::object answer(nb::bytes data, const Finder& finder) {
    check(finder.shape());
    std::optional<std::string> made;
    if (finder.stored()) {
      nb::gil_scoped_release unlocked;
      made = answered(view(data), finder);
    } else {
      made = answered(view(data), finder);
    }
    return made ? nb::object(nb::bytes(made->data(), made->size())) : nb::none();
  }

 private:
  void check(const rows::Shape& shape) {
    if (shape.key.size() != 1) throw std::invalid_argument("the index is not by one column");
    for (size_t i = 0; i < columns_.size(); ++i) {
      auto column = static_cast<size_t>(columns_[i]);
      if (columns_[i] < 0 || column >= shape.formats.size() || !fits(styles_[i].form, shape.formats[column]))
        throw std::invalid_argument("column " + std::to_string(columns_[i]) + " does not fit its form");
      if (styles_[i].form == Form::numeric || styles_[i].form == Form::text_numeric)
        styles_[i].scale = shape.formats[column].scale();
    }
  }

  std::optional<std::string> answered(std::string_view data, const Finder& finder) const {
    std::string out;
    Found found;
    Key key;
    std::vector<std::string_view> keys(1);
    while (!data.empty()) {
      std::optional<std::string_view> sent = value(data);
      if (!sent || !key.read(sent_, *sent)) return std::nullopt;
      keys[0] = key.bytes;
      if (!finder.find(keys, MOST_ROWS, found) || !found.ones()) return std::nullopt;
      out += before_;
      for (size_t row = 0; row < found.refs.size(); ++row) {
        if (out.size() > MOST_BYTES) return std::nullopt;
        put_row(out, found, row);
      }
      std::string tag = "SELECT " + std::to_string(found.size());
      out += 'C';
      put_number(out, static_cast<int32_t>(tag.size() + 5));
      out.append(tag.c_str(), tag.size() + 1);
      out.append("Z\0\0\0\5I", 6);
    }
    return out;
  }

  // The value of the lookup that the data begin with, which is cut off; nothing when they begin with something else.
  std::optional<std::string_view> value(std::string_view& data) const {
    size_t begin = 5 + head_.size();
    if (data.size() < begin + 4 || data[0] != 'B' || data.substr(5, head_.size()) != head_) return std::nullopt;
    int32_t size = get32(data.data() + begin), length = get32(data.data() + 1);
    if (size < 0 || length < 0 || static_cast<size_t>(size) > data.size() - begin - 4) return std::nullopt;
    size_t end = begin + 4 + static_cast<size_t>(size);
    if (static_cast<size_t>(length) != end + bind_tail_ - 1 || data.substr(end, tail_.size()) != tail_) return std::nullopt;
    std::string_view sent = data.substr(begin + 4, static_cast<size_t>(size));
    data.remove_prefix(end + tail_.size());
    return sent;
  }

  static void put_number(std::string& out, int32_t value) {
    char bytes[4];
    put(bytes, value);
    out.append(bytes, 4);
  }

  void put_row(std::string& out, const Found& found, size_t row) const {
    size_t most = 7, at = out.size();
    const int64_t place = found.refs[row].row;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const headwater::arrow::Column& column = found.column(row, columns_[i]);
      most += most_bytes(styles_[i].form);
      if (variable(styles_[i].form) && column.valid(place)) most += text_bytes(styles_[i].form, column.bytes(place).size());
    }
    out.resize(at + most);
    char *start = out.data() + at, *end = put(start + 5, static_cast<int16_t>(columns_.size()));
    *start = 'D';
    for (size_t i = 0; i < columns_.size(); ++i) end = put_field(end, styles_[i], found.column(row, columns_[i]), place);
    close_message(start, end);
    out.resize(at + static_cast<size_t>(end - start));
  }

  std::string head_, tail_, before_;
  std::vector<int64_t> columns_;
  std::vector<Style> styles_;
  size_t bind_tail_;
  Sent sent_;
};

}  // namespace

void bind_lookups(nb::module_& m) {
  nb::class_<Lookups>(m, "Lookups")
      .def(nb::init<nb::bytes, nb::bytes, nb::bytes, nb::bytes, int, std::vector<int64_t>, const std::vector<std::pair<int, bool>>&>(),
           nb::arg("head"), nb::arg("tail"), nb::arg("rest"), nb::arg("before"), nb::arg("sent"), nb::arg("columns"), nb::arg("forms"))
      .def("answer", &Lookups::answer, nb::arg("data"), nb::arg("finder"));
}

}  // namespace headwater::pg
