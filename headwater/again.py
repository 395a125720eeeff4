"""Reads the service's file again while the service runs, for `headwater.applying`.

Always true: the file is checked as at a start, with the environment that the service was started with; nothing is changed here.
Deliberately unknown: what is done with what the file says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from config.mistakes import ConfigErrors
from dataflow.types import Schema
from headwater.applying import Reread
from headwater.check import Checked, CheckErrors, check
from headwater.declared import declare
from headwater.outside import Outside
from headwater.world import World
from ingest.embedded import EMBEDDED
from serve.sql.errors import QueryError

_AT_START = ("name", "state", "s3", "memory", "checkpoint", "threads", "serve")
"""What the file says of the service itself: it counts at a start only."""


class FileAgain:
    """The file that a service was started with."""

    def __init__(self, started: Checked, outside: Outside, connections: Mapping[str, Mapping[str, str]]) -> None:
        """started: what it said at the start. connections: the file's then, as clients get them."""
        self._started, self._outside, self._connections = started, outside, connections

    def __call__(self, world: World) -> Reread:
        """What it says now. QueryError when it has mistakes, or something that a running service cannot take."""
        path = self._started.marks.file
        try:
            checked = check(path, os.environ)
        except (ConfigErrors, CheckErrors) as mistakes:
            raise QueryError("22023", f"{path} has mistakes", detail=str(mistakes)) from None
        notes = [
            f"note: `{name}` has changed, which counts from the next start on"
            for name in _AT_START
            if getattr(checked.settings, name) != getattr(self._started.settings, name)
        ]
        connections: dict[str, Mapping[str, str]] = {}
        for name, properties in checked.settings.kafka.items():
            if properties == self._started.settings.kafka.get(name):
                connections[name] = self._connections[name]
                continue
            if properties.get("bootstrap.servers") == EMBEDDED:
                raise QueryError(
                    "0A000", f"connection {name}: an embedded broker starts with the service only", hint="restart it"
                )
            connections[name] = properties
            if name in self._connections:
                notes.append(
                    f"note: what uses connection {name} already goes on with its properties of before until the next start"
                )
        return Reread(
            declare(
                checked.settings,
                self._schemas(world, checked, connections),
                checked.functions,
                checked.settings.views,
                connections,
            ),
            tuple(notes),
        )

    def _schemas(
        self, world: World, checked: Checked, connections: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Schema]:
        """The columns of every source; those that only a registry knows stay what they were, or are asked for."""
        schemas = dict(checked.schemas)
        for name, source in checked.settings.sources.items():
            if name not in schemas and world.declared.sources.get(name) == source:
                schemas[name] = world.declared.schemas[name]
            elif name not in schemas:
                schemas[name] = self._outside.columns_of(connections[source.kafka], source)
        return {name: schemas[name] for name in checked.settings.sources}
