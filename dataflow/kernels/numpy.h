// What the functions of the module `_rows` share: numpy arrays in and out, and loops without the GIL.
#pragma once

#include "dataflow/kernels/arrow.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>

namespace headwater::rows {

namespace nb = nanobind;

// Lets other Python threads run during a long loop; a short one is over before a hand-over of the lock would pay: to get it back may
// take as long as they want it.
struct Unlocked : std::optional<nb::gil_scoped_release> {
  explicit Unlocked(int64_t rows) { if (rows > 1024) emplace(); }
};
template <class Loop>
auto unlocked(int64_t rows, Loop&& loop) {
  Unlocked released(rows);
  return loop();
}

using Int64s = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Numpy = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

// A numpy array that owns the vector.
template <class T, class Memory>
Numpy<T> to_numpy(std::vector<T, Memory>&& values) {
  auto* held = new std::vector<T, Memory>(std::move(values));
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T, Memory>*>(p); });
  return Numpy<T>(held->data(), {held->size()}, owner);
}

inline int64_t size(const Int64s& numbers) { return static_cast<int64_t>(numbers.shape(0)); }

inline void same_rows(const char* what, int64_t rows, int64_t expected) {
  if (rows != expected)
    throw std::invalid_argument(std::string(what) + " has " + std::to_string(rows) + " rows, expected " +
                                std::to_string(expected));
}

}  // namespace headwater::rows
