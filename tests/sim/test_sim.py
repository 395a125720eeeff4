"""The simulator in CI: fresh seeds for a while, seeds that once broke a promise, and mistakes that are built in are found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sim.plants import PLANTS

SECONDS = "20"
"""How long fresh seeds are run here; CI runs them for minutes beside the sanitizers (.ci/run)."""


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.sim", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


@pytest.mark.slow
def test_fresh_seeds_break_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    done = simulate("--seeds", "10000", "--seconds", SECONDS)
    with capsys.disabled():
        print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("plant", PLANTS)
def test_a_mistake_that_is_built_in_is_found(plant: str) -> None:
    done = simulate("--first", "1", "--seeds", "200", "--ticks", "60", "--shrink", "3", "--plant", plant)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "broke a promise" in done.stdout
    assert "shrunk to" in done.stdout
