// Arrow columns in and out of the kernels, by the Arrow C data interface.
//
// In: `read_column` takes anything with `__arrow_c_array__` and gives a `Column`, a view that keeps its memory alive.
// Out: `Builder` makes a column in memory of its own; `write_column` turns any Column into a pair of capsules that
// `pyarrow.Array._import_from_c_capsule(*pair)` accepts without copying.
#pragma once

#include <nanobind/nanobind.h>

#include "dataflow/kernels/builder.h"

namespace headwater::arrow {

namespace nb = nanobind;

namespace detail {

struct Imported {
  ArrowArray array{};
  Imported() = default;
  Imported(const Imported&) = delete;
  Imported& operator=(const Imported&) = delete;
  ~Imported() {
    if (array.release) array.release(&array);
  }
};

struct ExportedArray {
  Column column;
  const void* buffers[3];
};

inline void release_array(ArrowArray* array) {
  delete static_cast<ExportedArray*>(array->private_data);
  array->release = nullptr;
}

inline void release_schema(ArrowSchema* schema) {
  delete static_cast<std::string*>(schema->private_data);
  schema->release = nullptr;
}

template <class T>
void drop_capsule(PyObject* capsule, const char* name) {
  auto* held = static_cast<T*>(PyCapsule_GetPointer(capsule, name));
  if (!held) {
    PyErr_WriteUnraisable(capsule);
    return;
  }
  if (held->release) held->release(held);
  delete held;
}

inline void drop_array(PyObject* capsule) { drop_capsule<ArrowArray>(capsule, "arrow_array"); }
inline void drop_schema(PyObject* capsule) { drop_capsule<ArrowSchema>(capsule, "arrow_schema"); }

// Zero bytes for the buffers of empty columns: consumers may want a pointer even where nothing is read.
alignas(64) inline const uint8_t nothing[64] = {};

}  // namespace detail

// Take over one array from its capsules' structures; `array` is moved from.
inline Column read_column(const ArrowSchema& schema, ArrowArray& array) {
  if (schema.dictionary || schema.n_children || array.dictionary || array.n_children)
    throw std::invalid_argument("nested and dictionary arrays are not columns");
  Column column;
  column.format = Format::parse(schema.format);
  int64_t buffers = column.format.layout == Layout::bytes ? 3 : 2;
  if (array.length < 0 || array.offset < 0 || array.n_buffers != buffers ||
      array.length > std::numeric_limits<int64_t>::max() / 64 - array.offset)
    throw std::invalid_argument("arrow array of type '" + column.format.text + "' is malformed");
  auto held = std::make_shared<detail::Imported>();
  held->array = array;
  array.release = nullptr;
  const ArrowArray& a = held->array;
  column.length = a.length;
  column.offset = a.offset;
  column.nulls = a.null_count;
  if (a.null_count != 0) column.validity = static_cast<const uint8_t*>(a.buffers[0]);
  if (!column.validity) column.nulls = 0;
  if (buffers == 3) column.offsets = static_cast<const int64_t*>(a.buffers[1]);
  column.data = static_cast<const uint8_t*>(a.buffers[buffers - 1]);
  if (a.length == 0) {  // buffers of empty arrays may be missing
    column.offset = 0;
    column.nulls = 0;
    column.validity = nullptr;
    column.data = detail::nothing;
    column.offsets = reinterpret_cast<const int64_t*>(detail::nothing);
  } else if (buffers == 3) {
    if (!column.offsets) throw std::invalid_argument("arrow array without offsets");
    int64_t first = column.offsets[a.offset], last = column.offsets[a.offset + a.length];
    if (first < 0 || last < first || (!column.data && last > first))
      throw std::invalid_argument("arrow array with broken offsets");
    if (!column.data) column.data = detail::nothing;
  } else if (!column.data) {
    throw std::invalid_argument("arrow array without values");
  }
  column.owner = std::move(held);
  return column;
}

// Read an object that has `__arrow_c_array__` (every pyarrow.Array). Needs the GIL.
inline Column read_column(nb::handle object) {
  nb::object made = object.attr("__arrow_c_array__")();
  PyObject* pair = made.ptr();
  if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) throw nb::type_error("__arrow_c_array__ gave no pair");
  auto* schema = static_cast<ArrowSchema*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 0), "arrow_schema"));
  if (!schema) nb::raise_python_error();
  auto* array = static_cast<ArrowArray*>(PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array"));
  if (!array) nb::raise_python_error();
  if (!schema->release || !array->release) throw std::invalid_argument("arrow array was released before");
  return read_column(*schema, *array);
}

// Read a sequence of columns, which must be equally long. Needs the GIL.
inline std::vector<Column> read_columns(nb::handle sequence) {
  std::vector<Column> columns;
  for (nb::handle item : sequence) {
    columns.push_back(read_column(item));
    if (columns.back().length != columns.front().length)
      throw std::invalid_argument("columns have " + std::to_string(columns.front().length) + " and " +
                                  std::to_string(columns.back().length) + " rows");
  }
  return columns;
}

// Give a column to Python as (schema capsule, array capsule), without copying. Needs the GIL.
inline nb::tuple write_column(const Column& column) {
  auto exported = std::make_unique<detail::ExportedArray>();
  exported->column = column;
  int64_t buffers = column.format.layout == Layout::bytes ? 3 : 2;
  exported->buffers[0] = column.validity;
  exported->buffers[1] = buffers == 3 ? static_cast<const void*>(column.offsets) : column.data;
  exported->buffers[2] = buffers == 3 ? column.data : nullptr;

  auto text = std::make_unique<std::string>(column.format.text);
  auto* schema = new ArrowSchema{text->c_str(), "", nullptr, ARROW_FLAG_NULLABLE, 0, nullptr, nullptr,
                                 detail::release_schema, nullptr};
  schema->private_data = text.release();
  PyObject* schema_capsule = PyCapsule_New(schema, "arrow_schema", detail::drop_schema);
  if (!schema_capsule) {
    schema->release(schema);
    delete schema;
    nb::raise_python_error();
  }
  nb::object first = nb::steal(schema_capsule);

  auto* array = new ArrowArray{column.length, column.nulls,       column.offset, buffers, 0, exported->buffers,
                               nullptr,       nullptr,            detail::release_array, nullptr};
  array->private_data = exported.release();
  PyObject* array_capsule = PyCapsule_New(array, "arrow_array", detail::drop_array);
  if (!array_capsule) {
    array->release(array);
    delete array;
    nb::raise_python_error();
  }
  return nb::make_tuple(first, nb::steal(array_capsule));
}

}  // namespace headwater::arrow
