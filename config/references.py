"""What parts of the file say about each other: names that have to exist, keys that need columns, clashes.

Always true: works on the tree as read, so it finds its mistakes also in a file whose shape has others. A part of the wrong
shape is left to the shape check. Deliberately unknown: column types and SQL.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from config.marks import Marks, Path
from config.mistakes import Mistake, did_you_mean, shown, where


def check_references(tree: Mapping[str, Any], marks: Marks) -> list[Mistake]:
    """Every mistake between the parts of the file."""
    checks = _References(tree, marks)
    return [*checks.connections(), *checks.sources(), *checks.views(), *checks.sinks(), *checks.doors()]


def entries(tree: Mapping[str, Any], section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a section that are mappings, by name."""
    found = tree.get(section)
    if isinstance(found, Mapping):
        yield from ((str(name), entry) for name, entry in found.items() if isinstance(entry, Mapping))


def names(value: Any) -> tuple[str, ...]:
    """The texts of a list; nothing when it is no list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else ()


class _References:
    def __init__(self, tree: Mapping[str, Any], marks: Marks) -> None:
        self.tree = tree
        self.marks = marks

    def section(self, name: str) -> list[str]:
        found = self.tree.get(name)
        return [str(key) for key in found] if isinstance(found, Mapping) else []

    def mistake(self, path: Path, message: str, at_key: bool = False) -> Mistake:
        mark = self.marks.key(path) if at_key else self.marks.value(path)
        return Mistake(mark.line, mark.column, where(path), message)

    def connections(self) -> Iterator[Mistake]:
        for name, entry in entries(self.tree, "kafka"):
            if "bootstrap.servers" not in entry:
                near = difflib.get_close_matches("bootstrap.servers", list(entry), n=1)
                hint = f"; rename {near[0]}" if near else ", as host:port, or `embedded`"
                yield self.mistake(("kafka", name, "bootstrap.servers"), f"missing{hint}", True)

    def known(self, path: Path, value: Any, section: str, what: str) -> Iterator[Mistake]:
        """`value` has to name an entry of `section`."""
        known = self.section(section)
        if isinstance(value, str) and value not in known:
            hint = did_you_mean(value, known) or (f"; there are {', '.join(known)}" if known else "; there is none")
            yield self.mistake(path, f"read {shown(self.marks, path, value)}, no such {what} under {section}{hint}")

    def twice(self, path: Path, key: Iterable[str]) -> Iterator[Mistake]:
        seen: set[str] = set()
        for index, column in enumerate(key):
            if column in seen:
                yield self.mistake((*path, index), f"{shown(self.marks, (*path, index), column)} is given twice")
            seen.add(column)

    def sources(self) -> Iterator[Mistake]:
        for name, entry in entries(self.tree, "sources"):
            path: Path = ("sources", name)
            yield from self.known((*path, "kafka"), entry.get("kafka"), "kafka", "connection")
            yield from self.source_key(path, entry)
            columns = entry.get("columns")
            if entry.get("format") == "json" and columns is None:
                message = "missing: format json needs the columns, as {id: bigint, customer: text}"
                yield self.mistake((*path, "columns"), message, True)
            elif isinstance(columns, Mapping):
                yield from self.columns((*path, "columns"), columns)
            yield from self.registry(path, entry)
            if entry.get("keep_rows") == "always" and "://" in str(self.tree.get("state", "")):
                message = (
                    "read always, and a state in a bucket keeps no rows; leave it out, or keep the state in a folder"
                )
                yield self.mistake((*path, "keep_rows"), message)

    def source_key(self, path: Path, entry: Mapping[str, Any]) -> Iterator[Mistake]:
        key, columns = names(entry.get("key", ())), entry.get("columns")
        envelope = entry.get("envelope", "none")
        if envelope == "upsert" and not entry.get("key"):
            yield self.mistake((*path, "key"), "missing: envelope upsert needs the columns of the message key", True)
        if envelope == "none" and key:
            message = "a key means something only with envelope: upsert; set it or leave the key out"
            yield self.mistake((*path, "key"), message, True)
        if entry.get("key_format") == "text" and len(key) > 1:
            message = f"allowed: json or avro for a key of {len(key)} columns; text holds one"
            yield self.mistake((*path, "key_format"), message)
        yield from self.twice((*path, "key"), key)
        for index, column in enumerate(names(entry.get("key", ()))):
            if isinstance(columns, Mapping) and columns and column not in columns:
                place = (*path, "key", index)
                hint = did_you_mean(column, columns) or f"; there are {', '.join(columns)}"
                yield self.mistake(place, f"read {shown(self.marks, place, column)}, no such column{hint}")

    def columns(self, path: Path, columns: Mapping[str, Any]) -> Iterator[Mistake]:
        if not columns:
            yield self.mistake(path, "read an empty mapping, allowed: at least one column, as {id: bigint}")
        for column, written in columns.items():
            if column.endswith(")") and written is None:
                # {amount: numeric(12,2)}: in braces the comma begins a new key.
                yield self.mistake(
                    (*path, column), 'the type before it needs quotes inside { }, as "numeric(12,2)"', True
                )

    def registry(self, path: Path, entry: Mapping[str, Any]) -> Iterator[Mistake]:
        connection = entry.get("kafka")
        if "avro" not in (entry.get("format"), entry.get("key_format")):
            return
        for name, properties in entries(self.tree, "kafka"):
            if name == connection and "schema.registry.url" not in properties:
                message = f"missing: sources.{path[1]} reads avro and needs the schema registry of this connection"
                yield self.mistake(("kafka", name, "schema.registry.url"), message, True)

    def views(self) -> Iterator[Mistake]:
        sources = self.section("sources")
        for name in self.section("views"):
            if name in sources:
                line = self.marks.key(("sources", name)).line
                yield self.mistake(("views", name), f"a source has this name too (line {line}); rename one", True)
        for name, entry in entries(self.tree, "views"):
            yield from self.twice(("views", name, "key"), names(entry.get("key", ())))

    def doors(self) -> Iterator[Mistake]:
        serve = self.tree.get("serve")
        address = serve.get("postgres") if isinstance(serve, Mapping) else None
        if isinstance(serve, Mapping) and isinstance(address, str) and not serve.get("users"):
            host = address.rpartition(":")[0].strip("[]")
            if host != "localhost" and not host.startswith("127.") and host != "::1":
                path: Path = ("serve", "postgres")
                message = (
                    f"read {shown(self.marks, path, address)}, which other machines reach: add users, or use 127.0.0.1"
                )
                yield self.mistake(path, message)

    def sinks(self) -> Iterator[Mistake]:
        topics: dict[tuple[Any, Any], str] = {}
        for name, entry in entries(self.tree, "sources"):
            topics.setdefault((entry.get("kafka"), entry.get("topic")), f"sources.{name} reads")
        for name, entry in entries(self.tree, "sinks"):
            path: Path = ("sinks", name)
            yield from self.known((*path, "view"), entry.get("view"), "views", "view")
            yield from self.known((*path, "kafka"), entry.get("kafka"), "kafka", "connection")
            yield from self.twice((*path, "key"), names(entry.get("key", ())))
            topic = (entry.get("kafka"), entry.get("topic"))
            if not isinstance(topic[1], str):
                continue
            if (other := topics.get(topic)) is not None:
                message = f"{other} topic {shown(self.marks, (*path, 'topic'), topic[1])} too; a sink needs its own"
                yield self.mistake((*path, "topic"), message)
            else:
                topics[topic] = f"sinks.{name} writes"
