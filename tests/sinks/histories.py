"""Histories of a view with a unique key: what the sinks' tests write, and the oracle for what they find."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import types
from dataflow.delta import Delta
from dataflow.types import Column

SCHEMA = (Column("k", types.BIGINT), Column("v", types.TEXT))
KEY = (0,)
State = dict[int, str]


def delta(rows: list[tuple[int, str, int]]) -> Delta:
    """A delta of (k, v, diff)."""
    return Delta(
        (pa.array([k for k, _, _ in rows], pa.int64()), pa.array([v for _, v, _ in rows], pa.large_string())),
        np.array([diff for _, _, diff in rows], np.int64),
    )


def difference(before: State, after: State) -> Delta:
    """What turns one state into the other."""
    gone = [(k, v, -1) for k, v in before.items() if after.get(k) != v]
    return delta(gone + [(k, v, 1) for k, v in after.items() if before.get(k) != v])


@dataclass(frozen=True)
class History:
    """states[i] is the view after tick i; tick i happens at time 1000 + 10 * i."""

    states: list[State]

    @classmethod
    def random(cls, seed: int, ticks: int, keys: int = 30, changes: int = 8) -> History:
        """The same for the same arguments, in every process. Some ticks change nothing."""
        chance, state, states = random.Random(seed), {}, []
        for tick in range(ticks):
            state = dict(state)
            for _ in range(chance.choice([0, 1, changes])):
                key = chance.randrange(keys)
                if chance.random() < 0.3:
                    state.pop(key, None)
                else:
                    state[key] = f"{tick}-{chance.randrange(1000)}"
            states.append(state)
        return cls(states)

    def ticks(self) -> list[tuple[int, Delta]]:
        """(time, delta) of every tick."""
        before: list[State] = [{}, *self.states]
        return [(1000 + 10 * i, difference(before[i], state)) for i, state in enumerate(self.states)]

    def before(self, frontier: int) -> State:
        """The view as of all ticks before `frontier`."""
        state: State = {}
        for i, after in enumerate(self.states):
            if 1000 + 10 * i < frontier:
                state = after
        return state


def fold(records: list[tuple[bytes, bytes | None]]) -> State:
    """What a consumer that keeps the last value of each key has, given records in order."""
    state: State = {}
    for key, value in records:
        k = json.loads(key)["k"]
        if value is None:
            state.pop(k)  # KeyError: a tombstone for a key that was not there
        else:
            row = json.loads(value)
            assert row["k"] == k
            state[k] = row["v"]
    return state
