"""Arrays: ARRAY[...], ARRAY(SELECT ...), subscripts, slices, and comparisons with ANY and ALL of an array.

Always true: what is bound here is calls of the registry's `array`, `array_subscript`, `array_slice`, `any` and `all`; of
an array that is written out, comparisons with each element. Deliberately unknown: how arrays are held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.scalars import arrays
from dataflow.types import BOOLEAN, INTEGER, TEXT, ColumnType, Kind
from planner import bind_nested
from planner.compile import compile_scalar
from planner.functions import FunctionError
from planner.functions.arrays import QUANTIFIED
from planner.functions.types import NUMBERS, array_of
from planner.literals import Untyped
from planner.names import written_type
from planner.scalar import Call, Cast, Literal, Scalar
from planner.scalars import walk

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_EMPTY = "cannot determine type of empty array"
FIRST, LAST = Literal(-(2**31), INTEGER), Literal(2**31 - 1, INTEGER)
"""Bounds of a slice that are left out: beyond every array's own."""
_MOST_WRITTEN = 64
"""Elements of a constant array that are compared one by one where the operator has no look-up."""


def constructor(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `ARRAY[a, b]`; `ARRAY[[a, b], [c, d]]` has two dimensions."""
    binder.text.only(node, "expressions")
    if not node.expressions:
        raise binder.text.error(node, _EMPTY, "say which it is: ARRAY[]::integer[]")
    return binder.call(node, "array", [binder.bind(one) for one in node.expressions])


def empty(node: exp.Expr, target: ColumnType) -> Literal | None:
    """`ARRAY[]` where a cast says of which type; None for anything else."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Array) and not node.expressions and target.kind is Kind.ARRAY:
        return Literal("{}", target)
    return None


_OF_QUERIES = {"ARRAY": "array_agg", "LIST": "list_agg", "MAP": "map_agg"}
"""What puts the rows of a subquery together."""


def is_query(node: exp.Expr) -> bool:
    """Whether a call is `ARRAY(SELECT ...)`, `LIST(SELECT ...)` or `MAP(SELECT ...)`."""
    return (
        isinstance(node, exp.Anonymous)
        and isinstance(node.this, str)
        and node.this.upper() in _OF_QUERIES
        and len(node.expressions) == 1
        and isinstance(node.expressions[0], exp.Query | exp.Values)
    )


def of_query(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `ARRAY(SELECT a ... ORDER BY b)`: array_agg over its rows, and an empty array where there are none; so LIST and MAP."""
    query = node.expressions[0].copy()
    word = node.this.upper()
    width = 2 if word == "MAP" else 1
    terms = []
    order = query.args.get("order")
    if order is not None and isinstance(query, exp.Select):
        terms = _ordered(query, order)
    columns = [exp.to_identifier(f"c{i}", quoted=True) for i in range(width + len(terms))]
    values: list[exp.Expr] = [exp.column(column.copy()) for column in columns[:width]]
    if order is not None:
        listed = [
            exp.Ordered(this=exp.column(columns[place].copy()), **{k: v for k, v in one.args.items() if k != "this"})
            for one, place in _places(query, order, terms, width)
        ]
        values[-1] = exp.Order(this=values[-1], expressions=listed)
    inner = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("q"), columns=columns))
    outer = exp.Select(
        expressions=[exp.Anonymous(this=_OF_QUERIES[word], expressions=values)], from_=exp.From(this=inner)
    )
    for part in outer.walk():
        part.meta.update({k: v for k, v in node.meta.items() if k not in part.meta})
    found = binder.placed(_scalar(binder, exp.Subquery(this=outer)), node)
    return Call("coalesce", (found, Literal("{}", found.type)), found.type)


def _scalar(binder: Binder, node: exp.Expr) -> Scalar:
    from planner import bind_subquery

    return bind_subquery.scalar(binder, node)


def _ordered(query: exp.Select, order: exp.Expr) -> list[exp.Expr]:
    """ORDER BY's items that are no output of the query, which become columns of it."""
    names = {item.alias_or_name for item in query.expressions}
    added = []
    for item in order.expressions:
        node = item.this
        number = isinstance(node, exp.Literal) and not node.args.get("is_string")
        named = isinstance(node, exp.Column) and not node.table and node.name in names
        if not number and not named and node not in query.expressions and not query.args.get("distinct"):
            added.append(item)
            query.expressions.append(node.copy())
    return added


def _places(query: exp.Expr, order: exp.Expr, added: list[exp.Expr], width: int) -> list[tuple[exp.Expr, int]]:
    """ORDER BY's items, each with the column that it is: one of the query's own, so many, or an added one."""
    own = query.selects if isinstance(query, exp.Query) else []
    found = []
    for item in order.expressions:
        node = item.this
        if any(one is item for one in added):
            place = width + next(i for i, one in enumerate(added) if one is item)
        elif isinstance(node, exp.Literal) and node.name.isdigit():
            place = int(node.name) - 1
        else:
            named = isinstance(node, exp.Column) and not node.table
            place = next(
                (i for i, one in enumerate(own) if one == node or (named and one.alias_or_name == node.name)), 0
            )
        found.append((item, min(max(place, 0), width + len(added) - 1)))
    return found


def bracket(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a[i][j]`, `a[i:j]`; of jsonb, `doc['key'][0]`."""
    base: exp.Expr = node
    subscripts: list[exp.Expr] = []
    while isinstance(base, exp.Bracket):
        binder.text.only(base, "this", "expressions")
        if len(base.expressions) != 1:
            raise binder.text.unsupported(base)
        subscripts.insert(0, base.expressions[0])
        base = base.this
    if isinstance(base, exp.Cast) and not _names_array(base.args["to"]) and _sizes(subscripts):
        # `x::integer[3]`: the size is no part of the type.
        target = written_type(base.args["to"], binder.text)
        return binder.cast(binder.bind(base.this), _array_type(binder, node, target), node)
    found = binder.typed(base)
    if found.type.kind is Kind.JSONB:
        for subscript in subscripts:
            found = binder.call(node, "->", [found, binder.bind(subscript)])
        return found
    if found.type.kind is Kind.LIST:
        return bind_nested.subscripts(binder, node, found, subscripts)
    if found.type.kind is not Kind.ARRAY:
        message = f"cannot subscript type {found.type} because it does not support subscripting"
        raise binder.text.error(base, message, "arrays, lists and jsonb have subscripts")
    if not any(isinstance(subscript, exp.Slice) for subscript in subscripts):
        return binder.call(node, "array_subscript", [found, *(place_of(binder, one) for one in subscripts)])
    bounds: list[Bound] = []
    for subscript in subscripts:
        if isinstance(subscript, exp.Slice):
            binder.text.only(subscript, "this", "expression")
            low, high = subscript.args.get("this"), subscript.args.get("expression")
            bounds += [
                FIRST if low is None else place_of(binder, low),
                LAST if high is None else place_of(binder, high),
            ]
        else:
            bounds += [Literal(1, INTEGER), place_of(binder, subscript)]
    return binder.call(node, "array_slice", [found, *bounds])


def _names_array(node: exp.Expr) -> bool:
    return isinstance(node, exp.DataType) and node.this == exp.DType.ARRAY


def _sizes(subscripts: list[exp.Expr]) -> bool:
    return all(isinstance(one, exp.Literal) and not one.args.get("is_string") for one in subscripts)


def place_of(binder: Binder, node: exp.Expr) -> Scalar:
    """Bind a subscript."""
    bound = binder.bind(node)
    if not isinstance(bound, Untyped) and bound.type.kind not in NUMBERS:
        raise binder.text.error(node, "array subscript must have type integer", "write a number, from 1")
    return binder.cast(bound, INTEGER, node)


def _array_type(binder: Binder, node: exp.Expr, element: ColumnType) -> ColumnType:
    try:
        return array_of(element)
    except FunctionError as error:
        raise binder.text.error(node, error.message, error.hint or None) from None


def quantified(binder: Binder, node: exp.Expr, operator: str, every: bool, operand: exp.Expr) -> Bound:
    """Bind `value operator ANY (array)`, or ALL; a list will do too."""
    value, array = binder.bind(node.this), binder.bind(operand)
    word = "all" if every else "any"
    if operator not in QUANTIFIED:
        raise binder.text.unsupported(
            node, f"{word.upper()} of an array with this operator", "compare with unnest(...)"
        )
    if isinstance(array, Untyped):
        array = binder.cast(
            array, _array_type(binder, node, TEXT if isinstance(value, Untyped) else value.type), operand
        )
    if array.type.element is None and array.type.kind is not Kind.LIST:
        raise binder.text.error(
            operand, "op ANY/ALL (array) requires array on right side", "write ARRAY[...] or a subquery"
        )
    if isinstance(value, Untyped):
        value = binder.cast(value, arrays.element_of(array.type), node)
    written = _written(array)
    if written is None:
        return binder.call(node, word, [Literal(operator, TEXT), value, array])
    if operator == "=" and not every and written:
        return binder.call(node, "in", [value, *written])
    if not written:
        return Literal(every, BOOLEAN)
    tests = tuple(binder.call(node, operator, [value, one]) for one in written)
    return tests[0] if len(tests) == 1 else Call("and" if every else "or", tests, BOOLEAN)


def _written(array: Scalar) -> list[Scalar] | None:
    """The elements of an array that is a constant and not NULL, or written as ARRAY[...]; None for any other, or a long one."""
    element = arrays.element_of(array.type)
    if isinstance(array, Call) and array.function == "array" and array.args[0].type.kind is not Kind.ARRAY:
        return list(array.args)
    if array.type.kind is Kind.LIST:
        return list(array.args) if isinstance(array, Call) and array.function == "list" else None
    if not all(isinstance(part, Literal | Cast | Call) for part in walk(array)):
        return None
    values, errors = compile_scalar(array).evaluate((), 1)
    if errors is not None or not values[0].is_valid:
        return None
    _, texts = arrays.elements(arrays.texts(values, 1, array.type), 1, arrays.TEXTS)
    if len(texts) > _MOST_WRITTEN:
        return None
    if element == TEXT:
        return [Literal(text, TEXT) for text in texts.to_pylist()]
    return [
        Cast(Literal(text, TEXT), element) if text is not None else Literal(None, element) for text in texts.to_pylist()
    ]
