"""What lies outside and how it is reached: connections by name, and the readers and writers that use them.

The file's connections and those of the catalog are one kind of thing here: librdkafka's properties, with a registry's beside.
Always true: a source or sink is made of the same settings and by the same code, whoever declared it; values of secrets go from
their file into a client's properties and nowhere else.
Deliberately unknown: when something is read or written, and what a statement said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from config.settings import Settings
from config.settings import Source as SourceSettings
from dataflow.types import Schema
from headwater.catalog import CatalogError, Item
from headwater.secrets import Secrets
from headwater.world import World, shown_as, sink_of, source_of
from ingest.decode import avro_columns, make_decoder
from ingest.registry import Registry, RegistryError, make_registry
from ingest.source import Source
from serve.sql.connections import KAFKA, PASSWORD, USERNAME
from serve.sql.errors import QueryError
from sinks.kafka import KafkaSink

PROBE_SECONDS = 5.0
"""Seconds that the other side of a connection has to answer when it is validated."""


class Outside:
    """Makes the sources and sinks of one service. Made once its connections are there."""

    def __init__(
        self,
        settings: Settings,
        connections: Mapping[str, Mapping[str, str]],
        secrets: Secrets | None,
        wake: Callable[[], None],
        owned: Callable[[], bool] | None = None,
    ) -> None:
        """connections: the file's, as they are used. secrets: None where none can be kept. owned: see `sinks.kafka.KafkaSink`.
        ValueError when a registry's properties are wrong."""
        self._settings, self._connections, self._secrets = settings, connections, secrets
        self._wake, self._owned = wake, owned
        self.registries = {name: make_registry(connection) for name, connection in connections.items()}
        self.schemas: Mapping[str, Schema] = {}
        """Of the file's sources; set once they are known."""

    # The file's, and both.

    def source(self, name: str, world: World | None, again: bool = False) -> Source:
        """A source by the name that ticks know, not started. again: it reads once more, beside the one that ticks take from.

        world: None for the file's. ValueError, worded for people, when its settings contradict each other.
        """
        group = f"headwater-{self._settings.name}{'-again' if again else ''}"
        wake = (lambda: None) if again else self._wake
        if name in self._settings.sources:
            settings, schema = self._settings.sources[name], self.schemas[name]
            connection = self._connections[settings.kafka]
            decoder = make_decoder(settings, schema, self.registries[settings.kafka])
            return Source(settings, name, connection, schema, decoder, group, wake)
        assert world is not None
        item = next(item for item in world.source_items() if source_of(item) == name)
        settings, schema = world.source_settings(item), world.streams[item.name]
        connection = self.connection(world, settings.kafka, item.registry)
        decoder = make_decoder(settings, schema, make_registry(connection))
        return Source(settings, shown_as(name), connection, schema, decoder, group, wake)

    def sink(self, world: World, item: Item) -> KafkaSink:
        """A sink of the catalog, not open. ValueError when its settings contradict each other."""
        settings = world.sink_settings(item)
        return KafkaSink(
            settings,
            sink_of(item),
            self.connection(world, settings.kafka),
            world.ground.schema(item.on),
            world.definition(item.on),
            self._settings.name,
            self._wake,
            self._owned,
        )

    def connection(self, world: World, name: str, registry: str = "") -> dict[str, str]:
        """The properties of a connection, and of that to a registry beside it. CatalogError when a secret's value is lost."""
        if name in self._connections:
            found = dict(self._connections[name])
        else:
            item = next(item for item in world.catalog.items if (item.kind, item.name) == ("connection", name))
            found = {**item.properties, **{p: self._secret(world, secret) for p, secret in item.secrets.items()}}
        if registry:
            found |= self.connection(world, registry)
        user, password = found.pop(USERNAME, None), found.pop(PASSWORD, None)
        if user is not None:
            found["schema.registry.basic.auth.user.info"] = f"{user}:{password or ''}"
        return found

    def _secret(self, world: World, name: str) -> str:
        item = next(item for item in world.catalog.items if (item.kind, item.name) == ("secret", name))
        value = self._secrets.value(item.id) if self._secrets is not None else None
        if value is None:
            raise CatalogError(
                f"the value of secret {name} is lost: restore the file `secrets`, or give it again by ALTER SECRET"
            )
        return value

    # What `headwater.ddl` asks.

    def columns(self, world: World, settings: SourceSettings, registry: str) -> Schema:
        """See `headwater.ddl_outside.Asks`."""
        asked = self._registry(self.connection(world, settings.kafka, registry), settings.kafka)
        try:
            return avro_columns(asked, settings.topic)
        except (RegistryError, ValueError) as error:
            raise QueryError("08006" if isinstance(error, RegistryError) else "22023", str(error)) from None
        finally:
            asked.close()

    def try_connection(self, world: World, name: str) -> None:
        """See `headwater.ddl_outside.Asks`."""
        properties = self.connection(world, name)
        item = world.items.get(name)
        if name in self._connections or (item is not None and item.type == KAFKA):
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
        finally:
            asked.close()

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

    @staticmethod
    def _registry(properties: Mapping[str, str], name: str) -> Registry:
        try:
            found = make_registry(properties)
        except ValueError as error:
            raise QueryError("22023", f"connection {name}: {error}") from None
        if found is None:
            raise QueryError(
                "22023",
                f"connection {name} names no schema registry",
                hint="write USING CONFLUENT SCHEMA REGISTRY CONNECTION ...",
            )
        return found
