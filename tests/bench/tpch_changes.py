"""Tables as `tests.bench.tpch` makes them, as they would stream in: all side by side, a tenth of their rows changed or gone later.

Always true: every row has the tick in which it comes and the one in which it goes (the number of ticks: never), so that the
tables as of a tick are those that came by it and did not go by it. A change keeps the key and takes all else from another row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from tests.bench.tpch import KEYS

CHANGED = 0.1
"""The share of the rows that change or go; half of them each."""

Lives = Mapping[str, pa.Table]
"""By table: its columns, then `born` and `died`."""


def lives(tables: Mapping[str, pa.Table], ticks: int, seed: int, keys: Mapping[str, int] = KEYS) -> Lives:
    """A random life for each row of each table, over so many ticks. keys: how many of a table's first columns are its key."""
    chance = np.random.default_rng(seed)
    return {name: _lives(table, keys[name], ticks, chance) for name, table in tables.items()}


def _lives(table: pa.Table, keys: int, ticks: int, chance: np.random.Generator) -> pa.Table:
    rows = table.drop_columns(["event", "diff"])
    # What orders refer to comes in the first half, among the first orders, so that most ticks have answers.
    streamed = bool((table["event"].to_numpy() >= 0).any())
    born = chance.integers(0, ticks if streamed else ticks // 2 + 1, len(rows))
    died = np.full(len(rows), ticks)
    chosen = np.flatnonzero((chance.random(len(rows)) < CHANGED) & (born < ticks - 1))
    died[chosen] = chance.integers(born[chosen] + 1, ticks)
    chance.shuffle(chosen)
    changed = chosen[: (len(chosen) + 1) // 2]
    own, others = rows.take(changed), rows.take(chance.integers(0, len(rows), len(changed)))
    new = pa.table([*own.columns[:keys], *others.columns[keys:]], rows.column_names)
    return (
        pa.concat_tables([rows, new])
        .append_column("born", pa.array(np.concatenate([born, died[changed]])))
        .append_column("died", pa.array(np.concatenate([died, np.full(len(changed), ticks)])))
        .combine_chunks()
    )


def deltas(lives: Lives, ticks: int) -> list[dict[str, Delta]]:
    """What each tick brings and takes away, by table."""
    steps: list[dict[str, Delta]] = [{} for _ in range(ticks)]
    for name, table in lives.items():
        born, died = table["born"].to_numpy(), table["died"].to_numpy()
        gone = np.flatnonzero(died < ticks)
        # An old row goes before the one that takes its key comes, as in a topic by key.
        when = np.concatenate([died[gone], born])
        order = np.argsort(when, kind="stable")
        row = np.concatenate([gone, np.arange(len(born))])[order]
        diffs = np.concatenate([np.full(len(gone), -1), np.ones(len(born), np.int64)])[order]
        columns = tuple(column.combine_chunks().take(pa.array(row)) for column in table.columns[:-2])
        edges = np.searchsorted(when[order], np.arange(ticks + 1))
        for step, begin, end in zip(steps, edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if begin < end:
                step[name] = Delta(tuple(c.slice(begin, end - begin) for c in columns), diffs[begin:end])
    return steps
