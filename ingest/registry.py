"""The schema registry: Avro schemas by id, and a subject's newest one.

Always true: a schema once fetched by id is kept for good (ids never change their meaning); what cannot be had is one of two
errors: `UnknownSchemaError` (the registry answered: there is none) or `RegistryUnavailable` (ask again later).
Deliberately unknown here: what the schemas say about columns, and when to ask again (the reader decides).

    RegistryError
    ├── RegistryUnavailable   no answer, an overloaded or failing registry, refused credentials
    └── UnknownSchemaError         no such id or subject, or its text is no Avro schema
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import fastavro
import msgspec

_PREFIX = "schema.registry."
_NUMBERS = (
    "timeout",
    "max.retries",
    "retries.wait.ms",
    "retries.max.wait.ms",
    "cache.capacity",
    "cache.latest.ttl.sec",
)
# The reader asks again by itself, so one request must not hold it for long.
_DEFAULTS: dict[str, Any] = {"timeout": 5, "max.retries": 0, "cache.latest.ttl.sec": 0}


class RegistryError(Exception):
    """A schema cannot be had."""


class RegistryUnavailable(RegistryError):  # noqa: N818 (a state of the registry, which passes)
    """The registry gives no usable answer now; the same question may be answered later."""


class UnknownSchemaError(RegistryError):
    """The registry answered that there is no such Avro schema."""


class Registry:
    """Schemas of one registry, parsed for fastavro. May be used from any thread.

    properties: the client's own besides the address (`basic.auth.user.info`, `ssl.ca.location`, ...). Raises ValueError for
    properties that the client does not know.
    """

    def __init__(self, url: str, properties: Mapping[str, str] | None = None) -> None:
        given = {
            name: _number(name, value) if name in _NUMBERS else value for name, value in (properties or {}).items()
        }
        # Imported where there is a registry: with its HTTP library the client takes an eighth of a start.
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        self._url = _without_secret(url)
        self._refused = SchemaRegistryError
        self._client = SchemaRegistryClient({**_DEFAULTS, **given, "url": url})
        self._lock = threading.Lock()
        self._by_id: dict[int, Any] = {}

    def by_id(self, schema_id: int) -> Any:
        """The parsed Avro schema `schema_id`; raises UnknownSchemaError or RegistryUnavailable."""
        with self._lock:
            if schema_id not in self._by_id:
                what = f"schema {schema_id}"
                found = self._ask(what, self._client.get_schema, schema_id)
                self._by_id[schema_id] = self._parse(what, found)
            return self._by_id[schema_id]

    def latest(self, subject: str) -> Any:
        """The parsed newest Avro schema of `subject`; raises UnknownSchemaError or RegistryUnavailable."""
        with self._lock:
            found = self._ask(f"subject {subject!r}", self._client.get_latest_version, subject)
            return self._parse(f"subject {subject!r}", found.schema)

    def check(self) -> None:
        """Return when it answers; raises RegistryError when it does not, or is no registry."""
        self._ask("list of subjects", self._client.get_subjects)

    def close(self) -> None:
        """Give back connections; the registry is of no use afterwards."""
        self._client.close()

    def _ask(self, what: str, question: Any, *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except self._refused as error:
            status, message = error.http_status_code, str(error.error_message)[:200]
            if status in (404, 422):
                raise UnknownSchemaError(f"registry {self._url} has no {what}: {message}") from error
            if status in (401, 403):
                raise RegistryUnavailable(
                    f"registry {self._url} refuses {what} (HTTP {status}: {message}); check {_PREFIX}basic.auth.user.info"
                ) from error
            raise RegistryUnavailable(f"registry {self._url} fails on {what} (HTTP {status}: {message})") from error
        except Exception as error:
            # The client passes on whatever its HTTP library raises: refused connections, timeouts, TLS, broken bodies.
            raise RegistryUnavailable(
                f"registry {self._url} gives no answer on {what}: {type(error).__name__}: {str(error)[:200]}"
            ) from error

    def _parse(self, what: str, schema: Any) -> Any:
        """The schema with the schemas it refers to, parsed together."""
        named: dict[str, Any] = {}
        self._references(schema, named, set())
        if (schema.schema_type or "AVRO") != "AVRO":
            raise UnknownSchemaError(f"{what} of registry {self._url} is {schema.schema_type}, not AVRO")
        return _parse_text(f"{what} of registry {self._url}", schema.schema_str, named)

    def _references(self, schema: Any, named: dict[str, Any], known: set[tuple[str, int]]) -> None:
        """Parse what `schema` refers to, depth first, into `named`."""
        for reference in schema.references or ():
            place = (reference.subject, reference.version)
            if place in known:
                continue
            known.add(place)
            what = f"subject {reference.subject!r} version {reference.version}"
            found = self._ask(what, self._client.get_version, *place)
            self._references(found.schema, named, known)
            _parse_text(what, found.schema.schema_str, named)


def make_registry(connection: Mapping[str, str]) -> Registry | None:
    """The registry that a connection names by `schema.registry.url` and further `schema.registry.*`; None if it names none.

    Raises ValueError, worded for people, when the properties are wrong.
    """
    configuration = {
        name.removeprefix(_PREFIX): value for name, value in connection.items() if name.startswith(_PREFIX)
    }
    if not configuration:
        return None
    if "url" not in configuration:
        raise ValueError(f"{_PREFIX}url is missing beside {', '.join(_PREFIX + name for name in configuration)}")
    try:
        return Registry(configuration.pop("url"), configuration)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{_PREFIX}*: {error}") from error


def _parse_text(what: str, text: str, named: dict[str, Any]) -> Any:
    try:
        return fastavro.parse_schema(msgspec.json.decode(text), named_schemas=named, expand=False)
    except (
        msgspec.DecodeError,
        fastavro.schema.SchemaParseException,
        TypeError,
        KeyError,
        ValueError,
        RecursionError,
    ) as error:
        raise UnknownSchemaError(f"{what} is no Avro schema: {str(error)[:200]}") from error


def _without_secret(url: str) -> str:
    """The addresses as messages may show them."""
    return re.sub(r"//[^/@,]*@", "//", url)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is a number, not {value!r}") from None
