"""CREATE and ALTER of what lies outside: connections, secrets, sources and sinks, in Materialize's dialect.

    CREATE SOURCE orders (id bigint, customer text, PRIMARY KEY (id))
      FROM KAFKA CONNECTION main (TOPIC 'orders') FORMAT JSON ENVELOPE UPSERT

Always true: what comes out has the names that the service's file gives to the same settings. What Materialize knows and Headwater
does not is refused by name. No error repeats a secret. Deliberately unknown: whether a change is possible.
"""

from __future__ import annotations

import base64
import binascii
import re

from dataflow.types import ColumnType
from serve.pg.clusters import pass_cluster
from serve.pg.words import Words
from serve.sql.changes import ColumnDefinition, CreateConnection, CreateSecret, CreateSink, CreateSource, Validate
from serve.sql.connections import KAFKA, OPTIONS, REGISTRY, is_secret
from serve.sql.errors import QueryError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def plain_name(name: str) -> str:
    """A name that a topic's or a transaction's may be made of. QueryError for others."""
    if not all(map(_NAME.fullmatch, name.split("."))):
        raise QueryError(
            "42602", f'invalid name "{name}"', hint="use letters, digits and _, not a digit first, at most 63"
        )
    return name


def create_secret(words: Words, name: str, if_not_exists: bool, again: bool = False) -> CreateSecret:
    """What follows CREATE SECRET name, or ALTER SECRET name."""
    wrong = QueryError("42601", "a secret is made by AS 'its value', or by AS decode('...', 'base64')")
    if not words.take("AS"):
        raise wrong
    decoded = words.take("DECODE", "(")
    if not words.word.endswith("'"):
        raise wrong
    value = words.name()
    if decoded:
        form = words.name() if words.take(",") and words.word.endswith("'") else ""
        if not words.take(")"):
            raise wrong
        value = _decoded(value, form)
    if words.word:
        raise wrong
    return CreateSecret(name, value, if_not_exists, again)


def _decoded(value: str, form: str) -> str:
    try:
        if form == "base64":
            return base64.b64decode(value, validate=True).decode()
        if form == "hex":
            return bytes.fromhex(value).decode()
    except (binascii.Error, ValueError):
        raise QueryError("22023", f"the secret is no {form}, or not of UTF-8 text") from None
    raise QueryError("22023", "allowed to decode a secret: base64, hex")


def create_connection(words: Words, name: str, if_not_exists: bool) -> CreateConnection:
    """What follows CREATE CONNECTION name."""
    words.need("TO")
    if words.take("KAFKA"):
        type_ = KAFKA
    elif words.take("CONFLUENT", "SCHEMA", "REGISTRY"):
        type_ = REGISTRY
    else:
        raise _unsupported(f"a connection to {words.word}", "use KAFKA or CONFLUENT SCHEMA REGISTRY")
    words.need("(")
    properties, secrets = _connection_options(words, type_)
    needed = "BROKER" if type_ == KAFKA else "URL"
    if OPTIONS[type_][needed] not in properties:
        raise QueryError("42601", f"a connection needs {needed}")
    validate = _validate(words)
    words.end()
    return CreateConnection(plain_name(name), type_, properties, secrets, frozenset(), validate, if_not_exists)


def alter_connection(words: Words, name: str) -> CreateConnection:
    """What follows ALTER CONNECTION name."""
    if words.take("SET"):
        words.need("(")
        properties, secrets = _connection_options(words, "")
        change = CreateConnection(name, "", properties, secrets, again=True, validate=_validate(words))
    elif words.take("DROP") or words.take("RESET"):
        words.need("(")
        gone = frozenset(_option(Words(part), "")[0] for part in words.listed())
        change = CreateConnection(name, "", gone=gone, again=True, validate=_validate(words))
    else:
        raise words.wrong()
    words.end()
    return change


def _validate(words: Words) -> bool:
    """WITH (VALIDATE = ...)."""
    validate = True
    if words.take("WITH"):
        words.need("(", "VALIDATE")
        words.take("=")
        if words.word not in ("TRUE", "FALSE"):
            raise words.wrong()
        validate = words.name() == "true"
        words.need(")")
    return validate


def _connection_options(words: Words, type_: str) -> tuple[dict[str, str], dict[str, str]]:
    """The options in parentheses: values, and names of secrets, by property. type_: empty where any may be meant."""
    properties: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for part in words.listed():
        inner = Words(part)
        property_, name = _option(inner, type_)
        inner.take("=")
        if property_ in properties or property_ in secrets:
            raise QueryError("42601", f"{name} is given twice")
        if inner.take("SECRET"):
            secrets[property_] = inner.name()
        elif is_secret(property_):
            raise QueryError(
                "22023", f"{name} has to be a secret", hint=f"write CREATE SECRET ..., and {name} = SECRET its_name"
            )
        elif property_ == "bootstrap.servers" and inner.take("("):
            properties[property_] = ",".join(Words(one).name() for one in inner.listed())
        else:
            properties[property_] = inner.name()
        inner.end()
    return properties, secrets


def _option(words: Words, type_: str) -> tuple[str, str]:
    """The property that comes next, and what it was called."""
    if words.found and words.found[words.at][1].startswith('"'):
        name = words.name()
        if type_ == REGISTRY:
            raise _unsupported(f'"{name}" of a schema registry')
        return name, name
    if words.take("BROKERS"):
        return "bootstrap.servers", "BROKERS"
    known = {name: to for kind, options in OPTIONS.items() if type_ in ("", kind) for name, to in options.items()}
    for name in sorted(known, key=len, reverse=True):
        if words.take(*name.split()):
            return known[name], name
    raise _unsupported(
        f"the option {words.word} of a connection", f'use {", ".join(known)}, or a property of librdkafka in ""'
    )


def validate_connection(words: Words) -> Validate:
    """What follows VALIDATE."""
    words.need("CONNECTION")
    name = words.name()
    words.end()
    return Validate(name)


def create_source(words: Words, name: str, if_not_exists: bool) -> CreateSource:
    """What follows CREATE SOURCE name."""
    columns, key = _source_columns(words) if words.take("(") else (None, ())
    pass_cluster(words)
    words.need("FROM")
    if not words.take("KAFKA"):
        raise _unsupported(f"a source from {words.word}", "use FROM KAFKA CONNECTION, or a table")
    words.need("CONNECTION")
    settings: dict[str, object] = {"kafka": _public(words, "a connection"), "topic": _topic(words)["TOPIC"]}
    registry = ""
    if words.take("KEY", "FORMAT"):
        settings["key_format"], registry = _format(words)
        words.need("VALUE")
    words.need("FORMAT")
    settings["format"], other = _format(words)
    if settings["format"] == "text":
        raise _unsupported("FORMAT TEXT of a value", "use FORMAT JSON or FORMAT AVRO")
    settings.setdefault("key_format", settings["format"])
    if registry and other and registry != other:
        raise _unsupported("a registry for keys and another one for values")
    if words.word == "INCLUDE":
        raise _unsupported("INCLUDE of a source", "declare the columns that the key and the value hold")
    settings["envelope"] = _envelope(words)
    if words.word in ("EXPOSE", "WITH"):
        raise _unsupported(f"{words.word} of a source")
    words.end()
    if settings["envelope"] == "upsert" and not key:
        raise QueryError(
            "42601", "ENVELOPE UPSERT needs to know the columns of the message key",
            hint="declare the columns and PRIMARY KEY (...), as in CREATE SOURCE s (id bigint, v text, PRIMARY KEY (id)) FROM ...",
        )  # fmt: skip
    if settings["envelope"] == "none" and key:
        raise QueryError("42601", "a PRIMARY KEY means something only with ENVELOPE UPSERT")
    if key:
        settings["key"] = key
    else:
        del settings["key_format"]
    return CreateSource(plain_name(name), settings, columns, registry or other, if_not_exists)


def _source_columns(words: Words) -> tuple[tuple[ColumnDefinition, ...], tuple[str, ...]]:
    """The columns in parentheses, and those of the key."""
    columns: list[ColumnDefinition] = []
    key: tuple[str, ...] = ()
    for part in words.listed():
        inner = Words(part)
        if inner.take("PRIMARY", "KEY"):
            inner.need("(")
            key = tuple(Words(one).name() for one in inner.listed())
            inner.take("NOT", "ENFORCED")
            inner.end()
            continue
        name, begin = inner.name(), inner.at
        if begin == len(inner.found):
            raise QueryError(
                "42601", f'column "{name}" needs a type', hint="the format does not name the columns: declare them"
            )
        strict = [token[1].upper() for token in inner.found[-2:]] == ["NOT", "NULL"]
        end = inner.found[-2].start(1) if strict else len(part)
        written = part[inner.found[begin].start(1) : end].strip()
        try:
            type_ = ColumnType.parse(written)
        except ValueError as error:
            raise QueryError("42704", f'type "{written}" does not exist', hint=str(error)) from None
        columns.append(ColumnDefinition(name, str(type_), not strict, ""))
    if not columns:
        raise QueryError("42601", "a source needs a column")
    return tuple(columns), key


def _format(words: Words) -> tuple[str, str]:
    """A format, and the connection to the registry that its schemas are in."""
    if words.take("JSON"):
        return "json", ""
    if words.take("TEXT"):
        return "text", ""
    if words.take("AVRO"):
        if not words.take("USING"):
            return "avro", ""
        words.need("CONFLUENT", "SCHEMA", "REGISTRY", "CONNECTION")
        return "avro", _public(words, "a connection")
    raise _unsupported(f"FORMAT {words.word}", "use FORMAT JSON or FORMAT AVRO")


def _envelope(words: Words) -> str:
    if not words.take("ENVELOPE"):
        return "none"
    for name in ("NONE", "UPSERT"):
        if words.take(name):
            return name.lower()
    raise _unsupported(f"ENVELOPE {words.word}", "use ENVELOPE NONE or ENVELOPE UPSERT")


def create_sink(words: Words, name: str, if_not_exists: bool) -> CreateSink:
    """What follows CREATE SINK name."""
    pass_cluster(words)
    words.need("FROM")
    settings: dict[str, object] = {"view": _public(words, "what a sink reads")}
    words.need("INTO")
    if not words.take("KAFKA"):
        raise _unsupported(f"a sink into {words.word}", "use INTO KAFKA CONNECTION")
    words.need("CONNECTION")
    settings["kafka"] = _public(words, "a connection")
    options = _topic(words, "TOPIC PARTITION COUNT", "TOPIC REPLICATION FACTOR")
    settings["topic"] = options["TOPIC"]
    for option, key in (("TOPIC PARTITION COUNT", "partitions"), ("TOPIC REPLICATION FACTOR", "replication")):
        if option in options:
            if not options[option].isdigit():
                raise QueryError("22023", f"{option} is a number")
            settings[key] = int(options[option])
    if not words.take("KEY"):
        raise QueryError("42601", "a sink needs KEY (...): columns that are unique in what it reads")
    words.need("(")
    settings["key"] = tuple(Words(one).name() for one in words.listed())
    enforced = not words.take("NOT", "ENFORCED")
    words.need("FORMAT")
    settings["format"], _ = _format(words)
    if settings["format"] != "json":
        raise _unsupported(f"FORMAT {str(settings['format']).upper()} of a sink", "use FORMAT JSON")
    settings["envelope"] = _envelope(words)
    if settings["envelope"] != "upsert":
        raise _unsupported("a sink without an envelope", "write ENVELOPE UPSERT")
    if words.take("WITH"):
        words.need("(", "SNAPSHOT")
        words.take("=")
        if not words.take("TRUE"):
            raise _unsupported("a sink without the rows that there are", "leave SNAPSHOT out")
        words.need(")")
    words.end()
    return CreateSink(plain_name(name), settings, enforced, if_not_exists)


def _public(words: Words, what: str) -> str:
    """The name of an object of `public`. QueryError for others: what the file's settings name has no schema."""
    name = words.name()
    while words.take("."):
        name = f"{name}.{words.name()}"
    schema, _, bare = name.rpartition(".")
    if schema not in ("", "public"):
        raise _unsupported(f"{what} in schema {schema}", f"make {bare} in public, and name that")
    return bare


def _topic(words: Words, *others: str) -> dict[str, str]:
    """(TOPIC 'name', ...)."""
    words.need("(")
    found: dict[str, str] = {}
    for part in words.listed():
        inner = Words(part)
        name = next((one for one in (*others, "TOPIC") if inner.take(*one.split())), None)
        if name is None:
            raise _unsupported(f"the option {inner.word} here", f"use {', '.join(('TOPIC', *others))}")
        inner.take("=")
        found[name] = inner.name()
        inner.end()
    if "TOPIC" not in found:
        raise QueryError("42601", "TOPIC is missing")
    return found


def _unsupported(what: str, hint: str | None = None) -> QueryError:
    return QueryError("0A000", f"{what} is not supported", hint=hint)
