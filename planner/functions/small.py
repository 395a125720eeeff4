"""Functions of Materialize's and PostgreSQL's lists that few queries need: bits of bytes, digests, encodings, digits of numerics.

Always true: as of every family. Hashes that Kafka and others compute over bytes are over the UTF-8 of a text. Functions in
`PER_ROW` are Python for each different row of arguments.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID, uuid5

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.types import BIGINT, BOOLEAN, BYTEA, INTEGER, TEXT, TIMESTAMP, ColumnType, Kind
from dataflow.types import NUMERIC as NUMERIC_TYPE
from dataflow.types import UUID as UUID_TYPE
from planner.functions.by_row import RowError, by_row
from planner.functions.constants import specialised
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site, fixed
from planner.functions.types import FunctionError, derived_numeric, type_name

_T, _Y, _I, _B, _N = Kind.TEXT, Kind.BYTEA, Kind.INTEGER, Kind.BIGINT, Kind.NUMERIC
_DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_ENCODINGS = {
    "UTF8": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "LATIN1": "latin-1",
    "ISO88591": "latin-1",
}


def _encoding(name: str, side: str) -> str:
    """side: the word before `encoding`, with a space behind it."""
    found = _ENCODINGS.get(name.upper())
    if not found:
        raise RowError(f'invalid {side}encoding name "{name}"')
    return found


def _convert_from(data: bytes, name: str, side: str = "source ") -> str:
    encoding = _encoding(name, side)
    try:
        made = data.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = " ".join(f"0x{byte:02x}" for byte in data[error.start : error.end])
        raise RowError(f'invalid byte sequence for encoding "UTF8": {wrong}') from None
    if "\0" in made:
        raise RowError('invalid byte sequence for encoding "UTF8": 0x00')
    return made


def _length(data: bytes, name: str) -> int:
    return len(_convert_from(data, name, ""))


def _convert_to(text: str, name: str) -> bytes:
    try:
        return text.encode(_encoding(name, "destination "))
    except UnicodeEncodeError as error:
        shown = " ".join(f"0x{byte:02x}" for byte in text[error.start].encode())
        raise RowError(
            f'character with byte sequence {shown} in encoding "UTF8" has no equivalent in encoding "LATIN1"'
        ) from None


def _within(place: int, size: int) -> None:
    if not 0 <= place < size:
        raise RowError(f"index {place} out of valid range, 0..{size - 1}")


def _get_byte(data: bytes, place: int) -> int:
    _within(place, len(data))
    return data[place]


def _set_byte(data: bytes, place: int, value: int) -> bytes:
    _within(place, len(data))
    return data[:place] + bytes([value & 255]) + data[place + 1 :]


def _get_bit(data: bytes, place: int) -> int:
    _within(place, 8 * len(data))
    return data[place // 8] >> place % 8 & 1


def _set_bit(data: bytes, place: int, value: int) -> bytes:
    _within(place, 8 * len(data))
    if value not in (0, 1):
        raise RowError("new bit must be 0 or 1")
    byte, bit = data[place // 8], 1 << place % 8
    return _set_byte(data, place // 8, byte | bit if value else byte & ~bit)


def _algorithm(name: str) -> str:
    if name.lower() not in _DIGESTS:
        raise RowError(f'Cannot use "{name}": No such hash algorithm')
    return name.lower()


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _digest(data: str | bytes, name: str) -> bytes:
    return hashlib.new(_algorithm(name), _bytes(data)).digest()


def _hmac(data: str | bytes, key: str | bytes, name: str) -> bytes:
    return hmac.new(_bytes(key), _bytes(data), _algorithm(name)).digest()


def _constant_time_eq(a: str | bytes, b: str | bytes) -> bool:
    return hmac.compare_digest(_bytes(a), _bytes(b))


def _uuid5(namespace: bytes, name: str) -> bytes:
    return uuid5(UUID(bytes=namespace), name).bytes


def _factorial(number: int) -> Decimal:
    if number < 0:
        raise RowError("factorial of a negative number is undefined")
    if number > 33:
        raise RowError("value overflows numeric format")
    return Decimal(math.factorial(number))


def _min_scale(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent if value else 0
    return max(0, -int(exponent))


def _scale(site: Site) -> Kernel:
    """Digits behind the point that are shown: of an unconstrained numeric those that there are."""
    type_ = site.operands[0].type
    if type_.trims:
        return by_row(_min_scale).build(site)
    scale = pa.scalar(type_.decimal_scale, pa.int32())
    null = pa.scalar(None, pa.int32())
    return lambda operands, _rows: (pc.if_else(pc.is_valid(operands[0]), scale, null), None)


def _trimmed(types: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return (
        NUMERIC_TYPE
        if types[0].decimal_scale <= NUMERIC_TYPE.decimal_scale
        else derived_numeric(types[0].decimal_scale)
    )


def _trim_scale(site: Site) -> Kernel:
    source, target = site.operands[0].type, site.result
    if source.decimal_scale > NUMERIC_TYPE.decimal_scale:
        raise FunctionError(
            f"trim_scale of a numeric of {source.decimal_scale} digits behind the point is not supported"
        )
    return lambda operands, rows: scalars.cast_number(operands[0], rows, target)


def _size_pretty(size: int) -> str:
    """As PostgreSQL: up to 10,240 of a unit, then halves are rounded away from zero in the next one."""
    if abs(size) < 10 * 1024:
        return f"{size} bytes"
    number = int(size / 512) if abs(size) < 1 << 52 else (abs(size) // 512) * (1 if size > 0 else -1)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        half = int((abs(number) + 1) // 2) * (1 if number > 0 else -1)
        if unit == "PB" or abs(number) < 20 * 1024 - 1:
            return f"{half} {unit}"
        number = abs(number) // 1024 * (1 if number > 0 else -1)
    raise ValueError(size)


_SIZE = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z]+)?\s*")
_UNITS = {None: 0, "bytes": 0, "kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}


def _size_bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise RowError(f'invalid size: "{text}"')
    unit = found[2] and found[2].lower()
    if unit not in _UNITS:
        raise RowError(f'invalid size: "{text}"')
    size = int((Decimal(found[1]) * (1 << _UNITS[unit])).to_integral_value(ROUND_HALF_UP))
    if not -(1 << 63) <= size < 1 << 63:
        raise RowError("bigint out of range")
    return size


def _counted(nulls: bool) -> Implementation:
    test = pc.is_null if nulls else pc.is_valid

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        found: Any = pa.repeat(pa.scalar(0, pa.int32()), rows)
        for operand in operands:
            found = pc.add(
                found, test(operand if len(operand) == rows else pa.repeat(operand[0], rows)).cast(pa.int32())
            )
        return found, None

    return fixed(kernel)


def _typeof(site: Site) -> Kernel:
    shown = pa.scalar(type_name(site.operands[0].type), TEXT.arrow)
    return lambda _operands, rows: (pa.repeat(shown, rows), None)


def _normalize(_site: Site, form: str) -> Callable[[Any, int], tuple[Any, Any]]:
    if form.upper() not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise FunctionError(f"invalid normalization form: {form}", "the forms are NFC, NFD, NFKC and NFKD")
    return lambda values, _rows: (pc.utf8_normalize(values, form=form.upper()), None)


_ISO = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"


def _try_parse(operands: Operands, rows: int) -> tuple[Any, Any]:
    """Texts such as 2015-09-18T23:56:04.123Z; NULL for any other."""
    fits = pc.match_substring_regex(operands[0], pattern=_ISO)
    texts = pc.utf8_slice_codeunits(pc.if_else(fits, operands[0], pa.scalar(None, TEXT.arrow)), start=0, stop=-1)
    values, errors = scalars.parse(texts, rows, TIMESTAMP)
    if errors is not None:
        values = pc.if_else(pc.is_null(errors), values, pa.scalar(None, TIMESTAMP.arrow))
    return values, None


def _finite(operands: Operands, _rows: int) -> tuple[Any, Any]:
    """There are no infinite times here."""
    true, null = pa.scalar(True), pa.scalar(None, pa.bool_())
    return pc.if_else(pc.is_valid(operands[0]), true, null), None


FUNCTIONS: tuple[Function, ...] = (
    Function("convert_from", (_Y, _T), TEXT, by_row(_convert_from)),
    Function("convert_to", (_T, _T), BYTEA, by_row(_convert_to)),
    Function("length", (_Y, _T), INTEGER, by_row(_length)),
    Function("get_byte", (_Y, _I), INTEGER, by_row(_get_byte)),
    Function("set_byte", (_Y, _I, _I), BYTEA, by_row(_set_byte)),
    Function("get_bit", (_Y, _B), INTEGER, by_row(_get_bit)),
    Function("set_bit", (_Y, _B, _I), BYTEA, by_row(_set_bit)),
    Function("bit_count", (_Y,), BIGINT, by_row(lambda data: sum(byte.bit_count() for byte in data))),
    *(Function("digest", (kind, _T), BYTEA, by_row(_digest)) for kind in (_T, _Y)),
    *(Function("hmac", (kind, kind, _T), BYTEA, by_row(_hmac)) for kind in (_T, _Y)),
    *(Function("constant_time_eq", (kind, kind), BOOLEAN, by_row(_constant_time_eq)) for kind in (_T, _Y)),
    Function("uuid_generate_v5", (Kind.UUID, _T), UUID_TYPE, by_row(_uuid5)),
    Function("factorial", (_B,), derived_numeric(0), by_row(_factorial)),
    Function("scale", (_N,), INTEGER, Implementation(_scale)),
    Function("min_scale", (_N,), INTEGER, by_row(_min_scale)),
    Function("trim_scale", (_N,), _trimmed, Implementation(_trim_scale)),
    Function("pg_size_pretty", (_B,), TEXT, by_row(_size_pretty)),
    Function("pg_size_bytes", (_T,), BIGINT, by_row(_size_bytes)),
    Function("num_nulls", (Pattern.ANYTHING,), INTEGER, _counted(True), variadic=True),
    Function("num_nonnulls", (Pattern.ANYTHING,), INTEGER, _counted(False), variadic=True),
    Function("pg_typeof", (Pattern.ANYTHING,), TEXT, Implementation(_typeof)),
    Function("normalize", (_T, _T), TEXT, specialised(1, 0, _normalize)),
    Function("try_parse_monotonic_iso8601_timestamp", (_T,), TIMESTAMP, fixed(_try_parse)),
    *(
        Function("isfinite", (kind,), BOOLEAN, fixed(_finite))
        for kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.INTERVAL)
    ),
)

PER_ROW = frozenset(
    (
        *("convert_from", "convert_to", "get_byte", "set_byte", "get_bit", "set_bit", "bit_count", "digest", "hmac"),
        *("constant_time_eq", "uuid_generate_v5", "factorial", "min_scale", "pg_size_pretty", "pg_size_bytes"),
    )
)
"""Functions that are Python for each different row of arguments."""
