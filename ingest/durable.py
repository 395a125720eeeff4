"""What a file system needs to be told before a file and its name count as durable.

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


def replace(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Make a file hold this, durably. A crash, or OSError when the disk refuses, leaves all of what it held or all of this.

    Which of both is unknown to who gets the OSError: the new file may have the name, and that not be durable.
    mode: who may read and write it, from its first moment on, as far as the process's mask allows.
    """
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)  # what a crash left may have another mode
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:  # buffered: it writes on where the system took a part only
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)
