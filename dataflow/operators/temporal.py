"""Temporal filter: rows that come and go as time passes, without any new input.

    SELECT * FROM t WHERE mz_now() >= t.begin AND mz_now() < t.begin + interval '5 minutes'

Each row holds from its lower bound (included) to its upper bound (excluded), in milliseconds: it is emitted when the step's time
reaches the lower one, and taken away when it reaches the upper one. Linear at every time: a row taken away takes its future
with it, since both meet in the state and add up to nothing.
The state are the changes that are still to come, and nothing else: what is over is freed. They wait in levels, by the highest bit
in which their time differs from now (a radix heap): when time goes on and `h` is the highest bit that changes, everything
below level h is due, level h is dealt out anew, and what is above is not looked at. So a row moves at most once for each level;
the one step that crosses 2^h ms deals out, at worst, all that waits there.
Always true: after a step at time t the sum of the outputs is the rows with lower <= t < upper. A row with a NULL bound never holds.
Deliberately unknown here: clocks. The time of a step is given to it, and never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows
from dataflow.delta import Delta
from dataflow.expression import Expression
from dataflow.layout import Layout
from dataflow.operators.base import Operator, Types, combine
from dataflow.operators.linear import first_error, present
from dataflow.rows import Int64s
from dataflow.spine import Spine
from dataflow.types import BIGINT

FINEST = 6
"""Bits of the lowest level: changes within the same 64 ms are looked through at every step."""

LEVELS = 36
"""The highest level is for all times that differ in bit 40 or above: 35 years."""

NEVER = 1 << 62
_MOST = 1 << 52
"""Milliseconds beyond which a bound is the same as none."""


@dataclass(frozen=True, slots=True)
class TimeBound:
    """`now >= value`, or with `upper` `now <= value`; `strict`: without the value itself.

    value: a timestamp in microseconds, or a bigint in milliseconds since 1970.
    """

    value: Expression
    upper: bool
    strict: bool

    def __str__(self) -> str:
        return f"now {'<' if self.upper else '>'}{'' if self.strict else '='} {self.value}"


@dataclass(frozen=True, slots=True)
class TemporalSpec:
    """All bounds hold."""

    bounds: tuple[TimeBound, ...]

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return TemporalFilter(self, types, inputs)

    def __str__(self) -> str:
        return f"rows while {' and '.join(map(str, self.bounds))}"


class TemporalFilter(Operator):
    """State: the changes to come, by level, each row with its time in front."""

    def __init__(self, spec: TemporalSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._spec = spec
        self._stored = (BIGINT, *types)
        layout = Layout(self._stored, tuple(range(len(self._stored))))
        self._levels = tuple(Spine(layout) for _ in range(LEVELS))
        self._now: int | None = None
        self._then: int | None = None
        """The time of the step before, by which the levels are filled; None where that is not known."""

    def spines(self) -> tuple[Spine, ...]:
        return self._levels

    def resume(self) -> None:
        super().resume()
        self._then = None

    def advance(self, time: int) -> None:
        """Take over the time of the step that begins; ValueError when it goes back."""
        if self._now is not None and time < self._now:
            raise ValueError(f"time went back from {self._now} to {time}")
        self._now = time
        self.due = self.due or self._top(time) > 0

    @property
    def deadline(self) -> int | None:
        """A time before which nothing changes by itself, or None if nothing ever will; 0 where a step has yet to find out."""
        if self._now is None or self._then is None:
            return None if all(spine.empty for spine in self._levels) else 0
        for level, spine in enumerate(self._levels):
            if not spine.empty:
                bit = FINEST + level - 1
                return self._now + 1 if level == 0 else max(self._now + 1, ((self._now >> bit) | 1) << bit)
        return None

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        now = self._now
        if now is None:
            raise ValueError(f"{self._spec} needs the time of the step; give it to Dataflow.step")
        parts = [self._fired(now)]
        self._then = now
        if len(delta):
            parts.append(self._taken(delta, now))
        return combine(parts, self.types)

    def _top(self, time: int) -> int:
        """How many levels, from the lowest, may have changes that are due at a time: 0 if there are none in them."""
        touched = LEVELS if self._then is None else _level((time ^ self._then).bit_length()) + 1
        if time == self._then or all(spine.empty for spine in self._levels[:touched]):
            return 0
        return touched

    def _fired(self, now: int) -> Delta:
        """The changes that are due; those of the touched levels that are not are dealt out anew."""
        parts = []
        for spine in self._levels[: self._top(now)]:
            if not spine.empty:
                parts.append(spine.snapshot().rows())
                spine.clear()
        waiting = combine(parts, self._stored)
        if not len(waiting):
            return self._nothing
        due = waiting.columns[0].to_numpy() <= now
        self._wait(Delta(rows.filter_rows(waiting.columns, ~due), waiting.diffs[~due]), now)
        return Delta(rows.filter_rows(waiting.columns[1:], due), waiting.diffs[due])

    def _taken(self, delta: Delta, now: int) -> Delta:
        """The new rows that hold now; what they will become waits."""
        lower, upper, delta = self._bounds(delta)
        holds = np.maximum(lower, now) < upper
        shown, later = holds & (lower <= now), holds & (lower > now)
        ends = holds & (upper < NEVER)
        for chosen, times, sign in ((later, lower, 1), (ends, upper, -1)):
            if chosen.any():
                columns = rows.filter_rows((pa.array(times), *delta.columns), chosen)
                self._wait(Delta(columns, sign * delta.diffs[chosen]), now)
        return Delta(rows.filter_rows(delta.columns, shown), delta.diffs[shown])

    def _bounds(self, delta: Delta) -> tuple[Int64s, Int64s, Delta]:
        """From when and until when each row holds, and the rows: those whose bounds fail are reported and left out."""
        found: list[tuple[TimeBound, pa.Array]] = []
        errors: pa.Array | None = None
        for bound in self._spec.bounds:
            values, failed = bound.value.evaluate(delta.columns, len(delta))
            errors = first_error(errors, failed)
            found.append((bound, values))
        lower, upper = np.full(len(delta), -NEVER, np.int64), np.full(len(delta), NEVER, np.int64)
        for bound, values in found:
            times = _milliseconds(values, up=bound.upper == bound.strict) + (bound.upper != bound.strict)
            if bound.upper:
                upper = np.minimum(upper, times)
            else:
                lower = np.maximum(lower, times)
        known = reduce(np.logical_and, (present(values) for _, values in found))
        upper = np.where(known, upper, -NEVER)
        if errors is None or errors.null_count == len(delta):
            return lower, upper, delta
        bad = present(errors)
        (texts,) = rows.filter_rows((errors,), bad)
        self.report(texts, delta.diffs[bad])
        return lower[~bad], upper[~bad], Delta(rows.filter_rows(delta.columns, ~bad), delta.diffs[~bad])

    def _wait(self, changes: Delta, now: int) -> None:
        """Put changes of later times, which stand in front, into their levels."""
        if not len(changes):
            return
        bits = np.frexp((changes.columns[0].to_numpy() ^ now).astype(np.float64))[1]
        levels = np.clip(bits - FINEST, 0, LEVELS - 1)
        for level in np.unique(levels):
            of = levels == level
            chosen = changes.columns if of.all() else rows.filter_rows(changes.columns, of)
            self._levels[level].insert(Delta(chosen, changes.diffs[of]))


def _level(bits: int) -> int:
    return min(max(bits - FINEST, 0), LEVELS - 1)


def _milliseconds(values: pa.Array, up: bool) -> Int64s:
    """Times as whole milliseconds, rounded down, or `up`; 0 where NULL."""
    numbers = pc.fill_null(values.cast(pa.int64()), 0).to_numpy()
    if pa.types.is_timestamp(values.type):
        numbers = -(-numbers // 1000) if up else numbers // 1000
    clipped: Int64s = np.clip(numbers, -_MOST, _MOST)
    return clipped
