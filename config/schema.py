"""The JSON Schema of the file, for editors and for `headwater schema`.

Always true: it is derived from `config.settings`; `config/headwater.schema.json` is its text, and a test keeps them equal.
Deliberately absent: what JSON Schema cannot say (names that refer to each other, SQL); `headwater check` says that.
"""

from __future__ import annotations

import json
from typing import Any

from config.settings import Settings

_REFERENCE = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> dict[str, Any]:
    """The schema as a value. A scalar that is not plain text may also be written as `${NAME}`."""
    schema = Settings.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, found in model["properties"].items():
            model["properties"][name] = _property(found)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headwater",
        "description": "One Headwater service: Kafka connections, sources, views, sinks and where it listens.",
        **{key: value for key, value in schema.items() if key not in ("title", "description")},
    }


def schema_text() -> str:
    """The schema as the text that is published."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _property(found: dict[str, Any]) -> dict[str, Any]:
    found.pop("title", None)
    _close(found)
    outer: dict[str, Any] = {key: found[key] for key in ("description", "default") if key in found}
    inner = {key: value for key, value in found.items() if key not in outer}
    if inner.get("type") == "integer" or "enum" in inner or "const" in inner or "pattern" in inner:
        return {"anyOf": [inner, _REFERENCE], **outer}
    return found


def _close(found: Any) -> None:
    """Mappings whose names follow a pattern allow no other names."""
    if isinstance(found, dict):
        if "patternProperties" in found:
            found["additionalProperties"] = False
        for value in found.values():
            _close(value)
    elif isinstance(found, list):
        for value in found:
            _close(value)
