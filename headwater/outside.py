"""What lies outside and how it is reached: connections by name, and the readers and writers that use them.

The file's connections and those of the catalog are one kind of thing here: librdkafka's properties, with a registry's beside.
Always true: a source or sink is made of the same settings and by the same code, whoever declared it; values of secrets go from
their file into a client's properties and nowhere else.
Deliberately unknown: when something is read or written, and what a statement said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from config.settings import Source as SourceSettings
from dataflow.types import Schema
from headwater.catalog import CatalogError
from headwater.secrets import Secrets
from headwater.world import World, shown_as
from ingest.decode import avro_columns, make_decoder
from ingest.kept import Keeping
from ingest.registry import Registry, RegistryError, make_registry
from ingest.source import Source
from ingest.table_log import TableLog
from serve.sql.connections import KAFKA, PASSWORD, USERNAME
from serve.sql.errors import QueryError
from sinks.kafka import KafkaSink

log = structlog.get_logger(__name__)

PROBE_SECONDS = 5.0
"""Seconds that the other side of a connection has to answer when it is validated."""


class Outside:
    """Makes the sources and sinks of one service."""

    def __init__(
        self,
        service: str,
        secrets: Secrets | None,
        wake: Callable[[], None],
        owned: Callable[[], bool] | None = None,
        kept: TableLog | None = None,
        bound: Mapping[str, Mapping[int, int]] | None = None,
    ) -> None:
        """secrets: None where none can be kept. owned: see `sinks.kafka.KafkaSink`. kept, bound: see `headwater.home.Home`."""
        self._kept, self._bound = kept, bound or {}
        self._service, self._secrets, self._wake, self._owned = service, secrets, wake, owned
        self._registries: dict[frozenset[tuple[str, str]], Registry | None] = {}

    def source(self, world: World, name: str, again: bool = False, start: bool = False) -> Source:
        """A source by the name that ticks know, not started. again: it reads once more, beside the one that ticks take from.
        start: of the service, which one whose secret's value is lost does not keep from starting: it is halted.

        ValueError, worded for people, when its settings contradict each other; CatalogError when a secret's value is lost.
        """
        settings, schema, registry = world.readers[name]
        lost: list[str] = []
        connection = self.connection(world, settings.kafka, registry, lost if start else None)
        decoder = make_decoder(settings, schema, self.registry(connection))
        group = f"headwater-{self._service}{'-again' if again else ''}"
        wake = (lambda: None) if again else self._wake
        keeping = None
        if self._kept is not None and not again:
            keeping = Keeping(name, settings, schema, self._kept, self._bound.get(name, {}))
        made = Source(settings, shown_as(name), connection, schema, decoder, group, wake, keeping=keeping)
        if lost:
            log.error("source halted", source=shown_as(name), reason=_lost(lost[0]))
            made.halt(_lost(lost[0]))
        return made

    def sink(self, world: World, name: str, start: bool = False) -> KafkaSink:
        """A sink by the name of its transactions, not open. See `source` for `start` and the errors."""
        settings = world.writers[name]
        lost: list[str] = []
        made = KafkaSink(
            settings,
            name,
            self.connection(world, settings.kafka, lost=lost if start else None),
            world.ground.schema(settings.view),
            world.definition(settings.view),
            self._service,
            self._wake,
            self._owned,
        )
        if lost:
            made.halt(_lost(lost[0]))
        return made

    def registry(self, connection: Mapping[str, str]) -> Registry | None:
        """The registry that a connection names, one for all that name it alike. ValueError when its properties are wrong."""
        named = frozenset((name, value) for name, value in connection.items() if name.startswith("schema.registry."))
        if named not in self._registries:
            self._registries[named] = make_registry(dict(named))
        return self._registries[named]

    def connection(self, world: World, name: str, registry: str = "", lost: list[str] | None = None) -> dict[str, str]:
        """The properties of a connection, and of that to a registry beside it.

        CatalogError when a secret's value is lost; with `lost`, those secrets are added to it, and their properties left out.
        """
        if name in world.declared.connections:
            found = dict(world.declared.connections[name])
        else:
            item = next(item for item in world.catalog.items if (item.kind, item.name) == ("connection", name))
            found = dict(item.properties)
            for property_, secret in item.secrets.items():
                value = self._secret(world, secret)
                if value is not None:
                    found[property_] = value
                elif lost is not None:
                    lost.append(secret)
                else:
                    raise CatalogError(_lost(secret))
        if registry:
            found |= self.connection(world, registry, lost=lost)
        user, password = found.pop(USERNAME, None), found.pop(PASSWORD, None)
        if user is not None:
            found["schema.registry.basic.auth.user.info"] = f"{user}:{password or ''}"
        return found

    def _secret(self, world: World, name: str) -> str | None:
        item = next(item for item in world.catalog.items if (item.kind, item.name) == ("secret", name))
        return self._secrets.value(item.id) if self._secrets is not None else None

    # What `headwater.ddl` asks.

    def columns(self, world: World, settings: SourceSettings, registry: str) -> Schema:
        """See `headwater.ddl_outside.Asks`."""
        return self.columns_of(self.connection(world, settings.kafka, registry), settings)

    def columns_of(self, connection: Mapping[str, str], settings: SourceSettings) -> Schema:
        """The columns that the registry of a connection has for a source. QueryError when it does not say."""
        asked = self._registry(connection, settings.kafka)
        try:
            return avro_columns(asked, settings.topic)
        except (RegistryError, ValueError) as error:
            raise QueryError("08006" if isinstance(error, RegistryError) else "22023", str(error)) from None

    def try_connection(self, world: World, name: str) -> None:
        """See `headwater.ddl_outside.Asks`."""
        properties = self.connection(world, name)
        item = world.items.get(name)
        if name in world.declared.connections or (item is not None and item.type == KAFKA):
            try:
                client = {p: value for p, value in properties.items() if not p.startswith("schema.registry.")}
                AdminClient({**client, "log_level": 2}).list_topics(timeout=PROBE_SECONDS)
            except KafkaException as error:
                broker = properties.get("bootstrap.servers", "")
                raise QueryError(
                    "08006", f"connection {name}: no answer from {broker}: {error.args[0].str()}",
                    hint="correct it, or write WITH (VALIDATE = false) to make it all the same",
                ) from None  # fmt: skip
            return
        asked = self._registry(properties, name)
        try:
            asked.check()
        except RegistryError as error:
            raise QueryError("08006", f"connection {name}: {error}") from None

    def keep_secret(self, number: int, value: str) -> None:
        """See `headwater.ddl_outside.Asks`."""
        if self._secrets is None:
            raise QueryError(
                "0A000", "a secret is not supported while the state is in a bucket",
                hint="declare the connection in the service's file, with values from the environment",
            )  # fmt: skip
        try:
            self._secrets.add(number, value)
        except OSError as error:
            raise QueryError(
                "58030", f"the secret cannot be written: {error.strerror}", hint="make room or mend the disk"
            ) from None

    def forget_secrets(self, world: World) -> None:
        """Let go of the values that the catalog no longer names. OSError when the disk refuses."""
        if self._secrets is not None:
            self._secrets.keep({item.id for item in world.catalog.items if item.kind == "secret"})

    def _registry(self, properties: Mapping[str, str], name: str) -> Registry:
        try:
            found = self.registry(properties)
        except ValueError as error:
            raise QueryError("22023", f"connection {name}: {error}") from None
        if found is None:
            raise QueryError(
                "22023",
                f"connection {name} names no schema registry",
                hint="write USING CONFLUENT SCHEMA REGISTRY CONNECTION ...",
            )
        return found


def _lost(secret: str) -> str:
    return (
        f"the value of secret {secret} is lost: restore the file `secrets`, or give it again by ALTER SECRET; "
        "then restart the service"
    )
