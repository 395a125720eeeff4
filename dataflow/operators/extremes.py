"""min and max: the value of each group that comes first, before and after a step.

`Extreme` reads it from an arrangement ordered by (key, value), but only where a change may have overtaken the stored one.
`Winner` is for a collection that only grows: what was overtaken never comes back, so the stored one and the step's values suffice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.operators.base import Arrangement, refuse_retractions
from dataflow.operators.exact import Mask
from dataflow.rows import Columns, Int64s
from dataflow.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Extreme:
    """The first value of each group in an arrangement."""

    column: int
    descending: bool
    arrangement: Arrangement

    def step(self, delta: Delta, ids: Int64s, touched: Columns, groups: int, old: pa.Array, known: Mask) -> pa.Array:
        """The values of the touched groups before this step, then after it; `old` is right where it is `known`."""
        if not known.all() and not touched:
            # Without a group key the row of no rows is shown, so that even a group with nothing stored has an old value.
            old = _first(self.arrangement.before, touched, groups)
        found = rows.leaders(ids, groups, delta.columns[self.column], delta.diffs, old, self.descending)
        # What was added may be taken away by the same step, so a leader is not taken at its word.
        again = np.flatnonzero((found != rows.STAYS) | ~known)
        if not len(again):
            return pa.concat_arrays([old, old])
        if len(again) == groups:
            return pa.concat_arrays([old, _first(self.arrangement.after, touched, groups)])
        return _replaced(old, again, _first(self.arrangement.after, rows.take(touched, again), len(again)))


@dataclass(frozen=True, slots=True)
class Winner:
    """The better of the stored value and the step's values, for a collection that only grows."""

    column: int
    descending: bool

    def step(self, delta: Delta, ids: Int64s, _touched: Columns, groups: int, old: pa.Array, _known: Mask) -> pa.Array:
        """As `Extreme.step`; a group with nothing stored never had a row. ValueError when a row is taken away."""
        refuse_retractions(delta, "min and max")
        values = delta.columns[self.column]
        found = rows.leaders(ids, groups, values, delta.diffs, old, self.descending)
        again = np.flatnonzero(found != rows.STAYS)
        if not len(again):
            return pa.concat_arrays([old, old])
        return _replaced(old, again, rows.take((values,), found[again])[0])


def _replaced(old: pa.Array, again: Int64s, found: pa.Array) -> pa.Array:
    """`old`, then `old` with the values of the groups `again` replaced by `found`."""
    groups = len(old)
    slots = np.arange(2 * groups, dtype=np.int64)
    slots[groups:] -= groups
    slots[groups + again] = groups + np.arange(len(again), dtype=np.int64)
    return rows.take((pa.concat_arrays([old, found]),), slots)[0]


def _first(trace: Snapshot, keys: Columns, groups: int) -> pa.Array:
    """The first value of each key; NULL where there is none."""
    probe = trace.first(keys, 1, rows=groups)
    return spread(probe.columns[-1], probe.probe_rows, groups)


def spread(column: pa.Array, found: Int64s, groups: int) -> pa.Array:
    """By group: the value at which `found` names the group, or NULL."""
    slots = np.zeros(groups, np.int64)
    missing = np.ones(groups, np.bool_)
    slots[found] = np.arange(len(found), dtype=np.int64)
    missing[found] = False
    return column.take(pa.array(slots, mask=missing))
