"""What a file system needs to be told before a name counts as durable.

Always true: nothing is caught; an OSError means that the name may be gone after a power cut.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: new, renamed and removed ones (fsync(2): a file's own fsync does not)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
