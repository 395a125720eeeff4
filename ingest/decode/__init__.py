"""Bytes of messages to typed Arrow columns: one file for each format, put together for a source by `make_decoder`.

Always true: decoding is strict (nothing is guessed, cut or rounded away silently) and a function of the message, the schema
and the registry alone, so a replay gives the same rows. Deliberately unknown here: offsets, ticks and the SQL on top.
"""

from __future__ import annotations

from dataclasses import replace

from config.settings import Source
from dataflow.types import Schema
from ingest.decode.avro import AvroFields, avro_columns
from ingest.decode.decoded import Decoded, Decoder, FieldDecoder, MessageError
from ingest.decode.json import JsonFields
from ingest.decode.keys import make_key_fields
from ingest.decode.messages import NULL_VALUE, PlainDecoder, UpsertDecoder
from ingest.registry import Registry

__all__ = ["Decoded", "Decoder", "MessageError", "avro_columns", "make_decoder"]


def make_decoder(source: Source, schema: Schema, registry: Registry | None) -> Decoder:
    """The decoder of `source`, whose columns are `schema`.

    `registry` is needed for avro only. Raises ValueError, worded for people, when the settings contradict each other.
    """
    uses_avro = source.format == "avro" or (source.envelope == "upsert" and source.key_format == "avro")
    if uses_avro and registry is None:
        raise ValueError(f"topic {source.topic!r} is avro but connection {source.kafka!r} has no schema.registry.url")
    if source.envelope == "none":
        if source.key:
            raise ValueError("`key` is for envelope upsert; remove it or set `envelope: upsert`")
        return PlainDecoder(_value_fields(source, schema, registry, NULL_VALUE))
    names = [column.name for column in schema]
    if not source.key:
        raise ValueError("envelope upsert needs `key`: the columns that the message key holds")
    if unknown := [name for name in source.key if name not in names]:
        raise ValueError(f"key column {unknown[0]!r} is not among the columns {', '.join(names)}")
    if len(set(source.key)) < len(source.key):
        raise ValueError(f"`key` names a column twice: {', '.join(source.key)}")
    key = tuple(names.index(name) for name in source.key)
    others = tuple(position for position in range(len(schema)) if position not in key)
    order = key + others
    return UpsertDecoder(
        # A key column that is missing or NULL would quietly make one row of all such messages.
        make_key_fields(source.key_format, tuple(replace(schema[place], nullable=False) for place in key), registry),
        _value_fields(source, tuple(schema[position] for position in others), registry, None),
        tuple(order.index(position) for position in range(len(schema))),
    )


def _value_fields(source: Source, schema: Schema, registry: Registry | None, null_reason: str | None) -> FieldDecoder:
    """What reads the values; a NULL one is an error for `null_reason`, or with None a row of NULLs."""
    if source.format == "avro" and registry is not None:
        return AvroFields(schema, registry, null_reason)
    return JsonFields(schema, null_reason)
