"""GETs of one key, answered from the bytes in front of the web framework: `GET /views/{view}/{key}` as pools of clients send it.

Always true: an answer is what `serve.views` gives; whatever is not a plain GET of one plain key without a body (parameters,
escapes, another method, a connection to be closed, several key columns, a view that is not ready or has errors) is left to it.
One write answers all requests that one read brought.
Deliberately unknown: sockets; who else answers.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from dataflow.json import ObjectWriter, object_writer
from dataflow.types import Kind, Schema
from serve.reads import Publication, PublishedView

FEW = 256
"""Rows of a key that are written here, where everybody waits; more of them are somebody's large read."""

_PLAIN = rb"([A-Za-z0-9_.~-]++)"
_REQUEST = re.compile(
    rb"GET /views/" + _PLAIN + rb"/" + _PLAIN + rb" HTTP/1\.1\r\n"
    # Names that say that there is more to it than what stands here.
    rb"(?:(?!(?i:content-length|transfer-encoding|upgrade|expect|connection(?!: ?keep-alive\r\n)))"
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_NAMES = (b"errors", b"changes")
"""What stands where a key does and is none."""

Read = Callable[[bytes], bytes | None]


def _whole(code: str, digits: int) -> Read:
    pack = struct.Struct(code).pack
    return lambda text: pack(int(text)) if len(text) <= digits and text.isdigit() else None


_READ: dict[Kind, Read] = {
    Kind.SMALLINT: _whole("=h", 4),
    Kind.INTEGER: _whole("=i", 9),
    Kind.BIGINT: _whole("=q", 18),
    Kind.TEXT: lambda text: text,
    Kind.VARCHAR: lambda text: text,
}
"""A key's text as the bytes that an index has; None where it is an unusual one."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is the same for all keys of a view of this schema. write: None where its rows need more than the kernel."""

    schema: Schema
    key: tuple[int, ...]
    read: Read | None
    write: ObjectWriter | None
    begin: bytes


MUCH = 1 << 20
"""Bytes of answers to one read of a socket from which on uvicorn answers the rest, as fast as the client takes it."""


class Keyed:
    """Reads requests and writes answers, for one thread."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication
        self._shapes: dict[bytes, _Shape] = {}

    def answers(self, data: bytes, headers: bytes) -> tuple[list[bytes], int]:
        """The answers to the requests that the data begin with, and where the first other one begins.

        headers: lines that every answer has.
        """
        found: list[bytes] = []
        at, size, published = 0, 0, self._publication.current()
        while size < MUCH and published is not None and (request := _REQUEST.match(data, at)) is not None:
            name, text = request.groups()
            view = published.views.get(name.decode())
            rows = None if view is None or text in _NAMES else self._rows(name, view, text)
            if rows is None:
                break
            begin, objects = rows
            body = b'%b%d,"rows":[%b]}' % (begin, published.time, objects)
            found.append(
                b"HTTP/1.1 %b\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\ncache-control: no-store\r\n\r\n%b"
                % (b"200 OK" if objects else b"404 Not Found", headers, len(body), body)
            )
            at, size = request.end(), size + len(body)
        return found, at

    def _rows(self, name: bytes, view: PublishedView, text: bytes) -> tuple[bytes, bytes] | None:
        """What an answer begins with, and the objects of a key's rows."""
        shape = self._shapes.get(name)
        if shape is None or shape.schema is not view.schema or shape.key != view.key:
            shape = self._shapes[name] = _shape(view)
        if shape.read is None or shape.write is None or view.state != "ready" or view.errors.total:
            return None
        key = shape.read(text)
        if key is None:
            return None
        rows = view.rows.finder.find((key,))
        return (shape.begin, shape.write(rows)) if len(rows) <= FEW and rows.ones() else None


def _shape(view: PublishedView) -> _Shape:
    type_ = view.schema[view.key[0]].type if len(view.key) == 1 else None
    read = None if type_ is None else _READ.get(type_.kind)
    begin = b'{"view":%b,"timestamp":' % json.dumps(view.name).encode()
    return _Shape(view.schema, view.key, read, object_writer(view.schema), begin)
