"""A leash for server processes of tests: the server dies when the last test process that holds its lock is gone.

Run as a script. It detaches itself, starts the command, writes the command's process id, and ends the command as soon as
nobody holds the lock file any more (flock is released by the kernel on every exit, also by SIGKILL). The command in turn
dies with the leash (parent-death signal). The data folder is removed only when the last holder is gone, so that a server
can be killed and started again on its data.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # Runs between fork and exec; the leash has no other threads, so this is safe.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(lock: str, pid_file: str, data: str, log: str, command: list[str]) -> None:
    """Start `command` with its output in `log`, and hold it until `lock` is free; then remove `data` and `pid_file`."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    with Path(log).open("ab") as output:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        server = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=_die_with_parent)  # noqa: PLW1509
    temporary = Path(pid_file + ".new")
    temporary.write_text(str(server.pid))
    temporary.rename(pid_file)
    with Path(lock).open("ab") as holders:
        while server.poll() is None:
            try:
                fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
                continue
            server.kill()
            server.wait()
            shutil.rmtree(data, ignore_errors=True)
            Path(pid_file).unlink(missing_ok=True)
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
