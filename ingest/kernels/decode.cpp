// The decoding kernel as Python sees it: checks of what comes in, and the loops without the GIL.
// Always true: no state is kept between calls, so one Spec may serve several threads.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "ingest/kernels/decode_batch.h"

namespace nb = nanobind;

namespace headwater::decode {

arrow::Column read_binary(nb::handle values) {
    arrow::Column column = arrow::read_column(values);
    if (column.format.layout != arrow::Layout::bytes) throw nb::type_error("values are large_binary");
    return column;
}

template <Form FORM>
nb::tuple decode(const Spec& spec, nb::handle values, const AvroSchemas& schemas = {}) {
    const arrow::Column column = read_binary(values);
    Batch batch(spec, schemas, column.length);
    {
        nb::gil_scoped_release release;
        batch.run<FORM>(column);
    }
    return batch.result();
}

// A plan may only be used with specs that have the columns it names.
void check_plan(const AvroPlan& plan, const Spec& spec) {
    const int count = static_cast<int>(spec.fields.size());
    if (plan.bare && count != 1) throw nb::value_error("a bare value is one column");
    for (const int column : plan.columns)
        if (column >= count) throw nb::value_error("the plan is for other columns");
}

nb::tuple decode_avro(const Spec& spec, nb::handle values, const nb::dict& plans) {
    AvroSchemas schemas;
    for (const auto& [id, plan] : plans) {
        AvroSchema schema{nullptr, {}};
        if (nb::isinstance<AvroPlan>(plan)) {
            schema.plan = nb::cast<const AvroPlan*>(plan);
            check_plan(*schema.plan, spec);
        } else {
            schema.error = nb::cast<std::string>(plan);
        }
        schemas.emplace(nb::cast<uint32_t>(id), std::move(schema));
    }
    return decode<Form::AVRO>(spec, values, schemas);
}

// The distinct schema ids of a column of messages, ascending.
std::vector<uint32_t> schema_ids(nb::handle values) {
    const arrow::Column column = read_binary(values);
    std::vector<uint32_t> ids;
    uint32_t id = 0;
    for (int64_t row = 0; row < column.length; ++row) {
        if (column.valid(row) && schema_id(column.bytes(row), id) && (ids.empty() || ids.back() != id)) ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

using NodeTuple = std::tuple<int, int, int64_t, int, std::vector<std::string>, std::vector<int>>;

AvroPlan* make_plan(const std::vector<NodeTuple>& nodes, bool bare, std::vector<int> columns) {
    auto plan = std::make_unique<AvroPlan>();
    for (const auto& [type, logical, size, scale, names, children] : nodes) {
        const int index = static_cast<int>(plan->nodes.size());
        if (type < 0 || type >= AVRO_TYPES || logical < 0 || logical >= LOGICALS) throw nb::value_error("no such avro type");
        if (size < 0 || scale < 0 || scale > 38) throw nb::value_error("a decimal's scale is 0 to 38");
        for (const int child : children)
            if (child < 0 || child >= index) throw nb::value_error("children come before their parent");
        const auto kind = static_cast<AvroType>(type);
        const bool single = kind == AvroType::ARRAY || kind == AvroType::MAP;
        if ((single && children.size() != 1) || (kind == AvroType::RECORD && names.size() != children.size())) {
            throw nb::value_error("an avro type lacks parts");
        }
        plan->nodes.push_back({kind, static_cast<Logical>(logical), size, scale, names, children});
    }
    if (plan->nodes.empty()) throw nb::value_error("a plan without types");
    plan->root = static_cast<int>(plan->nodes.size()) - 1;
    const AvroNode& root = plan->nodes.back();
    if (!bare && (root.type != AvroType::RECORD || columns.size() != root.children.size())) {
        throw nb::value_error("the root is no record of these fields");
    }
    for (const int column : columns)
        if (column < UNKNOWN) throw nb::value_error("no such column");
    plan->bare = bare;
    plan->columns = std::move(columns);
    return plan.release();
}

Spec* make_spec(const std::vector<nb::tuple>& columns, std::optional<std::string> null_reason, bool scalar) {
    std::vector<Field> fields;
    for (const nb::tuple& column : columns) {
        const int kind = nb::cast<int>(column[1]), precision = nb::cast<int>(column[2]), scale = nb::cast<int>(column[3]);
        if (kind < 0 || kind >= KINDS) throw nb::value_error("no such kind of column");
        if (precision < 0 || precision > 38 || scale < 0 || scale > 38) throw nb::value_error("a numeric has at most 38 digits");
        fields.push_back({nb::cast<std::string>(column[0]), static_cast<Kind>(kind), precision, scale,
                          nb::cast<bool>(column[4]), nb::cast<std::string>(column[5])});
    }
    if (scalar && fields.size() != 1) throw nb::value_error("only a single column can stand without an object");
    return new Spec(std::move(fields), std::move(null_reason), scalar);
}

}  // namespace headwater::decode

NB_MODULE(_decode, m) {
    using headwater::decode::Spec;
    m.attr("MAXIMUM_DEPTH") = headwater::decode::MAXIMUM_DEPTH;
    using headwater::decode::AvroPlan;
    using headwater::decode::Form;
    nb::class_<AvroPlan>(m, "AvroPlan")
        .def(nb::new_(&headwater::decode::make_plan), nb::arg("nodes"), nb::arg("bare"), nb::arg("columns"));
    nb::class_<Spec>(m, "Spec")
        .def(nb::new_(&headwater::decode::make_spec), nb::arg("columns"), nb::arg("null_reason").none(), nb::arg("scalar"))
        .def("json", [](const Spec& spec, nb::handle values) {
            return headwater::decode::decode<Form::JSON>(spec, values);
        }, nb::arg("values"))
        .def("text", [](const Spec& spec, nb::handle values) {
            if (spec.fields.size() != 1) throw nb::value_error("text holds one column");
            return headwater::decode::decode<Form::TEXT>(spec, values);
        }, nb::arg("values"))
        .def("avro", &headwater::decode::decode_avro, nb::arg("values"), nb::arg("plans"));
    m.def("schema_ids", &headwater::decode::schema_ids, nb::arg("values"));
}
