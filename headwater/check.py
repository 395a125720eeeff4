"""`headwater check`: the whole file, its types and SQL included, every mistake at once, each at its line and column.

Always true: nothing is connected to and nothing is written. A mistake in one part hides none in another; a view that only
cannot be checked because of a mistake elsewhere is not reported. Deliberately unknown: topics and the schema registry, so
views over columns that only the registry knows are left for the start, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from config.load import Draft, read
from config.marks import Mark, Marks, Path
from config.mistakes import ConfigErrors, Mistake, did_you_mean, shown, where
from config.references import entries, names
from config.settings import Settings
from dataflow.types import KIND_NAMES, Column, ColumnType, Schema
from headwater.modules import ModuleError, load_functions
from ingest.librdkafka import property_mistake
from planner import PlanErrors, PlannedViews, SqlError, plan_views, unique_keys
from planner.catalog import spelling
from planner.functions.user import Functions

_COLUMN = re.compile(r"(?P<type>.*?)(?P<strict>\s+not\s+null)?\s*", re.IGNORECASE | re.DOTALL)
_MISSING = re.compile(r"function \w+\(.*\) does not exist")


class CheckErrors(ConfigErrors):
    """The mistakes of a file, SQL included; one on a line."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A file without mistakes.

    schemas: columns of the sources that the file names. functions: those of the module that it names. planned: the views whose
    columns are known without the registry. notes: what could not be checked, one line each, with file, line and column.
    """

    settings: Settings
    marks: Marks
    schemas: Mapping[str, Schema]
    planned: PlannedViews
    notes: tuple[str, ...]
    functions: Functions


def check(path: str | PathLike[str], environ: Mapping[str, str]) -> Checked:
    """Check the file at `path` with the variables of `environ`. CheckErrors holds every mistake."""
    return check_draft(read(path, environ))


def check_draft(draft: Draft) -> Checked:
    """The same of a file that was read already."""
    checker = _Checker(draft)
    checker.check_connections()
    checker.check_sources()
    checker.check_functions()
    checker.check_views()
    checker.check_sinks()
    if checker.mistakes or draft.settings is None:
        raise CheckErrors(draft.marks.file, checker.mistakes)
    return Checked(
        draft.settings, draft.marks, checker.schemas, checker.planned, tuple(checker.notes), checker.functions
    )


def parse_column(name: str, text: str) -> Column:
    """Read `bigint` or `bigint not null`. ValueError says which types there are."""
    found = _COLUMN.fullmatch(text)
    assert found is not None  # the pattern takes every text
    return Column(name, ColumnType.parse(found["type"]), nullable=found["strict"] is None)


class _Checker:
    """The state of one check. Works on the parts of the draft that can be read, whatever is wrong with the others."""

    def __init__(self, draft: Draft) -> None:
        self.tree = draft.tree
        self.marks = draft.marks
        self.mistakes: list[Mistake] = list(draft.mistakes)
        self.notes: list[str] = []
        self.schemas: dict[str, Schema] = {}
        self.planned = plan_views({}, {})
        self.functions: Functions = {}
        self._functions_known = True
        self._unknown: set[str] = set()
        """Relations whose columns are not known, so that views over them cannot be checked."""

    def check_connections(self) -> None:
        """The properties of each connection have to be librdkafka's own, with values that it takes."""
        for name, entry in entries(self.tree, "kafka"):
            for key, value in entry.items():
                if isinstance(value, str) and (said := property_mistake(key, value)):
                    path: Path = ("kafka", name, key)
                    text = self.marks.texts.get(path)
                    for secret in text.secrets if text is not None else ():
                        said = _hidden(said, secret)
                    self._mistake(path, f"librdkafka refuses it: {said[:1].lower()}{said[1:]}")

    def check_sources(self) -> None:
        """Read the column types; `schemas` gets the sources whose columns are all right."""
        registry: set[str] = set()
        for name, entry in entries(self.tree, "sources"):
            columns = entry.get("columns")
            if columns is None and entry.get("format") == "avro":
                registry.add(name)
            elif isinstance(columns, Mapping) and (schema := self._schema(name, columns)) is not None:
                self.schemas[name] = schema
        sources = self.tree.get("sources")
        declared = set(sources) if isinstance(sources, Mapping) else set()
        self._note_unchecked(registry)
        self._unknown = declared - self.schemas.keys()

    def check_functions(self) -> None:
        """Load the module of functions; `functions` gets what it has. With a mistake in it, what calls them is not checked."""
        path = self.tree.get("functions")
        if not isinstance(path, str) or not path:
            return
        try:
            self.functions = load_functions(path)
        except ModuleError as error:
            self._mistake(("functions",), str(error))
            self._functions_known = False

    def check_views(self) -> None:
        """Plan the views and report their SQL's mistakes; `planned` gets the views without any."""
        views = {
            name: entry["sql"]
            for name, entry in entries(self.tree, "views")
            if isinstance(entry.get("sql"), str) and entry["sql"]
        }
        declared = self.tree.get("views")
        broken = (set(declared) if isinstance(declared, Mapping) else set()) - views.keys()
        clashing = views.keys() & (self.schemas.keys() | self._unknown)
        self._unknown |= broken | clashing
        checkable = _readable(views, self._unknown)
        try:
            self.planned = plan_views(self.schemas, checkable, self._upserts(), functions=self.functions)
        except PlanErrors as errors:
            for error in errors.errors:
                if self._functions_known or not _MISSING.match(error.message):
                    self._sql_mistake(error)
            wrong = {error.view for error in errors.errors}
            self.planned = plan_views(
                self.schemas, _readable(checkable, wrong), self._upserts(), functions=self.functions
            )
        for name, entry in entries(self.tree, "views"):
            if name in self.planned.schemas:
                self._key_columns(("views", name, "key"), entry.get("key"), name)

    def check_sinks(self) -> None:
        """Sinks need keys that exist in their view and are unique there."""
        upserts = self._upserts()
        for name, entry in entries(self.tree, "sinks"):
            view, key = entry.get("view"), names(entry.get("key"))
            path: Path = ("sinks", name, "key")
            if not isinstance(view, str) or view not in self.planned.schemas or not key:
                continue
            if self._key_columns(path, entry.get("key"), view):
                proved = unique_keys(self.planned, view, upserts)
                if not any(unique <= set(key) for unique in proved):
                    self._mistake(path, self._not_unique(view, key, proved, path))

    def _upserts(self) -> dict[str, tuple[int, ...]]:
        """The key positions of the sources with an upsert envelope."""
        return {
            name: tuple([column.name for column in self.schemas[name]].index(column) for column in key)
            for name, entry in entries(self.tree, "sources")
            if entry.get("envelope") == "upsert" and name in self.schemas
            if (key := names(entry.get("key"))) and {column.name for column in self.schemas[name]} >= set(key)
        }

    def _not_unique(self, view: str, key: tuple[str, ...], proved: Iterable[frozenset[str]], path: Path) -> str:
        written = ", ".join(shown(self.marks, (*path, index), column) for index, column in enumerate(key))
        columns = [column.name for column in self.planned.schemas[view]]
        known = " or ".join(f"({', '.join(sorted(unique, key=columns.index))})" for unique in list(proved)[:3])
        if known:
            return f"read {written}, which the SQL of view {view} does not prove unique; allowed: {known}"
        grouped = f"add GROUP BY {', '.join(key)} to its SQL, so that each key has one row"
        hint = "group its SQL by the key" if "'${" in written else grouped
        return f"read {written}, which the SQL of view {view} does not prove unique; {hint}"

    def _schema(self, source: str, columns: Mapping[str, Any]) -> Schema | None:
        found: list[Column] = []
        split = any(name.endswith(")") for name in columns)
        for name, written in columns.items():
            path = ("sources", source, "columns", name)
            if not isinstance(written, str) or (split and written.count("(") > written.count(")")):
                continue  # reported already: no text, or the head of an unquoted numeric(12,2) in braces
            try:
                found.append(parse_column(name, written))
            except ValueError as error:
                self._mistake(path, self._type_mistake(path, written, str(error)))
        return tuple(found) if found and len(found) == len(columns) else None

    def _type_mistake(self, path: Path, written: str, said: str) -> str:
        text = self.marks.texts.get(path)
        if text is not None and text.substituted:
            return f"read {shown(self.marks, path, written)}, allowed: a type as bigint, text, numeric(12,2), `not null` behind it"
        words = written.lower().split("(")[0].split()
        near = did_you_mean(words[0], KIND_NAMES.split(", ")) if words else ""
        return f"{said}{near}"

    def _key_columns(self, path: Path, key: Any, view: str) -> bool:
        """Report key columns that the view does not have; whether all exist."""
        known = [column.name for column in self.planned.schemas[view]]
        right = True
        for index, column in enumerate(names(key)):
            if column not in known:
                hint = did_you_mean(column, known) or f"; there are {', '.join(known)}"
                place = (*path, index)
                self._mistake(place, f"read {shown(self.marks, place, column)}, no such column in view {view}{hint}")
                right = False
        return right

    def _sql_mistake(self, error: SqlError) -> None:
        path: Path = ("views", error.view, "sql")
        mark = self.marks.inside(path, error.line, error.column)
        message = error.message + (f"; {error.hint}" if error.hint else "")
        text = self.marks.texts.get(path)
        for secret in text.secrets if text is not None else ():
            message = _hidden(message, secret)
        self.mistakes.append(Mistake(mark.line, mark.column, where(path), message))

    def _note_unchecked(self, registry: set[str]) -> None:
        """A note for each view over sources whose columns only the registry knows."""
        views = {n: e["sql"] for n, e in entries(self.tree, "views") if isinstance(e.get("sql"), str)}
        for name in views.keys() - _readable(views, registry).keys():
            mark = self.marks.key(("views", name))
            note = "not checked: its columns come from the schema registry"
            self.notes.append(f"{self.marks.file}:{mark.line}:{mark.column}: views.{name}: {note}")
        self.notes.sort(key=lambda note: int(note.removeprefix(self.marks.file).split(":")[1]))

    def _mistake(self, path: Path, message: str) -> None:
        mark: Mark = self.marks.value(path)
        self.mistakes.append(Mistake(mark.line, mark.column, where(path), message))


def _readable(views: Mapping[str, str], unknown: Iterable[str]) -> dict[str, str]:
    """The views that read, themselves and through other views, no unknown relation."""
    hidden = set(unknown)
    reads = {name: _reads(sql) for name, sql in views.items()}
    while more := {name for name, read in reads.items() if name not in hidden and read & hidden}:
        hidden |= more
    return {name: sql for name, sql in views.items() if name not in hidden}


def _reads(sql: str) -> set[str]:
    """The names of the relations in a query; none when it cannot be parsed, which planning reports."""
    try:
        tree = sqlglot.parse_one(sql, read="materialize")
    except SqlglotError:
        return set()
    return {spelling(table.this) for table in tree.find_all(exp.Table)}


def _hidden(message: str, secret: str) -> str:
    """The message without a text that comes from the environment, whole or word by word."""
    if len(secret) >= 3:
        message = re.sub(re.escape(secret), "${...}", message, flags=re.IGNORECASE)
    for word in set(re.findall(r"\w{3,}", secret)):
        message = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "${...}", message, flags=re.IGNORECASE)
    return message
