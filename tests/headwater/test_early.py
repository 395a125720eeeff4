"""The check that begins with the process: it says what a checkpoint's files are, and trusts nothing that it has not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.memory import RunColumns
from dataflow.state import State
from headwater.checkpoint import CheckpointError, Checkpoints
from headwater.early import FOLDER, EarlyCheck
from tests.headwater.test_checkpoint import first_run


def _resumed(_spines: list[list[RunColumns]]) -> State:
    raise AssertionError("it was not whole")


def test_what_is_whole_is_found_and_what_is_damaged_is_refused(tmp_path: Path) -> None:
    first_run(tmp_path)
    newest = Checkpoints(tmp_path / FOLDER).candidates[0]
    entries = {entry for runs in newest.spines for entry in runs}
    assert entries
    assert EarlyCheck(tmp_path / FOLDER).whole() == entries

    damaged = max(entries, key=lambda entry: entry.bytes)
    path = tmp_path / FOLDER / damaged.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    early = EarlyCheck(tmp_path / FOLDER)
    assert damaged not in early.whole()
    with pytest.raises(CheckpointError, match=damaged.name):
        Checkpoints(tmp_path / FOLDER, early=early).restore(newest, _resumed)


@pytest.mark.parametrize("content", [None, b"", b"headwater checkpoint 1\n", b"something else"])
def test_where_there_is_nothing_to_check_nothing_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "00000001.manifest").write_bytes(content)
    folder = tmp_path if content is not None else tmp_path / "missing"
    assert EarlyCheck(folder).whole() == frozenset()
