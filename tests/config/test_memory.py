"""The memory setting as bytes."""

from __future__ import annotations

import pytest

from config.settings import parse_memory


@pytest.mark.parametrize(
    ("text", "wanted"), [("unlimited", None), ("0KiB", 0), ("512MiB", 512 << 20), ("2GiB", 2 << 30), ("1TiB", 1 << 40)]
)
def test_sizes_are_read_in_binary_units(text: str, wanted: int | None) -> None:
    assert parse_memory(text) == wanted


@pytest.mark.parametrize("text", ["", "2", "2GB", "-1GiB", "1.5GiB", "2 GiB", "2GiB ", "none"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="as 2GiB; or unlimited"):
        parse_memory(text)
