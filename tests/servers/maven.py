"""Java programs of the tests' own: their jars, copied from Maven Central once per checkout and pom."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "kafka"
"""What the tests fetched, and where their shared servers are."""


class Unavailable(Exception):
    """Something cannot be had on this machine; the message says why."""


def jars(pom: Path) -> Path:
    """Folder of the jars that a pom names; `Unavailable` if they cannot be had."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not installed")
    folder = CACHE / f"libs-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "resolve.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = CACHE / "libs-partial"
            shutil.rmtree(partial, ignore_errors=True)
            arguments = ["-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
            command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", *arguments]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            except subprocess.TimeoutExpired:
                raise Unavailable("maven did not finish in 600 s") from None
            if done.returncode != 0:
                raise Unavailable(f"maven could not resolve {pom}: {done.stdout.strip()[:300]}")
            partial.rename(folder)
    return folder
