"""Virtual environments of tools that tests compare or connect with, each under `.cache/environments`, installed from PyPI.

Always true: what is installed is what the requirements pin; nothing of it is ever imported by this project.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".cache" / "environments"


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment."""

    name: str
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return FOLDER / self.name / "bin" / "python"

    def install(self) -> str | None:
        """Make it unless it is there; the reason, where that cannot be done."""
        stamp = FOLDER / self.name / "installed"
        wanted = "\n".join(self.requirements)
        if stamp.exists() and stamp.read_text() == wanted:
            return None
        print(f"installing {self.requirements[0]} into {FOLDER / self.name}", flush=True)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(FOLDER / self.name)],
            [str(self.python), "-m", "pip", "install", "--quiet", *self.requirements],
        ):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                return (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        stamp.write_text(wanted)
        return None
