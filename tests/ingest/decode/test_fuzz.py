"""Many messages with a few wrong bytes: the native decoder equals its twin where Hypothesis would take too long."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from dataflow.types import Column
from ingest.decode.json import JsonFields
from ingest.decode.keys import TextFields
from tests.ingest.decode import twin
from tests.ingest.decode.strategies import TYPES, corrupt
from tests.ingest.decode.test_json import check_equals

VALUES = [
    "1",
    "-1",
    "1.5",
    "1e3",
    "12345678901234567890",
    "0.005",
    "true",
    "false",
    "null",
    '"x"',
    '"AQID"',
    '"\\u00e9"',
]
VALUES += [
    '"2026-11-22T14:51:53.123456789+01:00"',
    '"2024-02-29"',
    '"\\ud83d\\ude00\\n"',
    '"é€😀"',
    "1763823113123",
    "-0.0",
]
VALUES += ['{"b":[1,{"a":null}],"a":1.50,"bb":"\\u0001"}', "[[],{}]", '"12.345"', "3.4e38", '""', '"-0.004999"', "1e-5"]


@pytest.mark.parametrize("seed", range(4))
def test_wrong_bytes_equal_twin(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(60):
        schema = tuple(
            Column(f"c{i}", choose.choice(TYPES), choose.random() < 0.8) for i in range(choose.randint(0, 6))
        )
        entries = [message(choose, schema) for _ in range(60)]
        fields = JsonFields(schema, "null").decode(pa.array(entries, pa.large_binary()))
        check_equals(fields, twin.decode_json(schema, entries, False, False), schema, len(entries))
        key = Column("k", choose.choice(TYPES), choose.random() < 0.8)
        entries = [key_text(choose) for _ in range(30)]
        keys = pa.array(entries, pa.large_binary())
        check_equals(
            TextFields((key,), "null").decode(keys), twin.decode_text(key, entries, False), (key,), len(entries)
        )
        bare = JsonFields((key,), "null", scalar=True).decode(keys)
        check_equals(bare, twin.decode_json((key,), entries, False, True), (key,), len(entries))


def message(choose: random.Random, schema: tuple[Column, ...]) -> bytes:
    """An object of most columns in some order, often with an unknown field, often corrupted."""
    pairs = [f'"{column.name}":{choose.choice(VALUES)}' for column in schema if choose.random() < 0.9]
    if choose.random() < 0.3:
        choose.shuffle(pairs)
    if choose.random() < 0.2:
        pairs.append(f'"u{choose.randint(0, 2)}":{choose.choice(VALUES)}')
    text = ("{" + choose.choice([",", ", ", " ,\n"]).join(pairs) + "}").encode()
    return corrupt(text, choose) if choose.random() < 0.6 else text


def key_text(choose: random.Random) -> bytes:
    """A value with or without quotes, often corrupted."""
    value = choose.choice(VALUES)
    text = (value.strip('"') if choose.random() < 0.5 else value).encode()
    return corrupt(text, choose) if choose.random() < 0.5 else text
