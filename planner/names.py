"""Which name PostgreSQL gives to an output column without AS, and which type a written type name means."""

from __future__ import annotations

from sqlglot import exp

from dataflow.types import KIND_NAMES, ColumnType, Kind
from planner.catalog import spelling
from planner.parse import Text

_TYPES: dict[exp.DType, Kind] = {
    exp.DType.BOOLEAN: Kind.BOOLEAN,
    exp.DType.SMALLINT: Kind.SMALLINT,
    exp.DType.INT: Kind.INTEGER,
    exp.DType.BIGINT: Kind.BIGINT,
    exp.DType.DECIMAL: Kind.NUMERIC,
    exp.DType.FLOAT: Kind.REAL,
    exp.DType.DOUBLE: Kind.DOUBLE,
    exp.DType.TEXT: Kind.TEXT,
    exp.DType.VARCHAR: Kind.VARCHAR,
    exp.DType.CHAR: Kind.CHAR,
    exp.DType.BPCHAR: Kind.CHAR,
    exp.DType.TIME: Kind.TIME,
    exp.DType.UUID: Kind.UUID,
    exp.DType.DATE: Kind.DATE,
    exp.DType.TIMESTAMP: Kind.TIMESTAMP,
    exp.DType.TIMESTAMPTZ: Kind.TIMESTAMPTZ,
    exp.DType.JSONB: Kind.JSONB,
    exp.DType.VARBINARY: Kind.BYTEA,
    exp.DType.INTERVAL: Kind.INTERVAL,
}

_INTERNAL: dict[Kind, str] = {
    Kind.BOOLEAN: "bool",
    Kind.SMALLINT: "int2",
    Kind.INTEGER: "int4",
    Kind.BIGINT: "int8",
    Kind.REAL: "float4",
    Kind.DOUBLE: "float8",
    Kind.CHAR: "bpchar",
    Kind.VARCHAR: "varchar",
}

_INSTEAD: dict[exp.DType, str] = {
    exp.DType.JSON: "use jsonb",
    exp.DType.TIMETZ: "use time, or timestamptz",
    exp.DType.TINYINT: "use smallint",
}
_PRECISE = "cast to interval, and cut it with date_trunc"

_SPECIAL = {
    exp.Extract: "extract",
    exp.Substring: "substring",
    exp.StrPosition: "position",
    exp.AtTimeZone: "timezone",
    exp.CurrentUser: "current_user",
}
TRIMS = {"LEADING": "ltrim", "TRAILING": "rtrim"}
"""TRIM's side to the function's name; both sides, or none named, is btrim."""

NO_NAME = "?column?"


def written_type(node: exp.Expr, text: Text) -> ColumnType:
    """The column type that a cast names. Raises SqlError for types that there are not."""
    if isinstance(node, exp.DataType) and isinstance(node.this, exp.Interval):
        raise text.unsupported(node, "interval with a field", _PRECISE)
    if isinstance(node, exp.DataType) and node.this == exp.DType.ARRAY and len(node.expressions) == 1:
        try:
            return written_type(node.expressions[0], text).array
        except ValueError as error:
            raise text.error(node, str(error), "cast the values to text") from None
    if isinstance(node, exp.DataType) and node.this == exp.DType.LIST and len(node.expressions) == 1:
        return written_type(node.expressions[0], text).list
    if isinstance(node, exp.DataType) and node.this == exp.DType.MAP and len(node.expressions) == 2:
        key, value = (written_type(one, text) for one in node.expressions)
        if key.kind is not Kind.TEXT:
            raise text.error(node, f"map keys are text, not {key}", "write map[text=>bigint]")
        return value.map
    kind = _TYPES.get(node.this) if isinstance(node, exp.DataType) else None
    parameters = [p.name if isinstance(p, exp.DataTypeParam) else str(p) for p in node.expressions]
    if kind is None:
        written = node.sql(dialect="postgres").lower()
        hint = _INSTEAD.get(node.this) or (
            f"the types are {KIND_NAMES}, numeric(p,s), arrays, such as bigint[], lists, such as bigint list, and maps, such as "
            "map[text=>bigint]"
        )
        raise text.error(node, f'type "{written}" is not supported', hint)
    text.only(node, "this", "expressions", "nested", "kind")
    if not parameters:
        return ColumnType(kind, length=1) if node.this == exp.DType.CHAR else ColumnType(kind)
    if kind not in (Kind.NUMERIC, Kind.CHAR, Kind.VARCHAR):
        raise text.error(
            node, f"{kind.value}({', '.join(parameters)}) is not supported", f"write {kind.value} without a length"
        )
    try:
        return ColumnType.parse(f"{kind.value}({','.join(parameters)})")
    except ValueError as error:
        raise text.error(node, str(error)) from None


def column_name(node: exp.Expr) -> str:
    """The output name of a select-list item: its alias, or the name that PostgreSQL makes up."""
    if isinstance(node, exp.Alias):
        return spelling(node.args["alias"])
    return _figure(node)[0]


def _figure(node: exp.Expr) -> tuple[str, bool]:
    """(name, whether it is better than a type's or CASE's own name)."""
    match node:
        case exp.Paren():
            return _figure(node.this)
        case exp.Column():
            return spelling(node.this), True
        case exp.Bracket():
            return _figure(node.this)
        case exp.Array():
            return "array", True
        case exp.List():
            return "list", True
        case exp.ToMap():
            return "map", True
        case exp.Tuple():
            return "row", True
        case exp.Cast():
            name, strong = _figure(node.this)
            to = node.to
            while to.this == exp.DType.ARRAY and to.expressions:
                to = to.expressions[0]
            kind = _TYPES.get(to.this)
            return (name, True) if strong else (_INTERNAL.get(kind, kind.value) if kind else NO_NAME, False)
        case exp.Boolean():
            return "bool", False
        case exp.Interval():
            return "interval", False
        case exp.Case():
            default = node.args.get("default")
            name, strong = _figure(default) if default is not None else (NO_NAME, False)
            return (name, True) if strong else ("case", False)
        case exp.Trim():
            return TRIMS.get(node.args.get("position") or "", "btrim"), True
        case exp.Filter() | exp.Window():
            return _figure(node.this)
        case exp.Exists():
            return "exists", True
        case exp.Subquery(this=exp.Select() as query) if query.expressions:
            return column_name(query.expressions[0]), True
        case exp.Dot() if isinstance(node.args.get("expression"), exp.Expr):
            return _figure(node.args["expression"])
        case exp.Identifier():
            return spelling(node), True
        case exp.Anonymous():
            return (node.this if isinstance(node.this, str) else node.this.name).lower(), True
        case _:
            name = _SPECIAL.get(type(node), NO_NAME)
            return name, name != NO_NAME
