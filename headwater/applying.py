"""What the service's file says now, compared with what is running, and the world that makes the two the same.

Always true: the plan follows from both alone, so that what is applied is what was shown, or is refused; objects of the file that
mean the same are left as they are. What cannot change while it runs is refused whole, with what to do.
Deliberately unknown: how a world takes effect (`headwater.changes`), and who asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from headwater.declared import Declared
from headwater.world import World, shown_as
from planner.errors import PlanErrors
from planner.plans import relations
from serve.sql.errors import QueryError


@dataclass(frozen=True, slots=True)
class Reread:
    """The file as it is now. notes: what of it does not count before the next start."""

    declared: Declared
    notes: tuple[str, ...] = ()


Again = Callable[[World], Reread]
"""Reads the file again. QueryError when it has mistakes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """world: the next one; None when nothing changes. lines: what happens, one line each."""

    world: World | None
    lines: tuple[str, ...]


def digest(lines: tuple[str, ...] | list[str]) -> str:
    """What identifies a plan that somebody looked at."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def plan(before: World, again: Reread, looked_at: str = "") -> Plan:
    """What makes the running service as the file is. QueryError when it cannot be done while it runs, or is no longer what was
    looked at (the digest)."""
    declared = again.declared
    _check_unchanged(before.declared.sources, declared.sources, "source")
    _check_unchanged(before.declared.sinks, declared.sinks, "sink")
    world = _next(before, declared)
    for name, settings in world.writers.items():
        if name in before.writers and world.definition(settings.view) != before.definition(settings.view):
            raise QueryError(
                "0A000", f"sink {shown_as(name)} writes view {settings.view}, whose meaning changes",
                hint="a sink's topic is one definition's: give the sink another name and a new topic",
            )  # fmt: skip
    lines = [*_lines(before, world)]
    if not lines and not again.notes:
        return Plan(None, ("nothing to change: the service is as its file says",))
    shown = (*lines, *again.notes)
    if looked_at and looked_at != digest(shown):
        raise QueryError(
            "55000", "the file or the service has changed since the plan was made", hint="look at the plan again"
        )
    return Plan(world if lines else None, shown)


def _check_unchanged(before: Mapping[str, object], now: Mapping[str, object], kind: str) -> None:
    for name in before.keys() & now.keys():
        if before[name] != now[name]:
            raise QueryError(
                "0A000", f"{kind} {name} is declared otherwise than it runs, and cannot change while it does",
                hint=f"give the changed {kind} another name{' and topic' if kind == 'sink' else ''}, or restart the service",
            )  # fmt: skip


def _next(before: World, declared: Declared) -> World:
    """The world of the changed file; objects of the catalog that mean something else then are other ones, with other ids."""
    catalog = msgspec.structs.replace(before.catalog, version=before.catalog.version + 1)
    try:
        world = World(declared, catalog, before.base)
    except PlanErrors as errors:
        error = errors.errors[0]
        raise QueryError("42000", f"view {error.view}: {error.message}", hint=error.hint) from None
    for name in sorted(world.broken.keys() - before.broken.keys()):
        raise QueryError(
            "2BP01", f"{name}, which SQL made, would no longer be possible: {world.broken[name].message}",
            hint=f"drop {name} first, or leave in the file what it needs",
        )  # fmt: skip
    number, items = catalog.next_id, []
    for item in catalog.items:
        if item.name in world.items and item.name in before.items and _moves(before, world, item.name):
            item, number = msgspec.structs.replace(item, id=number), number + 1
        items.append(item)
    # What the base no longer holds as it is to be is a layer for good: what is filled from it meanwhile is not the base's.
    base = {
        name: means
        for name, means in (before.base or {}).items()
        if name in declared.names and means == world.means(name)
    }
    return World(declared, msgspec.structs.replace(catalog, items=tuple(items), next_id=number), base)


def _moves(before: World, world: World, name: str) -> bool:
    """Whether an object of the catalog that has rows has other ones in the new world."""
    item = world.items[name]
    return item.kind in ("materialized view", "index") and before.meaning(item) != world.meaning(item)


def _lines(before: World, world: World) -> Iterator[str]:
    """What happens, in the order of creating, replacing, dropping."""
    was, now = before.declared, world.declared
    for name in sorted(now.connections.keys() - was.connections.keys()):
        yield f"create connection {name}"
    for name in [name for name in now.sources if name not in was.sources]:
        yield f"create source {name}: topic {now.sources[name].topic} is read from its beginning"
    for item in world.overlay:
        if item.kind == "source" or item.id in {one.id for one in before.overlay}:
            continue
        verb = "replace" if item.name in was.views else "create"
        yield f"{verb} view {item.name}: {_filled(world, item.name)}"
    for name in [name for name in now.views if name in was.views and before.means(name) == world.means(name)]:
        if now.views[name] != was.views[name]:
            yield f"rewrite view {name}: it means the same, and stays as it is"
    for name in [
        name for name in now.views if name in was.views and now.histories.get(name) != was.histories.get(name)
    ]:
        yield f"change view {name}: its past is kept for {now.histories.get(name, 0) / 1000:g} s"
    for item in world.layer_items():
        if item.id > 0 and item.id not in {one.id for one in before.layer_items()}:
            yield f"replace {item.kind} {item.name}, which SQL made: {_filled(world, item.on or item.name)}"
    for name in [name for name in now.sinks if name not in was.sinks]:
        yield f"create sink {name}: topic {now.sinks[name].topic} gets all rows of view {now.sinks[name].view}"
    for name in [name for name in was.sinks if name not in now.sinks]:
        yield f"drop sink {name}: topic {was.sinks[name].topic} stays as it is"
    for name in [name for name in was.views if name not in now.views]:
        yield f"drop view {name}"
    for name in [name for name in was.sources if name not in now.sources]:
        yield f"drop source {name}"
    for name in sorted(was.connections.keys() - now.connections.keys()):
        yield f"drop connection {name}"


def _filled(world: World, relation: str) -> str:
    """Where a relation's rows come from, once more."""
    read = sorted(relations(world.planned.plans[relation])) if relation in world.planned.plans else [relation]
    found = [
        f"{name} ({'kept' if name in world.kept else 'its topic is read again' if name in world.schemas else 'computed'})"
        for name in read
    ]
    return f"filled from {', '.join(found) or 'constants'}"
