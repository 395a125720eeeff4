"""The schema `headwater`: what the service is doing, as relations: views, sources and their offsets, sinks, operators, clients.

Always true: it shows the status of now beside the views of the time that is read; what the broker has not said yet is NULL.
Deliberately unknown: SQL.
"""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from planner.catalog import schema_and_name
from serve.definitions import APART, Definition, name_of
from serve.reads import scan
from serve.sql.system import Facts, Row, SystemRelation
from serve.status import lag

SHOWN_ERRORS = 1000
"""Different texts that are shown of one object."""


def _views(facts: Facts) -> Iterator[Row]:
    for view in facts.published.views.values() if facts.published is not None else ():
        key = ", ".join(view.schema[index].name for index in view.key)
        yield (
            view.name,
            view.state,
            view.reason or None,
            key or None,
            view.rows.total,
            view.rows.nbytes,
            view.errors.total,
        )


def _sources(facts: Facts) -> Iterator[Row]:
    for name, source in facts.now().sources.items():
        counts = (source.records, source.bytes, source.errors)
        yield (name, source.state, source.reason or None, *counts, *source.hydration)


def _offsets(facts: Facts) -> Iterator[Row]:
    for name, source in facts.now().sources.items():
        for number, at in source.partitions.items():
            known = [value if value >= 0 else None for value in (at.offset, at.low, at.high)]
            yield (name, number, *known, lag(at))


def _sinks(facts: Facts) -> Iterator[Row]:
    for name, sink in facts.now().sinks.items():
        counts = (sink.transactions, sink.records, sink.bytes, sink.aborted, sink.queued_rows)
        yield (name, sink.state, sink.reason or None, sink.frontier, *counts)


def _operators(facts: Facts) -> Iterator[Row]:
    for op in facts.now().operators():
        sizes = (op.rows_in, op.rows_out, op.seconds, op.state_rows, op.state_bytes, op.state_file_bytes)
        yield (op.node, op.operator, op.view, *sizes)


def _objects(facts: Facts) -> Iterator[Row]:
    for one in _definitions(facts):
        schema = None if one.kind in APART else schema_and_name(one.name)[0]
        yield (one.name, one.kind, one.declared, one.comment or None, one.create or None, one.broken or None, schema)


def _indexes(facts: Facts) -> Iterator[Row]:
    for one in _definitions(facts):
        if one.kind == "index" and not one.broken:
            key = ", ".join(one.schema[index].name for index in one.key)
            yield (one.name, one.on or None, key, one.comment or None, schema_and_name(one.name)[0])


def _columns(facts: Facts) -> Iterator[Row]:
    for one in _definitions(facts):
        for place, column in enumerate(one.schema if one.kind != "index" else (), 1):
            comment = one.column_comments.get(column.name)
            yield (one.name, place, column.name, column.nullable, str(column.type), comment)


def _dependencies(facts: Facts) -> Iterator[Row]:
    for one in _definitions(facts):
        yield from ((one.name, name_of(key)) for key in sorted(one.reads))


def _definitions(facts: Facts) -> Iterable[Definition]:
    return facts.published.definitions.every.values() if facts.published is not None else ()


def _service(facts: Facts) -> Iterator[Row]:
    now = facts.now()
    time = facts.published.time if facts.published is not None else None
    last = datetime.fromtimestamp(now.last_tick_wall, UTC) if now.last_tick_wall else None
    memory = (now.memory.limit, now.memory.state_bytes, now.memory.trouble or None) if now.memory else (None,) * 3
    yield (facts.service, now.ready, now.reason or None, time, now.ticks, last, *memory)


def _freshness(facts: Facts) -> Iterator[Row]:
    """Views that can be read are complete up to the time that is read; a sink's topic may be behind it."""
    if facts.published is None:
        return
    wall = clock.time()
    for kind in (facts.published.views, facts.published.sources):
        for name, view in kind.items():
            time = facts.published.time if view.state == "ready" else None
            what = facts.published.definitions.objects.get(name)
            yield (name, what.kind if what is not None else "view", time, None if time is None else _age(wall, time))
    for name, sink in facts.now().sinks.items():
        time = None if sink.frontier is None else sink.frontier - 1
        yield (name, "sink", time, None if time is None else _age(wall, time))


def _age(wall: float, time: int) -> float:
    """Seconds since a time."""
    return max(0.0, round(wall - time / 1000, 3))


def _errors(facts: Facts) -> Iterator[Row]:
    for view in facts.published.views.values() if facts.published is not None else ():
        rows = scan(view.errors, (), SHOWN_ERRORS, distinct=True)
        if rows.columns:
            texts = rows.columns[0].to_pylist()[:SHOWN_ERRORS]
            yield from ((view.name, text, int(diff)) for text, diff in zip(texts, rows.diffs, strict=False) if diff > 0)
    for name, source in facts.now().sources.items():
        for text, count in Counter(source.latest_errors).items():
            yield (name, text, count)


def _sessions(facts: Facts) -> Iterator[Row]:
    for one in facts.now().sessions():
        since = datetime.fromtimestamp(one.since, UTC)
        yield (one.process, one.user, one.application or None, one.address or None, since, one.state)


def _subscriptions(facts: Facts) -> Iterator[Row]:
    for one in facts.now().subscriptions():
        yield (", ".join(one.reads) or None, one.time, one.readers, one.waiting_bytes)


INTROSPECTION_RELATIONS = (
    SystemRelation(
        "headwater.objects",
        "name text, kind text, declared boolean, comment text, create_sql text, broken text, schema text",
        _objects,
    ),
    SystemRelation("headwater.indexes", "name text, on text, key text, comment text, schema text", _indexes),
    SystemRelation(
        "headwater.columns",
        "object text, position integer, name text, nullable boolean, type text, comment text",
        _columns,
    ),
    SystemRelation("headwater.dependencies", "object text, reads text", _dependencies),
    SystemRelation(
        "headwater.views",
        "name text, state text, reason text, key text, rows bigint, bytes bigint, errors bigint",
        _views,
    ),
    SystemRelation(
        "headwater.sources",
        "name text, state text, reason text, records bigint, bytes bigint, errors bigint, hydrated_offsets bigint, "
        "hydration_offsets bigint",
        _sources,
    ),
    SystemRelation(
        "headwater.source_offsets",
        "source text, partition integer, next_offset bigint, low_offset bigint, high_offset bigint, lag bigint",
        _offsets,
    ),
    SystemRelation(
        "headwater.sinks",
        "name text, state text, reason text, frontier bigint, transactions bigint, records bigint, bytes bigint, "
        "aborted bigint, queued_rows bigint",
        _sinks,
    ),
    SystemRelation(
        "headwater.operators",
        "node integer, operator text, view text, rows_in bigint, rows_out bigint, seconds double precision, "
        "state_rows bigint, state_bytes bigint, state_file_bytes bigint",
        _operators,
    ),
    SystemRelation(
        "headwater.service",
        "name text, ready boolean, reason text, time bigint, ticks bigint, last_tick timestamptz, memory_limit bigint, "
        "memory_bytes bigint, memory_trouble text",
        _service,
    ),
    SystemRelation(
        "headwater.freshness", "name text, kind text, time bigint, lag_seconds double precision", _freshness
    ),
    SystemRelation("headwater.errors", "object text, error text, count bigint", _errors),
    SystemRelation(
        "headwater.sessions",
        "id bigint, usename text, application_name text, client text, connected_at timestamptz, state text",
        _sessions,
    ),
    SystemRelation(
        "headwater.subscriptions", "reads text, time bigint, readers bigint, waiting_bytes bigint", _subscriptions
    ),
)
