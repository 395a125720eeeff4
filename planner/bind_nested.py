"""Lists, maps and records: LIST[...], MAP[...], ROW(...), both forms of a subquery, subscripts of lists, and fields.

Always true: what is bound here is calls of the registry's `list`, `list_subscript`, `list_slice`, `map`, `row` and `record_field`.
Deliberately unknown: how the values are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BOOLEAN, INTEGER, TEXT, ColumnType, Kind
from planner import bind_table
from planner.literals import Untyped
from planner.scalar import Call, Literal, Scalar

if TYPE_CHECKING:
    from planner.bind import Binder, Bound


def list_of(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `LIST[a, b]`; in `LIST[[a, b], [c]]` the inner brackets are lists too."""
    binder.text.only(node, "expressions")
    if not node.expressions:
        raise binder.text.error(node, "cannot determine type of empty list", "say which it is: LIST[]::integer list")
    return binder.call(node, "list", [_listed(binder, one) for one in node.expressions])


def _listed(binder: Binder, node: exp.Expr) -> Bound:
    # sqlglot has one node for `[1]` and `ARRAY[1]`, which begins at its bracket: the text tells them apart.
    if isinstance(node, exp.Array) and not binder.text.follows(node, "ARRAY"):
        return list_of(binder, exp.List(expressions=node.expressions))
    return binder.bind(node)


def map_of(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `MAP[k => v, ...]`."""
    pairs = node.this.expressions
    if not pairs:
        raise binder.text.error(
            node, "cannot determine type of empty map", "say which it is: MAP[]::map[text=>integer]"
        )
    keys = [_key(binder, pair.this) for pair in pairs]
    nodes = [pair.expression for pair in pairs]
    values, _ = binder.alike(nodes, [binder.bind(one) for one in nodes], "MAP")
    return binder.call(node, "map", [one for pair in zip(keys, values, strict=True) for one in pair])


def _key(binder: Binder, node: exp.Expr) -> Scalar:
    key = binder.typed(node)
    if key.type.kind not in (Kind.TEXT, Kind.VARCHAR, Kind.CHAR):
        raise binder.text.error(node, f"map keys must be text, not {key.type}", "cast the key to text")
    return binder.cast(key, TEXT, node)


def row_of(binder: Binder, node: exp.Expr, values: Sequence[exp.Expr]) -> Bound:
    """Bind `ROW(a, b)` or `(a, b)` where it is a value."""
    if not values:
        raise binder.text.unsupported(node, "a record without fields", "give it one: ROW(1)")
    return binder.call(node, "row", [binder.bind(one) for one in values])


def empty(node: exp.Expr, target: ColumnType) -> Literal | None:
    """`LIST[]` or `MAP[]` where a cast says of which type; None for anything else."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.List) and not node.expressions and target.kind is Kind.LIST:
        return Literal("{}", target)
    if isinstance(node, exp.ToMap) and not node.this.expressions and target.kind is Kind.MAP:
        return Literal("{}", target)
    return None


def subscripts(binder: Binder, node: exp.Expr, found: Scalar, places: Sequence[exp.Expr]) -> Bound:
    """Bind `l[i]`, `l[i:j]` and what follows: each subscript is of what those before it gave."""
    from planner.bind_array import FIRST, LAST, place_of

    for place in places:
        if found.type.kind is not Kind.LIST:
            message = f"cannot subscript type {found.type} because it does not support subscripting"
            raise binder.text.error(node, message, "write no more subscripts than the list has layers")
        if isinstance(place, exp.Slice):
            binder.text.only(place, "this", "expression")
            low, high = place.args.get("this"), place.args.get("expression")
            bounds: list[Bound] = [
                FIRST if low is None else place_of(binder, low),
                LAST if high is None else place_of(binder, high),
            ]
            found = binder.call(node, "list_slice", [found, *bounds])
        else:
            found = binder.call(node, "list_subscript", [found, place_of(binder, place)])
    return found


def dot(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `(r).f1`."""
    binder.text.only(node, "this", "expression")
    name = node.args["expression"]
    if isinstance(name, exp.Star):
        raise binder.text.unsupported(node, "* inside an expression", "write it in the select list")
    if (columns := bind_table.columns_of(binder, node.this)) is not None:
        if name.name not in columns:
            hint = f"its columns are {', '.join(columns)}"
            raise binder.text.error(node, f'could not identify column "{name.name}" in record data type', hint)
        return columns[name.name]
    found = binder.typed(node.this)
    if found.type.kind is not Kind.RECORD:
        raise binder.text.error(
            node, f"column notation .{name.name} applied to type {found.type}, which is not a composite type"
        )
    names = [f"f{place}" for place in range(1, len(found.type.parts) + 1)]
    if name.name.lower() not in names:
        raise binder.text.error(
            node, f'column "{name.name}" not found in record data type', f"its fields are {', '.join(names)}"
        )
    return field(binder, node, found, names.index(name.name.lower()) + 1)


def field(binder: Binder, node: exp.Expr, found: Scalar, place: int) -> Scalar:
    """A field of a record, from 1; of ROW(...) itself the value."""
    if isinstance(found, Call) and found.function == "row":
        return found.args[place - 1]
    return binder.call(node, "record_field", [found, Literal(place, INTEGER)])


def fields(binder: Binder, node: exp.Expr) -> list[tuple[str, Scalar]] | None:
    """The fields that `(r).*` means, by name; None for any other item."""
    if not isinstance(node, exp.Dot) or not isinstance(node.args.get("expression"), exp.Star):
        return None
    if (columns := bind_table.columns_of(binder, node.this)) is not None:
        return list(columns.items())
    found = binder.typed(node.this)
    if found.type.kind is not Kind.RECORD:
        raise binder.text.error(node, f"type {found.type} is not composite", "only records have fields")
    return [(f"f{place}", field(binder, node, found, place)) for place in range(1, len(found.type.parts) + 1)]


def null_test(binder: Binder, node: exp.Expr, found: Bound, negated: bool) -> Scalar | None:
    """Whether all fields of a record are NULL, or with `negated` none is; None for what is no record."""
    if isinstance(found, Untyped) or found.type.kind is not Kind.RECORD:
        return None
    test = "is_not_null" if negated else "is_null"
    places = range(1, len(found.type.parts) + 1)
    tests = tuple(Call(test, (field(binder, node, found, place),), BOOLEAN) for place in places)
    return tests[0] if len(tests) == 1 else Call("and", tests, BOOLEAN)
