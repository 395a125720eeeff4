"""The door that the tests of this folder share: they only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.pg.door import Door, running, standard


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    yield from running(standard())
