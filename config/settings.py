"""The typed form of the YAML file: what each key means, its default and its limits (DESIGN: one YAML file).

Always true: a `Settings` object is complete; nothing else reads the environment or the file. Column types and SQL are kept as
text: `headwater.check` reads them with the rooms that own them and reports at the marks that `config.load` kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]

Property = Annotated[str, WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""A property of a client library: every scalar of the file is taken as it is written."""


def _readable(parse: Callable[[str], object]) -> AfterValidator:
    """The text stays as it is written; what `parse` says of one that it cannot read becomes the mistake."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]*)):(?P<port>\d{1,5})")


def parse_address(text: str) -> tuple[str, int]:
    """Read `host:port` or `[ipv6]:port`; an empty host means every interface. ValueError says what is allowed."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError("allowed: host:port with a port from 0 to 65535, an IPv6 host in [ ]")
    return found["six"] or found["host"] or "0.0.0.0", int(found["port"])


_MEMORY = re.compile(r"unlimited|(?P<count>[0-9]+)(?P<unit>[KMGT])iB")


def parse_memory(text: str) -> int | None:
    """Read `512MiB`, `2GiB`, or `unlimited` (None): bytes. ValueError says what is allowed."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise ValueError("allowed: a number with KiB, MiB, GiB or TiB, as 2GiB; or unlimited")
    return int(found["count"]) << 10 * (1 + "KMGT".index(found["unit"])) if found["unit"] else None


_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _topic(text: str) -> str:
    if not _TOPIC.fullmatch(text) or text in (".", ".."):
        raise ValueError("allowed: up to 249 letters, digits, '.', '_' and '-'; Kafka knows no other topic names")
    return text


_DURATION = re.compile(r"never|(?P<count>[0-9]+)(?P<unit>ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float | None:
    """Read `500ms`, `30s`, `5m`, `1h`, or `never` (None): seconds, above 0. ValueError says what is allowed."""
    found = _DURATION.fullmatch(text)
    if found is None or (found["count"] and int(found["count"]) == 0):
        raise ValueError("allowed: a number above 0 with ms, s, m or h, as 30s; or never")
    return int(found["count"]) * _SECONDS[found["unit"]] if found["unit"] else None


class Strict(BaseModel):
    """Unknown keys are mistakes; values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Strict):
    """A topic read into a relation."""

    kafka: Name = Field(description="name of a connection under `kafka`")
    topic: Annotated[str, AfterValidator(_topic)] = Field(
        min_length=1, max_length=249, description="name of the topic to read"
    )
    format: Literal["json", "avro"] = Field(description="how a message's value is encoded")
    envelope: Literal["none", "upsert"] = Field("none", description="how a record encodes a change")
    key: tuple[Name, ...] = Field((), description="with envelope upsert: the columns that the message key holds")
    key_format: Literal["json", "text", "avro"] = Field("json", description="how a message's key is encoded")
    columns: dict[Name, str] | None = Field(
        None,
        description="column name to PostgreSQL type, optionally with `not null`; with avro the schema names them when absent",
    )
    keep_rows: Literal["auto", "always", "never"] = Field(
        "auto",
        description="whether the state folder keeps what was read of the topic, so that all of it can be computed again when the "
        "broker has compacted the topic since: auto does where its cleanup.policy says compact when it is first read",
    )


class View(Strict):
    """A maintained query."""

    sql: str = Field(min_length=1, description="one SELECT over sources and other views, in PostgreSQL's dialect")
    key: tuple[Name, ...] = Field(
        (), description="columns that lookups by path name, in this order; the view is indexed by them"
    )
    retain_history: Annotated[str, _readable(parse_duration)] = Field(
        "never", description="how long earlier times of the view can be read AS OF, as 1h; or never"
    )


class Sink(Strict):
    """A view's changes written to a topic, exactly once."""

    view: Name = Field(description="name of the view to write")
    kafka: Name = Field(description="name of a connection under `kafka`")
    topic: Annotated[str, AfterValidator(_topic)] = Field(
        min_length=1, max_length=249, description="name of the topic to write"
    )
    format: Literal["json"] = Field("json", description="how a message's key and value are encoded")
    envelope: Literal["upsert"] = Field("upsert", description="how a record encodes a change")
    key: tuple[Name, ...] = Field(min_length=1, description="columns that make the message key; unique in the view")
    partitions: int = Field(4, ge=1, description="partitions of the topic, when the sink has to create it")
    replication: int = Field(1, ge=1, description="replication factor of the topic, when the sink has to create it")


class Tls(Strict):
    """What TLS needs, as PEM files."""

    certificate: str = Field(min_length=1, description="file with the certificate and those that it was signed with")
    key: str = Field(min_length=1, description="file with the certificate's private key")


class Serve(Strict):
    """Where the service listens."""

    http: Annotated[str, _readable(parse_address)] = Field(
        default="127.0.0.1:6876", description="address:port of the HTTP endpoint; port 0 takes a free one"
    )
    postgres: Annotated[str, _readable(parse_address)] | None = Field(
        default=None,
        description="address:port for psql and other PostgreSQL clients, as 127.0.0.1:6875; off when absent; "
        "an address that other machines reach needs `users`",
    )
    users: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict,
        description='who may connect by the PostgreSQL protocol, name to password, as {ada: "${ADA_PASSWORD}"}; '
        "when empty, everybody on this machine",
    )
    tls: Tls | None = Field(default=None, description="lets PostgreSQL clients connect with TLS")


class Checkpoint(Strict):
    """How the state is kept for the next start."""

    interval: Annotated[str, _readable(parse_duration)] = Field(
        default="60s",
        description="time between checkpoints of the state, as 30s; after a restart only what came later is read again; or never",
    )


class Settings(Strict):
    """The whole file."""

    name: Name = Field(description="names the service; prefixes transactional ids and consumer groups")
    state: str = Field("./state", min_length=1, description="folder of the durable state, or s3://bucket/prefix")
    s3: dict[str, Property] = Field(
        default_factory=dict,
        description="how the bucket of `state` is reached: `endpoint`, `region`, `access_key_id`, `secret_access_key` and other "
        "properties of obstore's S3 client; what is absent comes from where AWS's own tools look, such as the machine's role",
    )
    memory: Annotated[str, _readable(parse_memory)] = Field(
        "unlimited",
        description="memory for state, as 2GiB, beyond which the largest pieces of it move to files in the state folder",
    )
    checkpoint: Checkpoint = Field(default_factory=Checkpoint, description="how the state is kept for the next start")
    threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="threads that share the work of large changes; when absent, as many as the process may use cores",
    )
    kafka: dict[Name, dict[str, Property]] = Field(
        description="connections: any librdkafka property; `bootstrap.servers: embedded` starts a broker for trying things out; "
        "`schema.registry.url` names the registry for avro"
    )
    sources: dict[Name, Source] = Field(description="topics to read, each a relation that views can name")
    functions: str | None = Field(
        None,
        min_length=1,
        description="file of a Python module whose functions SQL can call; when its text changes, so do the views that call them",
    )
    views: dict[Name, View] = Field(default_factory=dict, description="maintained queries, each a relation too")
    sinks: dict[Name, Sink] = Field(default_factory=dict, description="topics to write views to")
    serve: Serve = Field(default_factory=Serve, description="where the service listens")
