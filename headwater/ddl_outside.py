"""What statements about connections, secrets, sources and sinks make: objects of the catalog, checked as the file's settings are.

Always true: settings of a source or sink went through `config.settings`, as those of the file do. Deliberately unknown: what is
done with the object, and where secrets are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from config.settings import Sink as SinkSettings
from config.settings import Source as SourceSettings
from dataflow.types import Schema
from headwater.catalog import Item, TableColumn
from headwater.world import World, shown_as
from ingest.librdkafka import property_mistake
from serve.definitions import Definition, Definitions
from serve.sql.changes import CreateConnection, CreateSink, CreateSource
from serve.sql.connections import KAFKA, REGISTRY
from serve.sql.errors import QueryError

Model = TypeVar("Model", bound=BaseModel)


class Asks(Protocol):
    """Who asks the outside; for the catalog's thread. QueryError tells why there is no answer."""

    def columns(self, world: World, settings: SourceSettings, registry: str) -> Schema:
        """The columns of a source that names none, from its registry."""
        ...

    def try_connection(self, world: World, name: str) -> None:
        """Return when the other side of a connection answers."""
        ...

    def keep_secret(self, number: int, value: str) -> None:
        """Keep a secret's value under the id that its object is to have."""
        ...


def connection(change: CreateConnection, definitions: Definitions, number: int, before: Item | None) -> Item:
    """A connection. before: with `again`, the one that it takes the place of."""
    type_ = before.type if before is not None else change.type
    properties = {**(before.properties if before is not None else {}), **change.properties}
    secrets = {**(before.secrets if before is not None else {}), **change.secrets}
    for name in change.properties:
        secrets.pop(name, None)
    for name in change.secrets:
        properties.pop(name, None)
    for name in change.gone:
        if properties.pop(name, None) is None and secrets.pop(name, None) is None:
            raise QueryError("42704", f"connection {change.name} has no {name}")
    needed = "bootstrap.servers" if type_ == KAFKA else "schema.registry.url"
    if needed not in properties:
        raise QueryError("22023", f"connection {change.name} needs {needed}")
    for name, secret in secrets.items():
        if definitions.find("secret", secret) is None:
            raise QueryError("42704", f'secret "{secret}" does not exist', hint=f"write CREATE SECRET {secret} AS ...")
        if type_ == KAFKA and (said := property_mistake(name, "")) and "No such" in said:
            raise QueryError("22023", f"librdkafka does not know {name}")
    for name, value in properties.items():
        if (type_ == REGISTRY) != name.startswith("schema.registry."):
            raise QueryError("22023", f"{name} is no property of a connection to {type_}")
        if type_ == KAFKA and (said := property_mistake(name, value)):
            raise QueryError("22023", f"librdkafka refuses {name}: {said[:1].lower()}{said[1:]}")
    return Item(number, "connection", change.name, type=type_, properties=properties, secrets=secrets)


def source(change: CreateSource, world: World, definitions: Definitions, number: int, asks: Asks) -> Item:
    """A source."""
    if change.registry:
        _connection(change.registry, definitions, world, REGISTRY)
    _connection(change.settings["kafka"], definitions, world, KAFKA)
    if change.columns is None and change.settings["format"] == "json":
        raise QueryError(
            "42601", "FORMAT JSON needs the columns",
            hint=f"declare them, as in CREATE SOURCE {change.name} (id bigint, customer text) FROM KAFKA ...",
        )  # fmt: skip
    settings = _checked(SourceSettings, {**change.settings, "columns": None if change.columns is None else {}})
    if change.columns is None:
        found = asks.columns(world, settings, change.registry)
        columns = tuple(TableColumn(c.name, str(c.type), c.nullable) for c in found)
    else:
        columns = tuple(TableColumn(c.name, c.type, c.nullable) for c in change.columns)
    names = [column.name for column in columns]
    for name in (*names, *settings.key):
        if name not in names:
            raise QueryError(
                "42703", f'column "{name}" named in key does not exist', hint=f"there are {', '.join(names)}"
            )
        if names.count(name) > 1:
            raise QueryError("42701", f'column "{name}" specified more than once')
    kept = settings.model_dump(exclude={"columns"}, mode="json")
    text = msgspec.json.encode(kept).decode()
    return Item(
        number, "source", change.name, columns=settings.key, defined=columns, settings=text, registry=change.registry
    )


def sink(change: CreateSink, world: World, definitions: Definitions, number: int) -> Item:
    """A sink."""
    settings = _checked(SinkSettings, change.settings)
    _connection(settings.kafka, definitions, world, KAFKA)
    there = definitions.objects.get(settings.view)
    if there is None or there.broken:
        raise QueryError("42P01", f'relation "{settings.view}" does not exist')
    if settings.view not in world.kept:
        raise QueryError(
            "42809", f'a sink cannot read {there.kind} "{settings.view}", whose rows are not kept',
            hint="make a materialized view of it, and read that",
        )  # fmt: skip
    _check_topic(settings, world)
    names = [column.name for column in there.schema]
    for column in settings.key:
        if column not in names:
            raise QueryError("42703", f'column "{column}" does not exist', hint=f"there are {', '.join(names)}")
    if change.enforced:
        proved = _unique(world, settings.view)
        if not any(unique <= set(settings.key) for unique in proved):
            known = " or ".join(f"({', '.join(sorted(unique, key=names.index))})" for unique in proved[:3] if unique)
            raise QueryError(
                "42830", f"KEY ({', '.join(settings.key)}) is not proved unique in {there.kind} {settings.view}",
                hint=f"{f'use KEY {known}, or ' if known else ''}write NOT ENFORCED: the sink then halts at a key with two rows",
            )  # fmt: skip
    text = msgspec.json.encode(settings.model_dump(mode="json")).decode()
    return Item(
        number, "sink", change.name, columns=settings.key, on=settings.view, settings=text, enforced=change.enforced
    )


def _check_topic(settings: SinkSettings, world: World) -> None:
    """A sink's topic is nobody else's, by the names of their connections."""
    used = [(one.kafka, one.topic, f"source {name} reads") for name, (one, _, _) in world.readers.items()]
    used += [(one.kafka, one.topic, f"sink {name} writes") for name, one in world.writers.items()]
    for kafka, topic, who in used:
        if (kafka, topic) == (settings.kafka, settings.topic):
            kind, name, does = who.split()
            raise QueryError(
                "42710", f"{kind} {shown_as(name)} {does} topic {topic} too", hint="a sink needs a topic of its own"
            )


def _unique(world: World, relation: str) -> tuple[frozenset[str], ...]:
    if relation in world.planned.plans:
        return world.unique(relation)
    schema = world.ground.schema(relation)
    return (frozenset(schema[place].name for place in world.unique_keys.get(relation, range(len(schema)))),)


def _connection(name: str, definitions: Definitions, world: World, type_: str) -> Definition:
    """A connection of this type. QueryError when there is none."""
    found = definitions.find("connection", name)
    if found is None or found.broken:
        known = [one.name for one in definitions.beside.values() if one.kind == "connection"]
        raise QueryError("42704", f'connection "{name}" does not exist', hint=f"there are {', '.join(known) or 'none'}")
    made = world.items.get(name)
    if not found.declared and made is not None and made.type != type_:
        raise QueryError("42809", f'connection "{name}" is to {made.type}, not to {type_}')
    if found.declared and type_ == REGISTRY:
        raise QueryError("42809", f'connection "{name}" is of the service\'s file: leave USING out to use its registry')
    return found


def _checked(model: Callable[..., Model], settings: Mapping[str, Any]) -> Model:
    """Settings as the file's are checked. QueryError with the first mistake."""
    try:
        return model(**settings)
    except ValidationError as errors:
        error = errors.errors(include_url=False)[0]
        where = ".".join(str(part) for part in error["loc"])
        raise QueryError("22023", f"{where}: {error['msg'].removeprefix('Value error, ')}") from None
