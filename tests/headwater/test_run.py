"""`headwater run` as a process: what a signal means before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "headwater.run":
            os.kill(os.getpid(), getattr(signal, sys.argv[2]))

sys.meta_path.insert(0, Finder())
from headwater.__main__ import main
main(["run", sys.argv[1], "--log-format", "json"])
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_during_the_imports_is_a_clean_stop(name: str) -> None:
    file = ROOT / "config" / "examples" / "shop.yaml"
    command = [sys.executable, "-c", INTERRUPTED, str(file), name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert '"event": "stopped before the start"' in done.stderr
