"""Where new layers' rows come from: what is kept, the topic or the table's log where nothing is, and what ticks change meanwhile.

The catalog's thread does the long part beside the ticks: only the beginning, and the last few recorded steps, are done between two
of them. Always true: a layer that is put on holds exactly what it would hold had it been there from the start; a filling that
fails leaves nothing behind.
Deliberately unknown: what the layer is of, and what else happens when it is put on (`headwater.changes`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from dataflow.stack import Attached, Group, Layer, Stack
from headwater.replay import fold
from headwater.ticks import CATCH_UP_ROWS, FUEL_PER_ROW, PATIENCE, TickLoop
from headwater.world import shown_as
from ingest.ranges import FRAMES, Range, compare, join
from ingest.remap import Log
from ingest.source import Source
from ingest.table_log import PREFIX, TableLog, numbers
from serve.sql.errors import QueryError

POLL_SECONDS = 0.02
"""How long a filling waits for more of a topic before it looks again."""

CLOSE_STEPS = 4
"""With no more recorded steps than this left to take over, a layer is put on: the tick thread takes over the rest."""

Check = Callable[[], None]
"""Raises when what is under way shall end."""


class Filling:
    """Fills the layers of one loop; for the catalog's thread."""

    def __init__(
        self,
        loop: TickLoop,
        stack: Stack,
        remap: Log,
        reread: Callable[[str], Source],
        tables: TableLog | None,
        stopped: threading.Event,
    ) -> None:
        """reread: a source that reads a topic once more, not started yet. stopped: ends waiting for a topic."""
        self._loop, self._stack, self._remap, self._reread = loop, stack, remap, reread
        self._tables, self._stopped = tables, stopped

    def fill(
        self,
        layers: Sequence[Layer],
        topics: Collection[str],
        coming: Mapping[str, Source],
        check: Check,
        ready: Check,
        put_on: Callable[[], None],
    ) -> int:
        """Fill layers, then have them put on between two ticks; the time from which on they are there.

        topics: the inputs that can be read again; a table's log always can. coming: new sources, started, which ticks take from
        once everything is put on; what their topics held is bound to that time. ready: called once the layers hold what there is,
        and raises when that is not as it shall be. QueryError when another input has no rows yet,
        or a topic cannot be read; ReplayMismatch when it no longer holds what was read from it.
        """
        loop, group = self._loop, Group(layers)
        taken: dict[str, dict[int, Range]] = {}

        def begin() -> tuple[Attached, int, dict[str, dict[int, int]]]:
            attached = self._stack.attach(group.reads - coming.keys())
            unkept = group.reads - attached.held.keys() - coming.keys()
            for name in unkept - set(topics):
                if not name.startswith(PREFIX):
                    self._stack.detach(attached.recording)
                    raise QueryError("57P03", f"{name} is being filled", hint="try again")
            return attached, loop.now, {name: loop.ends(name) for name in unkept}

        def end() -> None:
            group.catch_up(attached.recording.take())
            self._stack.detach(attached.recording)
            put_on()
            for name, ranges in taken.items():
                loop.come(name, ranges)

        (attached, now, ends), _ = loop.calls.call(begin).result()
        try:
            for _ in group.begin(attached.held, now):
                check()
            for name, until in ends.items():
                if name.startswith(PREFIX) or FRAMES in until:
                    self._read_table(group, name, until, now, check)
                else:
                    self._read_again(group, name, until, now, check)
            for name, source in coming.items():
                taken[name] = self._hydrate(group, name, source, now, check)
            while group.catch_up(attached.recording.take()) > CLOSE_STEPS:
                check()
            ready()
            return loop.calls.call(end).result()[1]
        except BaseException:
            loop.calls.call(lambda: self._stack.detach(attached.recording))
            raise

    def _hydrate(self, group: Group, name: str, source: Source, now: int, check: Check) -> dict[int, Range]:
        """Give layers what the topic of a new source held when it began to be read; the ranges of that."""
        ranges: dict[int, Range] = {}
        patient_until = time.monotonic() + PATIENCE
        while not source.hydrated:
            check()
            if taken := source.take(CATCH_UP_ROWS):
                join(ranges, taken.ranges)
                if name in group.reads:
                    group.step({name: taken.delta} if len(taken.delta) else {}, time=now)
                    group.maintain(FUEL_PER_ROW * taken.records)
                continue
            status = source.status()
            impatient = status.state == "connecting" and time.monotonic() > patient_until
            if status.state in ("halted", "waiting") or impatient:
                code = "08006" if status.state == "connecting" else "58000"
                raise QueryError(code, f"source {shown_as(name)} cannot be read: {status.reason}")
            self._stopped.wait(POLL_SECONDS)
        return ranges

    def _read_table(self, group: Group, name: str, until: Mapping[int, int], now: int, check: Check) -> None:
        """Give layers what the tables' log held of a table, or of a topic, up to this frame."""
        assert self._tables is not None
        for delta in self._tables.frames(name, numbers({name: until})[name]):
            check()
            group.step({name: delta} if len(delta) else {}, time=now)

    def _read_again(self, group: Group, name: str, until: Mapping[int, int], now: int, check: Check) -> None:
        """Give layers what a topic held up to these offsets. ReplayMismatch when it no longer holds what was read from it."""
        if not until:
            return
        bindings = [binding for binding in self._remap.reread() if binding.time <= now]
        (whole,) = fold(bindings, [])
        source = self._reread(name)
        source.replay_to(until, next((b.topic_ids[name] for b in reversed(bindings) if name in b.topic_ids), ""))
        source.start({})
        seen: dict[int, Range] = {}
        try:
            while not source.reached(until):
                check()
                if taken := source.take(CATCH_UP_ROWS, until):
                    join(seen, taken.ranges)
                    group.step({name: taken.delta} if len(taken.delta) else {}, time=now)
                    group.maintain(FUEL_PER_ROW * taken.records)
                elif (status := source.status()).state == "halted":
                    raise QueryError("58000", f"source {shown_as(name)} cannot be read again: {status.reason}")
                else:
                    self._stopped.wait(POLL_SECONDS)
        finally:
            source.stop()
        compare(source.settings.topic, whole.ranges.get(name, {}), seen)
