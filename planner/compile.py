"""Typed scalars to vectorised expressions: compiled once to closures over prebuilt constants, called in every tick.

Always true: a compiled expression is pure; constants are folded, and stand as one value until the very end; data errors are
returned by row, never raised. Errors of arguments come before a call's own; AND, OR, COALESCE and CASE count only errors
that can change their result.
Deliberately unknown here: what the functions are (planner.functions) and where the expression stands in a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.expression import Evaluated, Expression
from dataflow.types import NESTED, TEXT, ColumnType, Kind
from planner.functions import Resolved, resolve
from planner.functions.conversion import cast_kernel
from planner.functions.logic import first_errors
from planner.functions.registry import Implementation, Kernel, Operand, Site
from planner.functions.types import FunctionError, type_name
from planner.scalar import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Grouping,
    Literal,
    Now,
    OuterRef,
    Over,
    Parameter,
    Scalar,
    Subquery,
    TableValue,
    UserCall,
)
from planner.scalars import walk

Columns = tuple[pa.Array, ...]
Run = Callable[[Columns, int], tuple[Any, Any]]
"""(columns, rows) -> (values, errors)."""

_FALSE = pa.scalar(False)
_NO_MESSAGE = pa.scalar(None, pa.large_string())
_PARSED = (
    *(Kind.NUMERIC, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.JSONB, Kind.INTERVAL, Kind.TIME, Kind.UUID),
    *(Kind.ARRAY, *NESTED),
)


@dataclass(frozen=True, slots=True)
class _Node:
    """One compiled scalar: a constant, or something to run.

    Invariant: exactly one of `constant` and `run` is None. A constant that failed to fold is a `run` whose every row fails.
    """

    type: ColumnType
    run: Run | None = None
    constant: pa.Scalar | None = None

    def as_run(self) -> Run:
        """(values, errors) with a constant as pa.Scalar."""
        if self.run is not None:
            return self.run
        pair = (self.constant, None)
        return lambda _columns, _rows: pair


@dataclass(frozen=True, slots=True)
class CompiledScalar:
    """An Expression: see `dataflow.expression`. Two are equal when their scalars are, so that equal operators are shared."""

    scalar: Scalar
    node: _Node = field(compare=False, repr=False)

    def evaluate(self, columns: Columns, rows: int) -> Evaluated:
        """Evaluate over `rows` rows; a constant is repeated."""
        if self.node.run is None:
            return Evaluated(pa.repeat(self.node.constant, rows), None)
        values, errors = self.node.run(columns, rows)
        if isinstance(values, pa.Scalar):
            values = pa.repeat(values, rows)
        if errors is not None and errors.null_count == rows:
            errors = None
        return Evaluated(values, errors)

    def __str__(self) -> str:
        return str(self.scalar)


def compile_scalar(scalar: Scalar) -> Expression:
    """Compile; FunctionError when a call or cast has no meaning for its types (binding normally found that before)."""
    return CompiledScalar(scalar, _compile(scalar))


def check_call(resolved: Resolved, name: str, args: Sequence[Scalar]) -> None:
    """FunctionError when a call that types allow has no meaning for the constants among its arguments, or needs one that is none.

    What a parameter's value makes of a call is seen when there is one.
    """
    below = [node for arg in args for node in walk(arg)]
    implementation = resolved.function.implementation
    if implementation is None or any(isinstance(node, Parameter) for node in below):
        return
    operands = tuple(Operand(arg.type, _constant_of(arg)) for arg in args)
    implementation.build(Site(name, operands, resolved.result))


def _constant_of(scalar: Scalar) -> pa.Scalar | None:
    """The value of a scalar that has one, whatever the row."""
    constant = all(isinstance(node, Literal | Cast | Call | Case) for node in walk(scalar))
    return _compile(scalar).constant if constant else None


def _compile(scalar: Scalar) -> _Node:
    match scalar:
        case ColumnRef(index, type_):
            return _Node(type_, lambda columns, _rows: (columns[index], None))
        case Literal():
            return _literal(scalar)
        case Cast(arg, type_):
            return _cast(_compile(arg), type_)
        case Call():
            return _call(scalar)
        case UserCall():
            return _user_call(scalar)
        case Case():
            return _case(scalar)
        case Over() | OuterRef() | Parameter() | Now() | Grouping() | TableValue() | Subquery():
            raise ValueError(f"{scalar} reached compilation; this is a planner mistake")


def _literal(literal: Literal) -> _Node:
    value, type_ = literal.value, literal.type
    if value is None or type_.kind not in _PARSED:
        return _Node(type_, constant=pa.scalar(value, type_.arrow))
    text = pa.array([str(value)], TEXT.arrow)
    return _folded(type_, *scalars.parse(text, 1, type_))


def _folded(type_: ColumnType, values: Any, errors: Any) -> _Node:
    """The node of a result over one row."""
    if errors is not None and errors[0].is_valid:
        return _failing(type_, errors[0])
    return _Node(type_, constant=values if isinstance(values, pa.Scalar) else values[0])


def _failing(type_: ColumnType, message: pa.Scalar) -> _Node:
    data = type_.arrow
    return _Node(type_, lambda _columns, rows: (pa.nulls(rows, data), pa.repeat(message, rows)))


def _one_row(constant: pa.Scalar) -> pa.Array:
    return pa.repeat(constant, 1)


def _cast(arg: _Node, target: ColumnType) -> _Node:
    kernel = cast_kernel(arg.type, target)
    if kernel is None:
        return _Node(target, arg.run, arg.constant)
    if arg.run is None:
        return _folded(target, *kernel(_one_row(arg.constant), 1))
    return _Node(target, _unary(arg.run, lambda operands, rows: kernel(operands[0], rows)))


def _call(call: Call) -> _Node:
    args = [_compile(arg) for arg in call.args]
    literals = [arg.value if isinstance(arg, Literal) else None for arg in call.args]
    resolved = resolve(call.function, [arg.type for arg in args], literals)
    args = [
        arg if arg.type == wanted else _cast(arg, wanted) for arg, wanted in zip(args, resolved.arguments, strict=True)
    ]
    if resolved.result.kind is not call.type.kind:
        raise FunctionError(
            f"{call.function} is planned as {type_name(call.type)} but gives {type_name(resolved.result)}"
        )
    implementation = resolved.function.implementation
    if implementation is None:
        raise FunctionError(f"{call.function} is an aggregate and has no value by row")
    site = Site(call.function, tuple(Operand(arg.type, arg.constant) for arg in args), resolved.result)
    node = _apply(implementation, site, args)
    return node if resolved.result == call.type else _cast(node, call.type)


def _user_call(call: UserCall) -> _Node:
    args = [_cast(_compile(arg), wanted) for arg, wanted in zip(call.args, call.function.types, strict=True)]
    site = Site(call.function.name, tuple(Operand(arg.type, arg.constant) for arg in args), call.type)
    return _apply(Implementation(call.function.kernel, scalars=True), site, args)


def _apply(implementation: Implementation, site: Site, args: Sequence[_Node]) -> _Node:
    kernel = implementation.build(site)
    if all(arg.run is None for arg in args):
        if implementation.lenient:
            return _folded(site.result, *kernel([(arg.constant, None) for arg in args], 1))
        return _folded(site.result, *kernel([_one_row(arg.constant) for arg in args], 1))
    if implementation.lenient:
        return _Node(site.result, _lenient(kernel, [arg.as_run() for arg in args]))
    if len(args) == 1 and args[0].run is not None:
        return _Node(site.result, _unary(args[0].run, kernel))
    return _Node(site.result, _strict(kernel, args, implementation.scalars))


def _unary(only: Run, kernel: Kernel) -> Run:
    def run(columns: Columns, rows: int) -> tuple[Any, Any]:
        value, error = only(columns, rows)
        values, own = kernel((value,), rows)
        if error is None:
            return values, own
        return values, error if own is None else pc.coalesce(error, own)

    return run


def _strict(kernel: Kernel, args: Sequence[_Node], as_scalars: bool) -> Run:
    fixed = [None if arg.constant is None else arg.constant if as_scalars else _one_row(arg.constant) for arg in args]
    varying = [(place, arg.run) for place, arg in enumerate(args) if arg.run is not None]

    def run(columns: Columns, rows: int) -> tuple[Any, Any]:
        operands = fixed.copy()
        errors = None
        for place, arg in varying:
            operands[place], error = arg(columns, rows)
            if error is not None:
                errors = error if errors is None else pc.coalesce(errors, error)
        values, own = kernel(operands, rows)
        if errors is None:
            return values, own
        return values, errors if own is None else pc.coalesce(errors, own)

    return run


def _lenient(kernel: Kernel, args: Sequence[Run]) -> Run:
    return lambda columns, rows: kernel([arg(columns, rows) for arg in args], rows)


def _case(case: Case) -> _Node:
    branches = [
        (_compile(condition).as_run(), _cast(_compile(value), case.type).as_run()) for condition, value in case.branches
    ]
    default = _cast(_compile(case.default), case.type).as_run()
    null = pa.scalar(None, case.type.arrow)

    def run(columns: Columns, rows: int) -> tuple[Any, Any]:
        values, errors = default(columns, rows)
        # From the last branch to the first, so that each overrides what stands behind it.
        for condition, value in reversed(branches):
            chosen, failed = condition(columns, rows)
            chosen = pc.fill_null(chosen, _FALSE)
            then, then_errors = value(columns, rows)
            values = pc.if_else(chosen, then, values)
            if isinstance(values, pa.Scalar):
                values = pa.repeat(values, rows)
            if errors is not None or then_errors is not None:
                errors = pc.if_else(
                    chosen,
                    _NO_MESSAGE if then_errors is None else then_errors,
                    _NO_MESSAGE if errors is None else errors,
                )
                if isinstance(errors, pa.Scalar):
                    errors = pa.repeat(errors, rows)
            errors = first_errors([failed, errors])
        return (null if values is None else values), errors

    return _Node(case.type, run)
