"""What CREATE SECRET was given: one file beside the catalog that only the service's user may read.

`secrets` in the state folder, mode 0600, sealed like the catalog: by the id of an object of the catalog, the value.
Always true: a value is durable here before the catalog names its id, and gone from here soon after the catalog no longer does; it
is in no other file, no message and no log. Deliberately unknown: who uses it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from headwater.catalog import CatalogError
from ingest.durable import replace
from ingest.sealed import seal, unseal

FILE = "secrets"
HEADER = b"headwater secrets 1\n"
MODE = 0o600


class Secrets:
    """The secrets of one state folder."""

    def __init__(self, folder: Path) -> None:
        """Read them. CatalogError when the file is damaged."""
        self._path = folder / FILE
        self._values: dict[int, str] = {}
        if self._path.exists():
            payload = unseal(HEADER, self._path.read_bytes())
            if payload is None:
                raise CatalogError(
                    f"{self._path} is damaged: connections cannot log in; restore the file from a copy, or remove it and give "
                    "each secret its value again by ALTER SECRET"
                )
            self._values = msgspec.msgpack.decode(payload, type=dict[int, str])

    def value(self, number: int) -> str | None:
        """The value of a secret; None when it is not here."""
        return self._values.get(number)

    def add(self, number: int, value: str) -> None:
        """Keep a value, durably. OSError when the disk refuses."""
        self._write({**self._values, number: value})

    def keep(self, numbers: Collection[int]) -> None:
        """Forget all others, durably. OSError when the disk refuses."""
        if not self._values.keys() <= set(numbers):
            self._write({number: value for number, value in self._values.items() if number in numbers})

    def _write(self, values: dict[int, str]) -> None:
        replace(self._path, seal(HEADER, msgspec.msgpack.encode(values)), MODE)
        self._values = values
