"""Where a new layer's rows come from: what is kept, the topic or the table's log where nothing is, and what ticks change meanwhile.

The catalog's thread does the long part beside the ticks: only the beginning, and the last few recorded steps, are done between two
of them. Always true: a layer that is put on holds exactly what it would hold had it been there from the start; a filling that
fails leaves nothing behind.
Deliberately unknown: what the layer is of, and what else happens when it is put on (`headwater.changes`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from dataflow.stack import Attached, Layer, Stack
from headwater.replay import fold
from headwater.ticks import CATCH_UP_ROWS, FUEL_PER_ROW, TickLoop
from ingest.ranges import Range, compare, join
from ingest.remap import Log
from ingest.source import Source
from ingest.tables import TableLog
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
        self, layer: Layer, topics: Collection[str], table: str | None, check: Check, put_on: Callable[[], None]
    ) -> int:
        """Fill a layer, then have it put on between two ticks; the time from which on it is there.

        topics: the inputs that can be read again. table: the input that is a table's log, if one is. QueryError when another
        input has no rows yet, or a topic cannot be read; ReplayMismatch when it no longer holds what was read from it.
        """
        loop = self._loop

        def begin() -> tuple[Attached, int, dict[str, dict[int, int]]]:
            attached = self._stack.attach(layer.reads)
            for name in layer.reads - attached.held.keys() - set(topics) - {table}:
                self._stack.detach(attached.recording)
                raise QueryError("57P03", f"{name} is being filled", hint="try again")
            return attached, loop.now, {name: loop.ends(name) for name in layer.reads - attached.held.keys()}

        def end() -> None:
            layer.catch_up(attached.recording.take())
            self._stack.detach(attached.recording)
            put_on()

        (attached, now, ends), _ = loop.calls.call(begin).result()
        try:
            for _ in layer.begin(attached.held, now):
                check()
            for name, until in ends.items():
                if name == table and self._tables is not None:
                    for number in range(until.get(0, 0)):
                        check()
                        layer.dataflow.step({name: self._tables.read(name, number)}, time=now)
                else:
                    self._read_again(layer, name, until, now, check)
            while layer.catch_up(attached.recording.take()) > CLOSE_STEPS:
                check()
            return loop.calls.call(end).result()[1]
        except BaseException:
            loop.calls.call(lambda: self._stack.detach(attached.recording))
            raise

    def _read_again(self, layer: Layer, name: str, until: Mapping[int, int], now: int, check: Check) -> None:
        """Give a layer what a topic held up to these offsets. ReplayMismatch when it no longer holds what was read from it."""
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
                    layer.dataflow.step({name: taken.delta} if len(taken.delta) else {}, time=now)
                    layer.dataflow.maintain(FUEL_PER_ROW * taken.records)
                elif (status := source.status()).state == "halted":
                    raise QueryError("58000", f"source {name} cannot be read again: {status.reason}")
                else:
                    self._stopped.wait(POLL_SECONDS)
        finally:
            source.stop()
        compare(source.settings.topic, whole.ranges.get(name, {}), seen)
