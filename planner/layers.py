"""One maintained object as a dataflow of its own, over what others maintain: what a catalog that changes is made of.

    CREATE MATERIALIZED VIEW big AS SELECT * FROM revenue WHERE total > 100      reads `revenue`, shows `big`
    CREATE INDEX by_total ON revenue (total)                                     reads `revenue`, shows it by `total`

Always true: views that are maintained elsewhere are inputs, all others are computed inside.
Deliberately unknown: where the rows of the inputs come from, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from dataflow.graph import GraphBuilder, Node
from dataflow.step import Dataflow
from dataflow.types import Schema
from planner.keys import Key, keys_of
from planner.lower import Lowering
from planner.monotonic import append_only as proved_append_only
from planner.plan import Get, Plan
from planner.plans import relations, rewrite_plan
from planner.views import PlannedViews


@dataclass(frozen=True)
class Ground:
    """What layers stand on: all planned views, and the relations that are not views.

    sources: the columns of each. unique: key positions of those that have one row for each key. append_only: those that never
    lose a row. given: by relation, the name under which its rows come, where that is another one.
    """

    planned: PlannedViews
    sources: Mapping[str, Schema]
    unique: Mapping[str, tuple[int, ...]]
    append_only: Collection[str]
    given: Mapping[str, str] = field(default_factory=dict)

    def schema(self, name: str) -> Schema:
        """The columns of a source or view; KeyError if there is none."""
        return self.sources[name] if name in self.sources else self.planned.schemas[name]


def build_layer(
    ground: Ground,
    relation: str,
    show_as: str,
    key: tuple[int, ...],
    maintained: Collection[str],
    stopwatch: Callable[[], float],
) -> Dataflow:
    """The dataflow that shows `relation` as `show_as`, indexed by the columns at `key`.

    maintained: the relations that are its inputs, `relation` too if it is among them.
    """
    builder = GraphBuilder()
    lowering = Lowering(builder)
    planned = ground.planned
    for name in ground.sources:
        lowering.keys[name] = frozenset([Key(ground.unique[name])] if name in ground.unique else [])
    lowering.append_only = set(ground.append_only) - set(ground.unique)
    for name in planned.order:
        lowering.keys[name] = keys_of(planned.plans[name], lowering.keys)
        if proved_append_only(planned.plans[name], lowering.append_only):
            lowering.append_only.add(name)

    def node(name: str) -> Node:
        made = lowering.relations.get(name)
        if made is None:
            if name in maintained or name in ground.sources:
                given = ground.given.get(name, name)
                made = builder.input(given, tuple(column.type for column in ground.schema(name)))
            else:
                for below in sorted(relations(planned.plans[name])):
                    node(below)
                made = lowering.lower(planned.plans[name])
            lowering.relations[name] = made
        return made

    builder.export(show_as, node(relation), ground.schema(relation), key)
    return builder.build(stopwatch)


def build_table(
    given: str, schema: Schema, show_as: str, key: tuple[int, ...], stopwatch: Callable[[], float]
) -> Dataflow:
    """The dataflow that keeps the rows that the input `given` gets, and shows them as `show_as`."""
    builder = GraphBuilder()
    builder.export(show_as, builder.input(given, tuple(column.type for column in schema)), schema, key)
    return builder.build(stopwatch)


def build_upserts(
    given: str, schema: Schema, show_as: str, key: tuple[int, ...], stopwatch: Callable[[], float]
) -> Dataflow:
    """The dataflow that keeps the last row of each key of the keyed stream `given`, and shows them as `show_as`."""
    builder = GraphBuilder()
    rows = builder.upsert(builder.input(given, tuple(column.type for column in schema)), key)
    builder.export(show_as, rows, schema, key)
    return builder.build(stopwatch)


def inlined(planned: PlannedViews, view: str, maintained: Collection[str]) -> Plan:
    """The plan of a view over maintained relations and sources only."""

    def change(plan: Plan) -> Plan:
        if isinstance(plan, Get) and plan.name in planned.plans and plan.name not in maintained:
            return inlined(planned, plan.name, maintained)
        return plan

    return rewrite_plan(planned.plans[view], change)
