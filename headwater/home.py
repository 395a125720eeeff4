"""Where a service's state is: the log, the tables' log, the catalog, checkpoints and run files, in a folder or in a bucket.

Always true: all of them are of one state, which one process uses at a time; with an embedded broker, which forgets at every stop,
everything here is forgotten too. Deliberately unknown: what is in them, and when they are written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog

from config.settings import Settings, parse_duration, parse_memory
from dataflow.memory import MemoryLimit
from headwater.catalog import CatalogFile, CatalogObject
from headwater.checkpoint import Checkpoints
from headwater.early import FOLDER, EarlyCheck
from headwater.errors import StartError
from headwater.replay import positions
from headwater.runs import RunFiles
from headwater.secrets import Secrets
from ingest.embedded import EMBEDDED
from ingest.objects import SCHEME, Objects
from ingest.remap import Log, RemapLog
from ingest.remap_objects import ObjectLog
from ingest.table_log import TableLog

log = structlog.get_logger(__name__)


class Home:
    """The opened state of one service; `close` gives it up.

    bound: what was bound before this start. kept: where rows of topics are kept; None where none can be. owned: whether nobody has
    taken the state over so far; None in a folder, where a lock keeps others away. tables, secrets: None in a bucket, where there
    are none. checkpoints: None when none are wanted, or nothing outlasts a stop. memory: None without a limit.
    """

    def __init__(self, settings: Settings, early: EarlyCheck | None = None) -> None:
        """Open everything, and sweep what an earlier process left; early: what `begin_check` began, if anything. StartError,
        RemapError, OSError and ValueError say what is in the way; nothing stays open then."""
        self._ticking = False
        with ExitStack() as ends:
            objects: Objects | None = None
            forgotten = any(properties.get("bootstrap.servers") == EMBEDDED for properties in settings.kafka.values())
            if not forgotten and settings.state.startswith(SCHEME):
                objects = Objects(settings.state, settings.s3)
            if forgotten or objects is not None:
                folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="headwater-")))
            else:
                folder = Path(settings.state)
            self.owned: Callable[[], bool] | None = None
            if objects is None:
                self.remap: Log = _folder_log(folder)
            else:
                self.remap = in_bucket = ObjectLog.open(objects)
                self.owned = in_bucket.owned
            ends.callback(self.remap.close)
            self.bound = positions(self.remap.bindings)
            self.tables = TableLog(folder, self.bound) if objects is None else None
            self.kept = None if forgotten else self.tables
            ends.callback(self._close_tables)
            self.catalog = CatalogFile(folder) if objects is None else CatalogObject(objects)
            self.secrets = Secrets(folder) if objects is None else None
            wanted = parse_duration(settings.checkpoint.interval) is not None and not forgotten
            self.checkpoints = Checkpoints(folder / FOLDER, objects, early) if wanted else None
            if self.checkpoints is not None:
                ends.callback(self.checkpoints.close)
            limit = parse_memory(settings.memory)
            self.memory: MemoryLimit | None = None
            if limit is not None or (folder / "runs").exists():
                runs = RunFiles(folder / "runs")
                ends.callback(runs.close)
                self.memory = MemoryLimit(runs, limit) if limit is not None else None
            self._ends = ends.pop_all()
        if forgotten:
            log.warning("the embedded broker keeps nothing after a stop, so the state is temporary too")

    def close(self, ticking: bool) -> None:
        """Close everything. ticking: the tick thread has not ended; what it may be writing to then stays open."""
        self._ticking = ticking
        self._ends.close()

    def _close_tables(self) -> None:
        if self.tables is not None and not self._ticking:
            self.tables.close()


def _folder_log(folder: Path) -> RemapLog:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return RemapLog.open(folder)
    except OSError as error:
        raise StartError(
            f"cannot write the state folder {folder}: {error.strerror or error}; "
            "make it a folder that this user may write, or choose another `state`"
        ) from error
