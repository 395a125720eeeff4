"""The state of a dataflow as runs: taken at one moment, put back into a dataflow of the same shape.

Always true: what is taken is everything that later steps depend on, as of the last complete step, and never changes; taking it
copies nothing. A dataflow that took it over goes on as the one that it was taken from would have.
Deliberately unknown: files, and what makes two graphs of the same shape mean the same (the caller compares that).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dataflow.kernels import _rows
from dataflow.memory import RunColumns, StoredRun, columns_of, open_run, stored
from dataflow.operators.base import Operator
from dataflow.snapshot import Snapshot
from dataflow.spine import Spine


@dataclass(frozen=True, slots=True)
class StateRun:
    """One immutable run of the state. `identity` is equal for two only if they are the same run, and can be referred to weakly."""

    identity: _rows.Run

    @property
    def bytes(self) -> int:
        """Bytes of the run."""
        return self.identity.bytes

    @property
    def stored(self) -> StoredRun | None:
        """Where a store wrote it, if one did; it is not released as long as this is held."""
        return stored(self.identity)

    def columns(self) -> RunColumns:
        """All of it, sharing its memory."""
        return columns_of(self.identity)


@dataclass(frozen=True, slots=True)
class Part:
    """The last spines of a state that belong to one layer (`dataflow.stack`): how many, what it means and of which shape it is."""

    meaning: str
    shape: str
    spines: int


@dataclass(frozen=True, slots=True)
class State:
    """The runs of each spine, in an order that dataflows of the same `shape` share.

    parts: of layers, in the order of their spines, which stand behind those of the base.
    """

    shape: str
    spines: tuple[tuple[StateRun, ...], ...]
    parts: tuple[Part, ...] = ()


def take(shape: str, spines: Iterable[Spine]) -> State:
    """The state as of now. Costs some microseconds for each spine."""
    return State(shape, tuple(_runs(spine.snapshot()) for spine in spines))


def put(spines: Sequence[Spine], columns: Sequence[Sequence[RunColumns]]) -> State:
    """Put runs into spines that are empty; the State is of the runs as they now are.

    ValueError, with nothing changed, when they are not runs of these spines or a spine is not empty.
    """
    if len(columns) != len(spines):
        raise ValueError(f"state of {len(columns)} spines is not that of a dataflow with {len(spines)}")
    opened = [
        [open_run(spine.layout, run) for run in kept if len(run.hashes)]
        for spine, kept in zip(spines, columns, strict=True)
    ]
    for spine, runs in zip(spines, opened, strict=True):
        spine.resume(runs)
    return State("", tuple(_runs(spine.snapshot()) for spine in spines))


def shape_of(operators: Mapping[int, Operator], exports: Iterable[tuple[str, int]]) -> str:
    """A hash of the graph as far as state depends on it: kinds, inputs, types and layouts. Not what expressions compute."""
    numbers = {id(operator): number for number, operator in operators.items()}
    digest = hashlib.sha256()
    for number, operator in operators.items():
        inputs = [numbers[id(source)] for source in operator.inputs]
        layouts = [spine.layout for spine in operator.spines()]
        digest.update(repr((number, type(operator).__name__, inputs, operator.types, layouts)).encode())
    for export in exports:
        digest.update(repr(export).encode())
    return digest.hexdigest()


def _runs(snapshot: Snapshot) -> tuple[StateRun, ...]:
    return tuple(StateRun(run) for run in snapshot.kernel_runs)
