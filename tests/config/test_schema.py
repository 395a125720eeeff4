"""The published JSON Schema: equal to the settings, and right about files."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from config.schema import json_schema, schema_text

CONFIG = Path(__file__).parents[2] / "config"


def test_the_published_file_is_up_to_date() -> None:
    assert (CONFIG / "headwater.schema.json").read_text() == schema_text(), "run `make generate`"


def test_the_example_fits_it() -> None:
    example = YAML(typ="safe", pure=True).load(CONFIG / "examples" / "shop.yaml")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(example, json_schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["extra"], 1),
        (["name"], "my-shop"),
        (["sources", "orders", "format"], "jsn"),
        (["sources", "orders", "topik"], "x"),
        (["sources", "my-orders"], {"kafka": "main", "topic": "t", "format": "json"}),
        (["sinks", "revenue_out", "partitions"], 0),
        (["sinks", "revenue_out", "key"], []),
    ],
)
def test_what_it_refuses(path: list[str], value: object) -> None:
    example = YAML(typ="safe", pure=True).load(CONFIG / "examples" / "shop.yaml")
    inner = example
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example, json_schema())


def test_scalars_may_come_from_the_environment() -> None:
    example = YAML(typ="safe", pure=True).load(CONFIG / "examples" / "shop.yaml")
    example["sinks"]["revenue_out"]["partitions"] = "${PARTITIONS:-4}"
    example["sources"]["orders"]["envelope"] = "${ENVELOPE}"
    jsonschema.validate(example, json_schema())


def test_every_key_is_explained() -> None:
    schema = json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, found in model["properties"].items():
            assert found.get("description"), name
