"""How many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headwater.cores import usable_cores

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", ALLOWED),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("150000 100000\n", min(2, ALLOWED)),
        (f"{100000 * (ALLOWED + 3)} 100000\n", ALLOWED),
        ("not what it says\n", ALLOWED),
    ],
)
def test_cores_are_those_allowed_and_granted(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_without_a_control_group_all_allowed_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "cpu.max") == ALLOWED
