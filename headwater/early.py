"""What a start does while its modules are loaded: the files of the newest checkpoint are read and checked.

Always true: nothing is changed and nothing is said; a file that is not found whole here is looked at again by whoever opens the
state, and says what is wrong with it. Deliberately unknown: whether the checkpoint will be used.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from headwater import runfile
from headwater.manifest import HEADER, Manifest, RunEntry
from headwater.runfile import DamagedRunError
from ingest.sealed import unseal

FOLDER = "checkpoints"
"""Where checkpoints are in the state's folder."""


class EarlyCheck:
    """A thread that checks the files which the newest manifest of a folder of checkpoints names.

    The folder is the service's own `state`, not a copy of a bucket's.
    """

    def __init__(self, folder: Path) -> None:
        """Begin. folder: it may not be there."""
        self._whole: frozenset[RunEntry] = frozenset()
        self._thread = threading.Thread(target=self._check, args=(folder,), name="early check", daemon=True)
        self._thread.start()

    def whole(self) -> frozenset[RunEntry]:
        """What of the checkpoint's files is what was written; waits until all are checked."""
        self._thread.join()
        return self._whole

    def _check(self, folder: Path) -> None:
        manifests = sorted(folder.glob("*.manifest"))
        found = set()
        try:
            payload = unseal(HEADER, manifests[-1].read_bytes()) if manifests else None
            if payload is None:
                return
            for entry in {one for runs in msgspec.msgpack.decode(payload, type=Manifest).spines for one in runs}:
                runfile.check(folder / entry.name, entry.written)
                found.add(entry)
        except (DamagedRunError, OSError, msgspec.DecodeError):
            return  # see above: who opens the state says it
        finally:
            self._whole = frozenset(found)
