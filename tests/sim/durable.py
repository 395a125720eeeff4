"""Where a run's state is: a folder on the modelled disk, or a modelled bucket; what befalls it between and within incarnations.

Always true: a log of which a byte is changed is refused, and then restored; what a damaged checkpoint names is found out by who
reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from headwater.checkpoint import Checkpoints
from ingest.remap import FILE, Log, RemapError, RemapLog
from ingest.remap_objects import ObjectLog
from ingest.table_log import FILE as TABLES
from ingest.table_log import TableLog
from tests.sim.bucket import Bucket
from tests.sim.chance import Chance
from tests.sim.disk import Disk
from tests.sim.promises import Promises, Wrong

IN_A_BUCKET = 0.3
"""How many runs have their state in a bucket, the others in a folder."""


class Durable:
    """The state of one run."""

    def __init__(self, root: Path, chance: Chance, promises: Promises, in_bucket: bool) -> None:
        self.disk = Disk(root, chance)
        self.bucket = Bucket(chance) if in_bucket else None
        self.chance, self.promises = chance, promises

    def start_another(self) -> None:
        """T10: a second coordinator on the same folder."""
        if self.bucket is not None:
            return
        try:
            RemapLog.open(self.disk.folder).close()
        except RemapError:
            self.promises.checked["T10"] += 1
        else:
            raise Wrong("T10: a second service could use the state folder")

    def take_over(self) -> None:
        """T10: a second coordinator on the same bucket, while this one waits."""
        if self.bucket is not None and self.promises.taken_at is None:
            bindings = ObjectLog.open(cast(Any, self.bucket)).bindings
            self.promises.taken_at = bindings[-1].until if bindings else 0
            self.promises.checked["T10"] += 1

    def open_log(self) -> Log:
        """The log; in a folder, now and then, after a byte of it was changed, which has to be noticed."""
        if self.bucket is not None:
            return ObjectLog.open(cast(Any, self.bucket))
        folder = self.disk.folder
        path = folder / FILE
        if path.exists() and self.chance.fault("log damaged") and path.stat().st_size > 400:
            whole = path.read_bytes()
            place = self.chance.random.randrange(len(whole) // 2)  # not in the last write, which may be unfinished
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            try:
                RemapLog.open(folder).close()
                raise Wrong(f"byte {place} of the log was changed, and nobody noticed")
            except RemapError:
                path.write_bytes(whole)  # the folder is restored from a copy
        return RemapLog.open(folder)

    def open_tables(self, bound: Mapping[str, Mapping[int, int]]) -> TableLog | None:
        """The log of the tables, which there is in a folder; now and then after a byte of it was changed."""
        if self.bucket is not None:
            return None
        tables = TableLog(self.disk.folder, bound)
        if tables.nbytes < 100 or not self.chance.fault("log damaged", "of tables"):
            return tables
        tables.close()
        path = self.disk.folder / TABLES
        whole = path.read_bytes()
        place = self.chance.random.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            TableLog(self.disk.folder, bound).close()
        except RemapError:
            path.write_bytes(whole)
            return TableLog(self.disk.folder, bound)
        raise Wrong(f"byte {place} of the tables' log was changed, and nobody noticed")

    def damage_checkpoint(self) -> None:
        """Now and then, change a file of a checkpoint."""
        folder = self.disk.folder / "checkpoints"
        if self.bucket is not None:
            keys = self.bucket.keys("checkpoints")[:-1]  # all but the list of them, which is replaced whole
            if keys and self.chance.fault("checkpoint damaged"):
                key = self.chance.random.choice(keys)
                self.bucket.objects[key] = self.bucket.objects[key][:-1]
        elif folder.exists() and self.chance.fault("checkpoint damaged"):
            path = self.chance.random.choice(sorted(folder.iterdir()) or [folder])
            if path.is_file() and (content := path.read_bytes()):
                place = self.chance.random.randrange(len(content))
                path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])

    def checkpoints(self, incarnation: int) -> Checkpoints | None:
        """The checkpoints, of most incarnations."""
        if self.chance.random.random() < 0.1:
            return None
        if self.bucket is None:
            return Checkpoints(self.disk.folder / "checkpoints")
        return Checkpoints(self.disk.root / f"copies {incarnation}", cast(Any, self.bucket))
