"""Inner equi-join of several inputs without a collection in between.

    SELECT * FROM a JOIN b ON a.k = b.k JOIN c ON b.m = c.m

    change of the output: dA x B.after x C.after + A.before x dB x C.after + A.before x B.before x dC

Each term is a path: the changed rows of one input look up the next input's partners by a shared arrangement, those look up the
next one's, until all inputs are met. An input that stands before the changed one is read as it was, one that stands after it as it
is, so that rows which change together meet once (`paths_of` gives the order of lookups, which the answer does not depend on).
Always true: NULL keys never match; output columns are those of the inputs, in order; a row of the output is gathered once, when it
has met all inputs; pieces bound what a hot key makes at a time. The state is the shared arrangements; the join keeps none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.operators.base import Operator, Types, arrangement_of, combine, names
from dataflow.operators.join import in_pieces, matches
from dataflow.rows import Columns, Int64s
from dataflow.snapshot import Snapshot

Keyed = tuple[int, tuple[int, ...]]
"""An input, and the columns of it that an arrangement is by."""


@dataclass(frozen=True, slots=True)
class Link:
    """Columns of two inputs, given by number, that are equal in every row of the output."""

    left: Keyed
    right: Keyed


@dataclass(frozen=True, slots=True)
class Lookup:
    """A step of a path: the rows `of` an input whose key equals these columns of an input met before."""

    of: Keyed
    by: Keyed


Paths = tuple[tuple[Lookup, ...], ...]


def paths_of(links: Sequence[Link], inputs: int, unique: Collection[Keyed] = ()) -> Paths:
    """For each input the lookups that lead from its changed rows to all others.

    unique: keys of which no two rows of the input are alike. They are looked up first, as no row gets several partners there.
    ValueError unless the links make a tree: one way from each input to each other one.
    """
    if len(links) != inputs - 1:
        raise ValueError(f"{len(links)} links between {inputs} inputs make no tree")
    ways = [Lookup(to, by) for link in links for to, by in ((link.right, link.left), (link.left, link.right))]
    return tuple(_path(start, ways, inputs, unique) for start in range(inputs))


def _path(start: int, ways: Sequence[Lookup], inputs: int, unique: Collection[Keyed]) -> tuple[Lookup, ...]:
    met = {start}
    path: list[Lookup] = []
    while len(met) < inputs:
        open_ways = [way for way in ways if way.by[0] in met and way.of[0] not in met]
        if not open_ways:
            raise ValueError(f"no link leads from the inputs {sorted(met)} to the other ones of {inputs}")
        path.append(min(open_ways, key=lambda way: way.of not in unique))
        met.add(path[-1].of[0])
    return tuple(path)


@dataclass(frozen=True, slots=True)
class DeltaJoinSpec:
    """The path of each input; the operator's inputs are the arrangements that `arranged` names."""

    paths: Paths

    @property
    def arranged(self) -> tuple[Keyed, ...]:
        """What the paths look up, each once."""
        return tuple(dict.fromkeys(lookup.of for path in self.paths for lookup in path))

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return DeltaJoin(self, types, inputs)

    def __str__(self) -> str:
        paths = (
            f"{start}" + "".join(f" > {look.of[0]} by ({names(look.of[1])})" for look in path)
            for start, path in enumerate(self.paths)
        )
        return f"delta join of {len(self.paths)} inputs: {'; '.join(paths)}"


class DeltaJoin(Operator):
    """Inputs: the arrangements, by the spec's `arranged`; several may be of one collection, or one and the same."""

    multiplies = True

    def __init__(self, spec: DeltaJoinSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._paths = spec.paths
        self._arrangements = {of: arrangement_of(source) for of, source in zip(spec.arranged, inputs, strict=True)}
        place = {of[0]: i for i, of in enumerate(spec.arranged)}
        self._sources = [place[start] for start in range(len(spec.paths))]

    def step(self, *deltas: Delta) -> Delta:
        return combine(list(self._joined(deltas)), self.types)

    def stream(self) -> Iterator[Delta]:
        """The output, some `STREAM_ROWS` of `dataflow.operators.join` at a time."""
        deltas = [source.delta for source in self.inputs]
        self.rows_in += sum(len(deltas[place]) for place in self._sources)
        return in_pieces(self._joined(deltas), self.types)

    def _joined(self, deltas: Sequence[Delta]) -> Iterator[Delta]:
        for start, path in enumerate(self._paths):
            delta = deltas[self._sources[start]]
            if len(delta):
                traces = [self._trace(look.of, start) for look in path]
                yield from _follow(_Met({start: (delta.columns, None)}, delta.diffs), path, traces)

    def _trace(self, of: Keyed, changed: int) -> Snapshot:
        arrangement = self._arrangements[of]
        return arrangement.before if of[0] < changed else arrangement.after


@dataclass(frozen=True, slots=True)
class _Met:
    """Rows of some inputs side by side: by input its columns, and which of their rows stand here (None: all, in order)."""

    inputs: dict[int, tuple[Columns, Int64s | None]]
    diffs: Diffs

    def key(self, by: Keyed) -> Columns:
        columns, places = self.inputs[by[0]]
        key = tuple(columns[column] for column in by[1])
        return key if places is None else rows.take(key, places)

    def with_partners(self, places: Int64s, partner: int, columns: Columns, diffs: Diffs) -> _Met:
        """The rows at these places beside the partners that were found for them."""
        met = {one: (own, places if at is None else at[places]) for one, (own, at) in self.inputs.items()}
        return _Met({**met, partner: (columns, None)}, diffs)

    def gathered(self) -> Delta:
        columns: list[pa.Array] = []
        for one in sorted(self.inputs):
            own, places = self.inputs[one]
            columns += own if places is None else rows.take(own, places)
        return Delta(tuple(columns), self.diffs)


def _follow(met: _Met, path: Sequence[Lookup], traces: Sequence[Snapshot]) -> Iterator[Delta]:
    """What rows become at the end of a path, depth first: at each step there is one piece."""
    if not path:
        yield met.gathered()
        return
    key = met.key(path[0].by)
    # The rows' places go through the probe as one more column.
    changed = Delta((*key, pa.array(np.arange(len(met.diffs)))), met.diffs)
    for mine, theirs, diffs in matches(changed, tuple(range(len(key))), traces[0], nulls_match=False):
        more = met.with_partners(mine[-1].to_numpy(), path[0].of[0], theirs, diffs)
        yield from _follow(more, path[1:], traces[1:])
