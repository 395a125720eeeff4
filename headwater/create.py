"""The statement that makes an object of the catalog: what SHOW CREATE answers.

Always true: executed against a catalog with everything that it names, it makes the same object again; a secret's value is in none.
Deliberately unknown: whether it is possible.
"""

from __future__ import annotations

import msgspec

from headwater.catalog import Item
from planner.catalog import quoted, schema_and_name, written
from serve.sql.connections import KAFKA, option


def create_statement(item: Item) -> str:
    """The statement that makes an object."""
    columns = f" ({', '.join(map(quoted, item.columns))})" if item.columns else ""
    match item.kind:
        case "table":
            return f"CREATE TABLE {written(item.name)} ({_columns(item)})"
        case "index":
            unique = "UNIQUE " if item.unique else ""
            return f"CREATE {unique}INDEX {quoted(schema_and_name(item.name)[1])} ON {written(item.on)}{columns}"
        case "secret":
            return f"CREATE SECRET {written(item.name)} AS '...'"
        case "role":
            return f"CREATE ROLE {quoted(item.name)}"
        case "connection":
            return _connection(item)
        case "source":
            return _source(item)
        case "sink":
            return _sink(item)
        case _:
            listed = [f"ASSERT NOT NULL {quoted(column)}" for column in item.asserted]
            listed += [f"RETAIN HISTORY FOR '{item.history} ms'"] if item.history else []
            options = f" WITH ({', '.join(listed)})" if listed else ""
            return f"CREATE {item.kind.upper()} {written(item.name)}{columns}{options} AS {item.sql}"


def _columns(item: Item) -> str:
    lines = [
        f"{quoted(c.name)} {c.type}{'' if c.nullable else ' NOT NULL'}{f' DEFAULT {c.default}' if c.default else ''}"
        for c in item.defined
    ]
    if item.columns and item.enforced:
        named = f"CONSTRAINT {quoted(item.constraint)} " if item.constraint else ""
        lines.append(f"{named}PRIMARY KEY ({', '.join(map(quoted, item.columns))})")
    lines += [f"CONSTRAINT {quoted(name)} CHECK ({condition})" for name, condition in item.checks.items()]
    return ", ".join(lines)


def _connection(item: Item) -> str:
    options = [f"{option(item.type, name)} = {_text(value)}" for name, value in item.properties.items()]
    options += [f"{option(item.type, name)} = SECRET {written(secret)}" for name, secret in item.secrets.items()]
    to = "KAFKA" if item.type == KAFKA else item.type.upper()
    return f"CREATE CONNECTION {written(item.name)} TO {to} ({', '.join(options)})"


def _source(item: Item) -> str:
    settings = msgspec.json.decode(item.settings)

    def form(name: str) -> str:
        registry = f" USING CONFLUENT SCHEMA REGISTRY CONNECTION {written(item.registry)}" if item.registry else ""
        return f"{name.upper()}{registry if name == 'avro' else ''}"

    from_ = f"FROM KAFKA CONNECTION {written(settings['kafka'])} (TOPIC {_text(settings['topic'])})"
    value = f"FORMAT {form(settings['format'])}"
    if settings["envelope"] == "upsert":
        value = f"KEY FORMAT {form(settings['key_format'])} VALUE {value}"
    envelope = settings["envelope"].upper()
    return f"CREATE SOURCE {written(item.name)} ({_columns(item)}) {from_} {value} ENVELOPE {envelope}"


def _sink(item: Item) -> str:
    settings = msgspec.json.decode(item.settings)
    options = (
        f"TOPIC {_text(settings['topic'])}, TOPIC PARTITION COUNT {settings['partitions']}, "
        f"TOPIC REPLICATION FACTOR {settings['replication']}"
    )
    return (
        f"CREATE SINK {written(item.name)} FROM {written(item.on)} INTO KAFKA CONNECTION {written(settings['kafka'])} ({options}) "
        f"KEY ({', '.join(map(quoted, item.columns))}) {'' if item.enforced else 'NOT ENFORCED '}"
        f"FORMAT {settings['format'].upper()} ENVELOPE {settings['envelope'].upper()}"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
