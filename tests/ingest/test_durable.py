"""A file that is replaced is the new one or the old one, also where the disk takes only a part of what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.durable import replace
from tests.limits import disk_full_at


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "catalog"
    for content in (b"first", b"the second one"):
        replace(path, content)
        assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["catalog"]


def test_a_disk_that_takes_a_part_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "catalog"
    replace(path, b"old")
    with disk_full_at(1 << 20), pytest.raises(OSError, match="File too large"):
        replace(path, b"x" * (3 << 20))
    assert path.read_bytes() == b"old"
