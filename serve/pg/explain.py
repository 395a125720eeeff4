"""EXPLAIN: how it is written, and what it answers.

    EXPLAIN [(FORMAT JSON)] query                                                       as in PostgreSQL
    EXPLAIN [RAW | DECORRELATED | OPTIMIZED | PHYSICAL] PLAN [AS TEXT | JSON] FOR what  as in Materialize

where `what` is a query, `VIEW name`, `MATERIALIZED VIEW name`, `INDEX name`, or a CREATE VIEW that does not happen.
Always true: nothing is computed. Deliberately unknown: what plans are made of (`planner.explain`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from planner.catalog import suggest
from planner.explain import Explanation
from serve.definitions import Definition
from serve.pg.commands import Explain
from serve.pg.words import Words
from serve.sql.errors import QueryError

_STAGES = {
    "RAW": "logical",
    "DECORRELATED": "logical",
    "LOGICAL": "logical",
    "OPTIMIZED": "optimized",
    "PHYSICAL": "physical",
}
_FORMATS = ("TEXT", "JSON")


def read_explain(words: Words) -> Explain:
    """The statement after its first word. QueryError when it is none."""
    stage, form = "optimized", "TEXT"
    if words.take("("):
        form = _options(words.listed())
    while words.word in ("ANALYZE", "VERBOSE"):
        if words.word == "ANALYZE":
            raise QueryError("0A000", "EXPLAIN ANALYZE is not supported", hint="use EXPLAIN, and headwater.operators")
        words.at += 1
    words.take("LOCALLY")
    if words.word in _STAGES:
        stage = _STAGES[words.name().upper()]
        words.need("PLAN")
    else:
        words.take("PLAN")
    if words.take("WITH"):
        words.need("(")
        words.listed()
    if words.take("AS"):
        form = words.name().upper()
        if form not in _FORMATS:
            raise QueryError("0A000", f"EXPLAIN AS {form} is not supported", hint="write AS TEXT or AS JSON")
    words.take("FOR")
    kind = _object(words)
    if kind != "query":
        found = Explain(words.name(), stage, form == "JSON", kind)
        words.end()
        return found
    return Explain(words.rest(), stage, form == "JSON")


def _options(listed: list[str]) -> str:
    """The format among PostgreSQL's options; what the others ask for, there is not."""
    form = "TEXT"
    for option in listed:
        name, _, value = option.upper().partition(" ")
        if name == "ANALYZE" and value.strip() not in ("FALSE", "OFF", "0"):
            raise QueryError("0A000", "EXPLAIN ANALYZE is not supported", hint="use EXPLAIN, and headwater.operators")
        if name == "FORMAT":
            form = value.strip()
            if form not in _FORMATS:
                raise QueryError("0A000", f"EXPLAIN (FORMAT {form}) is not supported", hint="write FORMAT TEXT or JSON")
    return form


def _object(words: Words) -> Literal["query", "view", "index"]:
    """What is to be explained; of a CREATE VIEW, the query behind AS."""
    if words.take("VIEW") or words.take("MATERIALIZED", "VIEW"):
        return "view"
    if words.take("INDEX"):
        return "index"
    if words.take("CREATE"):
        words.take("OR", "REPLACE")
        words.take("MATERIALIZED")
        words.need("VIEW")
        words.take("IF", "NOT", "EXISTS")
        words.name()
        if words.take("("):
            words.listed()
        words.need("AS")
    return "query"


def explained_object(command: Explain, objects: Mapping[str, Definition]) -> Explanation:
    """How a view or an index is computed. QueryError when there is none of that name."""
    known = {
        name: one.explained
        for name, one in objects.items()
        if one.explained is not None and (one.kind == "index") == (command.kind == "index")
    }
    if (found := known.get(command.query)) is None:
        hint = suggest(command.query, known)
        raise QueryError("42P01", f'{command.kind} "{command.query}" does not exist', hint=hint)
    return found()


def shown(made: Explanation, command: Explain) -> list[str]:
    """The lines of the stage that was asked for; one of them where it is JSON. QueryError when there is no such stage."""
    if command.stage not in made.stages:
        raise QueryError("0A000", f"there is no {command.stage} plan of it", hint="write EXPLAIN PHYSICAL PLAN FOR ...")
    return [made.json(command.stage)] if command.as_json else made.text(command.stage).split("\n")
