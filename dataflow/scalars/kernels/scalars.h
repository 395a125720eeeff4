// What all scalar kernels share: arguments that may be constants, outputs by row, and the column of row errors.
//
// A scalar kernel takes whole columns and gives (values, errors). An argument of length 1 stands for every row: constants
// are never spread out. NULL in, NULL out, unless a kernel says otherwise. `errors` is None when no row failed, else text:
// PostgreSQL's message where a row failed and NULL elsewhere; the value of a failed row is NULL.
#pragma once

#include <nanobind/stl/string.h>

#include <optional>

#include "dataflow/kernels/arrow.h"
#include "dataflow/scalars/kernels/text_number.h"

namespace headwater::scalars {

namespace nb = nanobind;
using arrow::Builder;
using arrow::Buffer;
using arrow::Column;
using text::Decimal;

// One argument: a column of `rows` rows, or one value that stands for all of them.
struct Arg {
  Column column;
  int64_t step = 1;  // 0 when one value stands for every row

  bool valid(int64_t i) const { return column.valid(i * step); }
  bool boolean(int64_t i) const { return column.boolean(i * step); }
  std::string_view bytes(int64_t i) const { return column.bytes(i * step); }
  bool never_null() const { return column.validity == nullptr; }

  template <class T>
  T get(int64_t i) const {
    if constexpr (std::is_same_v<T, std::string_view>) {
      return bytes(i);
    } else if constexpr (std::is_same_v<T, bool>) {
      return boolean(i);
    } else {
      return column.value<T>(i * step);
    }
  }
};

// Needs the GIL. std::invalid_argument when the length is neither `rows` nor 1, or the values are not of width `width`
// (0: any fixed width, -1: bytes, -2: boolean).
inline Arg read_arg(nb::handle object, int64_t rows, int32_t width) {
  Arg arg{arrow::read_column(object)};
  if (arg.column.length == 1) {
    arg.step = 0;
  } else if (arg.column.length != rows) {
    throw std::invalid_argument("an argument has " + std::to_string(arg.column.length) + " rows instead of " +
                                std::to_string(rows));
  }
  const auto layout = arg.column.format.layout;
  const bool fits = width == -2   ? layout == arrow::Layout::boolean
                    : width == -1 ? layout == arrow::Layout::bytes
                                  : layout == arrow::Layout::fixed && (width == 0 || width == arg.column.format.width);
  if (!fits) throw std::invalid_argument("an argument of arrow format '" + arg.column.format.text + "' does not fit");
  return arg;
}

template <class T>
constexpr int32_t width_of() {
  if constexpr (std::is_same_v<T, std::string_view>) return -1;
  if constexpr (std::is_same_v<T, bool>) return -2;
  return static_cast<int32_t>(sizeof(T));
}

// The row errors of one call; costs nothing until the first one.
class Errors {
 public:
  void add(int64_t row, std::string_view message) {
    if (!builder_) builder_.emplace("U");
    fill(row);
    builder_->append_bytes(message);
  }
  std::optional<Column> finish(int64_t rows) {
    if (!builder_) return std::nullopt;
    fill(rows);
    return builder_->finish();
  }

 private:
  void fill(int64_t row) {
    while (builder_->length() < row) builder_->append_null();
  }
  std::optional<Builder> builder_;
};

// A fixed-width or boolean output column, written by row number in any order; rows start out as not NULL and zero.
template <class T>
class Output {
 public:
  explicit Output(int64_t rows) : rows_(rows) {
    const int64_t bytes = std::is_same_v<T, bool> ? (rows + 7) / 8 : rows * static_cast<int64_t>(sizeof(T));
    if (bytes > 0) std::memset(data_.extend(bytes), 0, static_cast<size_t>(bytes));
  }
  void set(int64_t i, T value) {
    if constexpr (std::is_same_v<T, bool>) {
      if (value) data_.data()[i >> 3] = static_cast<uint8_t>(data_.data()[i >> 3] | (1u << (i & 7)));
    } else {
      data_.as<T>()[i] = value;
    }
  }
  void set_null(int64_t i) {
    if (!nulls_ && rows_ > 0) std::memset(validity_.extend((rows_ + 7) / 8), 0xff, static_cast<size_t>((rows_ + 7) / 8));
    uint8_t& byte = validity_.data()[i >> 3];
    nulls_ += (byte >> (i & 7)) & 1;
    byte = static_cast<uint8_t>(byte & ~(1u << (i & 7)));
  }
  Column finish(const char* format) {
    struct Memory {
      Buffer validity, data;
    };
    auto memory = std::make_shared<Memory>();
    data_.reserve(1);
    memory->validity = std::move(validity_);
    memory->data = std::move(data_);
    Column column;
    column.format = arrow::Format::parse(format);
    column.length = rows_;
    column.nulls = nulls_;
    column.validity = nulls_ ? memory->validity.data() : nullptr;
    column.data = memory->data.data();
    column.owner = std::move(memory);
    return column;
  }

 private:
  int64_t rows_;
  int64_t nulls_ = 0;
  Buffer validity_, data_;
};

struct Outcome {
  Column values;
  std::optional<Column> errors;
};

// (values, errors) as two pairs of capsules, the second None when no row failed. Needs the GIL.
inline nb::tuple give(const Outcome& outcome) {
  nb::object errors = outcome.errors ? nb::object(arrow::write_column(*outcome.errors)) : nb::none();
  return nb::make_tuple(arrow::write_column(outcome.values), errors);
}

// Lets other threads run during a long loop; a short one is over before a hand-over of the GIL would pay. Nothing of
// Python's may be touched while it lives: capsules are made after it.
class Unlocked {
 public:
  explicit Unlocked(int64_t rows) : state_(rows >= 8192 ? PyEval_SaveThread() : nullptr) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() {
    if (state_) PyEval_RestoreThread(state_);
  }

 private:
  PyThreadState* state_;
};

// out[i] = f(a[i]); f returns nullptr, or a message that lives as long as the program.
template <class Out, class A, class F>
Outcome unary(const Arg& a, int64_t rows, const char* format, F&& f) {
  Unlocked unlocked(rows);
  Output<Out> out(rows);
  Errors errors;
  const bool all = a.never_null();
  for (int64_t i = 0; i < rows; ++i) {
    if (!all && !a.valid(i)) {
      out.set_null(i);
      continue;
    }
    Out value{};
    if (const char* message = f(a.get<A>(i), value)) {
      errors.add(i, message);
      out.set_null(i);
    } else {
      out.set(i, value);
    }
  }
  return {out.finish(format), errors.finish(rows)};
}

// out[i] = f(a[i], b[i]); as above.
template <class Out, class A, class B, class F>
Outcome binary(const Arg& a, const Arg& b, int64_t rows, const char* format, F&& f) {
  Unlocked unlocked(rows);
  Output<Out> out(rows);
  Errors errors;
  const bool all = a.never_null() && b.never_null();
  for (int64_t i = 0; i < rows; ++i) {
    if (!all && !(a.valid(i) && b.valid(i))) {
      out.set_null(i);
      continue;
    }
    Out value{};
    if (const char* message = f(a.get<A>(i), b.get<B>(i), value)) {
      errors.add(i, message);
      out.set_null(i);
    } else {
      out.set(i, value);
    }
  }
  return {out.finish(format), errors.finish(rows)};
}

// "d:38,scale" for the lifetime of the call.
inline std::string decimal_format(int scale) { return "d:38," + std::to_string(scale); }

// The parts of the module, one for each family.
void add_comparison(nb::module_& m);
void add_arithmetic(nb::module_& m);
void add_casts(nb::module_& m);
void add_text_casts(nb::module_& m);
void add_text(nb::module_& m);
void add_time(nb::module_& m);
void add_json(nb::module_& m);
void add_intervals(nb::module_& m);
void add_math(nb::module_& m);

}  // namespace headwater::scalars
