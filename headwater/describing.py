"""What is told of the objects of a world: their columns, how each came to be, what it reads, comments.

Always true: it follows from the world alone. Deliberately unknown: rows, and who asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from headwater.catalog import Item
from headwater.create import create_statement
from headwater.explainer import Explainer
from headwater.rooms import Shape, Shown
from headwater.world import FIRST_OID, World
from planner.catalog import quoted
from planner.layers import inlined
from planner.plans import relations
from serve.definitions import BESIDE, Definition, Definitions, key_of
from serve.sql.schemas import CLUSTER


def described(world: World, filling: Collection[str] = ()) -> Shape:
    """The shape of a world, with what is told of it. filling: what is kept and has no rows yet."""
    shape = world.shape(filling)
    return replace(shape, definitions=_definitions(world, shape.shown))


def _definitions(world: World, shown: Mapping[str, Shown]) -> Definitions:
    found: dict[str, Definition] = {}
    explainer = Explainer(world)
    for name, schema in world.declared.schemas.items():
        found[name] = _described(world, Definition(name, "source", schema))
    for name, sql in world.declared.views.items():
        reads = frozenset(relations(world.planned.plans[name]))
        explained = partial(explainer.explain, name)
        one = Definition(name, "view", world.planned.schemas[name], query=sql, reads=reads, explained=explained)
        found[name] = _described(world, one)
    beside = {key_of("connection", name): Definition(name, "connection", ()) for name in world.declared.connections}
    for name, sink in world.declared.sinks.items():
        reads = frozenset([sink.view, key_of("connection", sink.kafka)])
        beside[key_of("sink", name)] = Definition(name, "sink", (), on=sink.view, reads=reads)
    beside |= {key_of("role", name): Definition(name, "role", ()) for name in world.declared.users}
    for kind, name in (("cluster", CLUSTER), ("database", world.declared.database)):
        beside[key_of(kind, name)] = Definition(name, kind, ())
    for space in world.catalog.schemas:
        create = f"CREATE SCHEMA {quoted(space.name)}"
        one = Definition(space.name, "schema", (), create=create, oid=FIRST_OID + space.id)
        beside[key_of("schema", space.name)] = one
    for item in world.catalog.items:
        one = _definition(world, item, shown, explainer)
        all_ = beside if item.kind in BESIDE else found
        key = key_of(item.kind, item.name)
        if key in all_:
            key, one = f"{key} (of the catalog)", replace(one, name=f"{item.name} (of the catalog)")
        all_[key] = _described(world, one)
    beside = {key: _described(world, one) for key, one in beside.items()}
    file = world.declared
    return Definitions(world.catalog.version, found, beside, file.functions, explainer.growing, file.database)


def _definition(world: World, item: Item, shown: Mapping[str, Shown], explainer: Explainer) -> Definition:
    create = create_statement(item)
    oid = FIRST_OID + item.id
    if item.name in world.broken:
        reason = world.broken[item.name].message
        return Definition(item.name, item.kind, (), create=create, query=item.sql, broken=reason)
    if item.kind in BESIDE:
        return Definition(item.name, item.kind, (), None, create, reads=world.reads(item), on=item.on, oid=oid)
    relation = item.on or item.name
    kept = item.kind != "view" or relation in shown
    return Definition(
        item.name,
        item.kind,
        world.ground.schema(relation),
        None if kept else inlined(world.planned, item.name, world.maintained | shown.keys()),
        create,
        item.sql,
        world.reads(item),
        item.on,
        world.key(item),
        oid,
        defaults={column.name: column.default for column in item.defined if column.default},
        keys=world.table_keys(item) if item.kind == "table" else (),
        checks=item.checks,
        explained=partial(explainer.explain, item.name),
    )


def _described(world: World, one: Definition) -> Definition:
    """With its comments."""
    comments = world.catalog.comments
    columns = {c.name: comments[f"{one.name}\t{c.name}"] for c in one.schema if f"{one.name}\t{c.name}" in comments}
    return replace(one, comment=comments.get(key_of(one.kind, one.name), ""), column_comments=columns)
