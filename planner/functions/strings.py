"""More functions of text: overlay, translate, initcap, encodings, digests, regular expressions that take text apart.

Always true: positions count characters from 1. Regular expressions are RE2's, as in `planner.functions.text`; the flags are `g`
(all matches) and `i` (any case). Functions in `PER_ROW` are Python for each different row of arguments.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars.codes import TextFunction
from dataflow.types import BOOLEAN, BYTEA, INTEGER, TEXT, Kind
from planner.functions.by_row import RowError, by_row
from planner.functions.constants import specialised
from planner.functions.registry import Function, Implementation, Kernel, Operands, Site, fixed
from planner.functions.types import FunctionError

_T, _I, _Y, _B = Kind.TEXT, Kind.INTEGER, Kind.BYTEA, Kind.BIGINT


def _initcap(text: str) -> str:
    return re.sub(r"[^\W_]+", lambda word: word[0][0].upper() + word[0][1:].lower(), text)


def _translate(text: str, old: str, new: str) -> str:
    table: dict[int, str | None] = {}
    for place, character in enumerate(old):
        table.setdefault(ord(character), new[place] if place < len(new) else None)
    return text.translate(table)


def _ascii(text: str) -> int:
    return ord(text[0]) if text else 0


def _chr(code: int) -> str:
    if code == 0:
        raise RowError("null character not permitted")
    if code < 0:
        raise RowError("character number must be positive")
    if code > 0x10FFFF:
        raise RowError(f"requested character too large for encoding: {code}")
    if 0xD800 <= code <= 0xDFFF:
        raise RowError(f"requested character not valid for encoding: {code}")
    return chr(code)


def _encode(data: bytes, form: str) -> str:
    match form.lower():
        case "hex":
            return data.hex()
        case "base64":
            text = base64.b64encode(data).decode()
            return "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
        case "escape":
            shown = ("\\\\" if c == 92 else f"\\{c:03o}" if c == 0 or c > 127 else chr(c) for c in data)
            return "".join(shown)
    raise RowError(f'unrecognized encoding: "{form}"')


def _decode(text: str, form: str) -> bytes:
    match form.lower():
        case "hex":
            digits = re.sub(r"[ \n\t\r]", "", text)
            if found := re.search(r"[^0-9a-fA-F]", digits):
                raise RowError(f'invalid hexadecimal digit: "{found[0]}"')
            if len(digits) % 2:
                raise RowError("invalid hexadecimal data: odd number of digits")
            return bytes.fromhex(digits)
        case "base64":
            return _from_base64(text)
        case "escape":
            return _from_escape(text)
    raise RowError(f'unrecognized encoding: "{form}"')


def _from_base64(text: str) -> bytes:
    digits = re.sub(r"[ \n\t\r]", "", text)
    if found := re.search(r"[^A-Za-z0-9+/=]", digits):
        raise RowError(f'invalid symbol "{found[0]}" found while decoding base64 sequence')
    if not re.fullmatch(r"(?:[^=]{4})*(?:[^=]{2}==|[^=]{3}=)?", digits):
        raise RowError(
            'unexpected "=" while decoding base64 sequence'
            if re.match(r"(?:.{4})*.?=", digits)
            else "invalid base64 end sequence"
        )
    return base64.b64decode(digits)


def _from_escape(text: str) -> bytes:
    def byte(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise RowError("invalid input syntax for type bytea")
        return b"\\" if found[1] == b"\\" else bytes([int(found[1], 8)])

    return re.sub(rb"\\(\\|[0-3][0-7]{2})?", byte, text.encode())


def _to_hex(bits: int) -> Callable[[int], str]:
    return lambda number: f"{number & (1 << bits) - 1:x}"


def _sha(name: str) -> Implementation:
    return by_row(lambda data: hashlib.new(name, data).digest())


def _overlay(_site: Site) -> Kernel:
    """What stands before, the new text, what stands behind `count` characters (as many as the new text when not said)."""
    substring, one = int(TextFunction.SUBSTRING), pa.array([1], pa.int32())
    first, last = pa.scalar(1, pa.int64()), pa.scalar(2**31 - 1, pa.int64())
    null = pa.scalar(None, pa.large_string())

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        value, new, start = operands[0], operands[1], _spread(operands[2], rows).cast(pa.int64())
        count = operands[3] if len(operands) == 4 else scalars.length(new, len(new), False)[0]
        end = pc.add(start, _spread(count, rows).cast(pa.int64()))
        low, high = pc.less(start, first), pc.greater(end, last)
        before = pc.subtract(pc.max_element_wise(start, first, skip_nulls=False), first).cast(pa.int32())
        bounded = pc.min_element_wise(pc.max_element_wise(end, first, skip_nulls=False), last, skip_nulls=False)
        head, _ = scalars.text(substring, [value, one, before], rows)
        tail, _ = scalars.text(substring, [value, bounded.cast(pa.int32())], rows)
        made = scalars.concat([head, new, tail], rows, True, None, TEXT.arrow)
        wrong = pc.and_(pc.or_(low, high), pc.is_valid(made))
        if not pc.any(wrong).as_py():
            return made, None
        message = pc.if_else(low, "negative substring length not allowed", "integer out of range").cast(
            pa.large_string()
        )
        return pc.if_else(wrong, null, made), pc.if_else(wrong, message, null)

    return kernel


def _spread(column: Any, rows: int) -> Any:
    return column if len(column) == rows else pa.repeat(column[0], rows)


_EMPTY = pa.array([""], pa.large_string())
_FLAGS = {"g", "i", "c", "s", ""}


def flags_of(text: str) -> tuple[bool, bool]:
    """(all matches, any case) of a flag text."""
    if unknown := set(text) - _FLAGS:
        raise FunctionError(f'invalid regular expression option: "{sorted(unknown)[0]}"', "the options are g and i")
    return "g" in text, "i" in text and not text.rstrip("g").endswith("c")


def constant_of(site: Site, place: int, what: str) -> str | None:
    """The value of an argument that must be a constant: patterns are compiled once."""
    constant = site.operands[place].constant
    if constant is None:
        raise FunctionError(f"{site.name} needs a constant {what}", "write it as a text in quotes")
    value: str | None = constant.as_py()
    return value


def compiled(pattern: str, flags: str) -> str:
    """RE2's text of a pattern; FunctionError when it reads none."""
    text = ("(?si)" if flags_of(flags)[1] else "(?s)") + pattern
    try:
        pc.match_substring_regex(_EMPTY, pattern=text)
    except pa.ArrowInvalid as error:
        raise FunctionError(
            f"invalid regular expression: {str(error).rpartition(': ')[2] or error}",
            "regular expressions are RE2's, without back references and look-around",
        ) from None
    return text


def _null(site: Site) -> Kernel:
    return lambda _operands, rows: (pa.nulls(rows, site.result.arrow), None)


def _regexp_replace(site: Site) -> Kernel:
    pattern, new = constant_of(site, 1, "pattern"), constant_of(site, 2, "replacement")
    flags = constant_of(site, 3, "flags") if len(site.operands) == 4 else ""
    if pattern is None or new is None or flags is None:
        return _null(site)
    text, most = compiled(pattern, flags), -1 if flags_of(flags)[0] else 1
    # PostgreSQL's \& is the whole match, which RE2 calls \0.
    written = re.sub(
        r"\\(.?)",
        lambda found: {"&": r"\0"}.get(
            found[1], found[0] if found[1].isdigit() else "\\\\" + found[1].replace("\\", "")
        ),
        new,
    )
    return lambda operands, _rows: (
        pc.replace_substring_regex(operands[0], pattern=text, replacement=written, max_replacements=most),
        None,
    )


def _regexp_count(_site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    text = compiled(pattern, "")
    if pc.match_substring_regex(_EMPTY, pattern=text)[0].as_py():
        raise FunctionError(
            "regexp_count of a pattern that matches the empty text", "let it match one character at least"
        )
    return lambda values, _rows: (pc.count_substring_regex(values, pattern=text).cast(pa.int32()), None)


def _regexp_like(_site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    text = compiled(pattern, "")
    return lambda values, _rows: (pc.match_substring_regex(values, pattern=text), None)


def _regexp_substr(_site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    text = compiled(pattern, "")
    named = f"(?P<whole>{text})"
    return lambda values, _rows: (
        pc.struct_field(pc.extract_regex(values, pattern=named), "whole").cast(TEXT.arrow),
        None,
    )


def _bits(operands: Operands, rows: int) -> tuple[Any, Any]:
    values, errors = scalars.length(operands[0], rows, True)
    return pc.multiply(values, pa.scalar(8, pa.int32())), errors


_OVERLAY = Implementation(_overlay)
_BIT_LENGTH = fixed(_bits)

FUNCTIONS: tuple[Function, ...] = (
    Function("initcap", (_T,), TEXT, by_row(_initcap)),
    Function("translate", (_T, _T, _T), TEXT, by_row(_translate)),
    Function("ascii", (_T,), INTEGER, by_row(_ascii)),
    Function("chr", (_I,), TEXT, by_row(_chr)),
    Function("encode", (_Y, _T), TEXT, by_row(_encode)),
    Function("decode", (_T, _T), BYTEA, by_row(_decode)),
    Function("to_hex", (_I,), TEXT, by_row(_to_hex(32))),
    Function("to_hex", (_B,), TEXT, by_row(_to_hex(64))),
    *(Function(name, (_Y,), BYTEA, _sha(name)) for name in ("sha224", "sha384", "sha512")),
    Function("overlay", (_T, _T, _I, _I), TEXT, _OVERLAY, optional=1),
    *(Function("bit_length", (kind,), INTEGER, _BIT_LENGTH) for kind in (_T, _Y)),
    Function("regexp_replace", (_T, _T, _T, _T), TEXT, Implementation(_regexp_replace), optional=1),
    Function("regexp_count", (_T, _T), INTEGER, specialised(1, 0, _regexp_count)),
    Function("regexp_like", (_T, _T), BOOLEAN, specialised(1, 0, _regexp_like)),
    Function("regexp_substr", (_T, _T), TEXT, specialised(1, 0, _regexp_substr)),
)

PER_ROW = frozenset(
    [
        "initcap",
        "translate",
        "ascii",
        "chr",
        "encode",
        "decode",
        "to_hex",
        "sha224",
        "sha384",
        "sha512",
    ]
)
"""Functions that are Python for each different row of arguments."""
