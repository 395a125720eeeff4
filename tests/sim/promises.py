"""What is checked in every simulated run, whenever something becomes visible. The names are those of the proof tests.

T1 every view at every time that is shown is the query over the records that the log bound to it, and stays so, also when it
is read as of a time of before, as long as its past is kept. T2 reads of one
transaction see one time. T3 a read that begins after another one ended sees no earlier time. T4 the changes of a view add up to
it. T5 a sink's topic is its view at the recorded progress, which rises with each transaction. T6 replays give one state, to the
byte. T7 a starting sink reads the progress that was committed last. T8 a producer of before writes nothing. T9 a topic that is
not what it was halts its source. T10 a second coordinator is refused, or the first one shows nothing more.
Always true: what is compared with is computed from the records, by nothing that is tested here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from dataflow.delta import Delta
from dataflow.state import State
from dataflow.types import Schema
from ingest.ranges import FRAMES
from serve.reads import Publication, Published, pieces
from sinks.progress import Progress
from tests.sim.broker import Topic
from tests.sim.chance import Chance
from tests.sim.oracle import SINKS, Answer, answer
from tests.sim.transactions import Transaction

Positions = dict[str, dict[int, int]]
Bag = Counter[tuple[Any, ...]]

CLIENTS = 3
PAST = 40
"""Times that are read again, of those that an incarnation showed."""

ANSWERS = 50
"""Answers that are kept, since several checks ask for the same."""


class Wrong(AssertionError):
    """A promise was broken."""


@dataclass
class Output:
    """What a committed reader has read of one sink's topic and its progress."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    progress: Progress | None = None


class Written(Protocol):
    """A table's truth (`tests.sim.limits`)."""

    frames: list[Counter[tuple[int, int]]]

    def rows(self, positions: Mapping[str, Mapping[int, int]]) -> Counter[tuple[int, int]]:
        """The table's rows at some position."""
        ...

    def all_in(self, positions: Mapping[str, Mapping[int, int]]) -> bool:
        """Whether everything that was written is in this."""
        ...


@dataclass
class Promises:
    """The records of what was promised, and the checks. `schemas`: of the views."""

    chance: Chance
    topics: Mapping[str, Topic]
    schemas: Mapping[str, Schema]
    limits: Written | None = None
    outputs: dict[str, Output] = field(default_factory=lambda: {sink: Output() for sink in SINKS})
    positions: dict[int, Positions] = field(default_factory=dict)
    """What the log binds to each time, or to the last one before it."""
    shown: dict[int, Positions] = field(default_factory=dict)
    last_shown: int = 0
    last_positions: Positions = field(default_factory=dict)
    publications: int = 0
    taken_at: int | None = None
    """The last time that the log held, or reserved, when another service took it over."""
    checked: Counter[str] = field(default_factory=Counter)
    _bound: Positions = field(default_factory=dict)  # by the last binding that is durable
    _bound_at: int = 0
    _reserved: int = 0  # up to this time they may be shown
    _answers: dict[str, Answer] = field(default_factory=dict)
    _clients: list[tuple[Published, Bag]] = field(default_factory=list)
    _told: int = 0  # the latest time that a read which has ended saw
    _folds: dict[str, Bag] = field(default_factory=dict)
    _digests: dict[int, str] = field(default_factory=dict)
    _times: list[int] = field(default_factory=list)
    """The times that this incarnation showed."""
    _ready: dict[str, int] = field(default_factory=dict)
    """View to the first of these from which on it has been readable."""

    def restarted(self) -> None:
        """The process died, and its clients' connections with it."""
        self._clients.clear()
        self._folds.clear()
        self._times.clear()
        self._ready.clear()
        self.taken_at = None

    def bound(self, time: int, positions: Positions) -> None:
        """A time is to get its offsets. One that was shown keeps those that it was shown with."""
        if time <= self.last_shown and self.shown.get(time) != positions:
            raise Wrong(f"time {time} is bound to {positions} after {self.last_shown} was shown")
        self.positions[time] = positions

    def durable(self, time: int, positions: Positions, reserved: int) -> None:
        """What the log holds last, and up to when that may be shown at times that have no binding."""
        self._bound_at, self._bound, self._reserved = time, positions, reserved

    def published(self, published: Published) -> None:
        """T1."""
        self.publications += 1
        self.chance.spared = False
        time = published.time
        self.chance.now = f"tick {self.publications}"
        if not self._bound_at <= time <= max(self._bound_at, self._reserved):
            raise Wrong(
                f"T1: time {time} is shown, {self._bound_at} is bound and times up to {self._reserved} are reserved"
            )
        self.checked["T1 without a binding"] += time > self._bound_at
        positions = self.positions[time] = self._bound
        if self.shown.setdefault(time, positions) != positions:
            raise Wrong(f"T1: time {time} was shown with {self.shown[time]}, and now with {positions}")
        if self.taken_at is not None and time > self.taken_at:
            raise Wrong(f"T10: time {time} is shown, and another service took over at {self.taken_at}")
        if time < self.last_shown:
            raise Wrong(f"T1: time {time} is shown after {self.last_shown}")
        self.last_shown, self.last_positions = time, positions
        # What a start shows first was shown before, and has been so since its binding.
        since = time if self._times else self._bound_at
        self._times += [time] if since == time else [since, time]
        expected = self.answer(positions, time)
        for name, view in published.views.items():
            if view.state != "ready":
                self._ready.pop(name, None)
                continue
            self._ready.setdefault(name, since)
            self.checked["T1"] += 1
            if (found := bag(view.rows.rows())) != expected[name]:
                raise Wrong(f"T1: view {name} at {time}: {found} instead of {expected[name]}")
            errors, wanted = bag(view.errors.rows()), expected.get(f"{name} errors", Counter())
            if errors != wanted:
                raise Wrong(f"T1: errors of {name} at {time}: {errors} instead of {wanted}")

    def read(self, publication: Publication) -> None:
        """T2 and T3: a client begins a transaction with a read of one view, or ends one with a read of another."""
        if len(self._clients) < CLIENTS:
            published = publication.current()
            if published is None or published.views["balance"].state != "ready":
                return
            if published.time < self._told:
                raise Wrong(f"T3: a read sees time {published.time} after another one saw {self._told}")
            self.checked["T3"] += 1
            self._clients.append((published, _scanned(published, "balance")))
            return
        published, balance = self._clients.pop(self.chance.random.randrange(CLIENTS))
        total = _scanned(published, "total")
        amount = sum(row[1] for row in balance.elements()) if balance else None
        if total != Counter([(amount, balance.total())]) or amount not in (0, None):
            raise Wrong(f"T2: at {published.time} one read gives {balance}, the next one {total}")
        self.checked["T2"] += 1
        self._told = max(self._told, published.time)

    def read_past(self, publication: Publication) -> None:
        """T1: a client reads a view as of a time of before."""
        published = publication.current()
        if published is None or len(self._times) < 2:
            return
        time = self.chance.random.choice(self._times[-PAST:])
        name = self.chance.random.choice(sorted(published.views))
        past = published.views[name].past
        if past is None:
            return
        since = max(self._ready.get(name, published.time), published.time - past.length)
        if past.since(published.time) != since:
            raise Wrong(f"T1: {name} at {published.time} is kept since {past.since(published.time)} instead of {since}")
        if time < since:
            return
        self.checked["T1 as of"] += 1
        found = bag(published.as_of(time).views[name].rows.rows())
        if found != (expected := self.answer(self.positions[time], time)[name]):
            raise Wrong(f"T1: view {name} as of {time}, read at {published.time}: {found} instead of {expected}")

    def changed(self, sink: str, time: int, delta: Delta) -> None:
        """T4."""
        expected = self.answer(self.positions[time], time)[SINKS[sink]]
        if sink in self._folds:
            fold = self._folds[sink]
            for row, diff in bag(delta).items():
                fold[row] += diff
                if not fold[row]:
                    del fold[row]
            self.checked["T4"] += 1
            if fold != expected:
                raise Wrong(f"T4: the changes for {sink} up to {time} add up to {fold} instead of {expected}")
        self._folds[sink] = Counter(expected)

    def committed(self, transaction: Transaction) -> None:
        """T5 and T8."""
        progress: Progress | None = None
        rows: dict[bytes, bytes | None] = {}
        for topic, key, value in transaction.records:
            if topic in SINKS:
                rows[key] = value
            elif value is not None:
                progress = json_progress(value)
        if progress is None:
            raise Wrong("T5: a transaction without progress was committed")
        output = self.outputs[progress.sink]
        if output.progress is not None and progress.frontier <= output.progress.frontier:
            raise Wrong(f"T8: {progress.sink} goes from {output.progress.frontier} to {progress.frontier}")
        output.rows.update(rows)
        output.progress = progress
        positions = self.positions.get(progress.frontier - 1)
        if positions is None:
            raise Wrong(f"T5: {progress.sink} is complete up to {progress.frontier}, and no time ends there")
        self.same_as_view(progress.sink, positions)

    def same_as_view(self, sink: str, positions: Positions) -> None:
        """T5: the topic of a sink is its view at these offsets."""
        self.checked["T5"] += 1
        if difference := self._difference(sink, positions):
            raise Wrong(f"T5: the topic of {sink}: {difference}")

    def _difference(self, sink: str, positions: Positions) -> str:
        """How the topic of a sink differs from its view at these offsets."""
        view, output = SINKS[sink], self.outputs[sink]
        names = [column.name for column in self.schemas[view]]
        rows = [json.loads(value) for value in output.rows.values() if value]
        found = Counter(tuple(str(row[name]) for name in names) for row in rows)
        expected = Counter({tuple(map(str, row)): n for row, n in self.answer(positions, 0)[view].items()})
        return f"{found} instead of {expected}" if found != expected else ""

    def opened(self, sink: str, frontier: int | None) -> None:
        """T7."""
        progress = self.outputs[sink].progress
        self.checked["T7"] += 1
        if frontier != (progress.frontier if progress is not None else None):
            raise Wrong(f"T7: {sink} begins at {frontier}, and committed was {progress}")

    def halted(self, topic: Topic, reason: str) -> None:
        """T9."""
        if not topic.harmed or (topic.kept and topic.harmed != "recreated"):
            raise Wrong(f"T9: a source halted that reads what it was, or has kept it: {reason}")
        self.checked["T9"] += 1

    def replayed(self, time: int, state: State) -> None:
        """T6."""
        digest = digest_of(state)
        if self._digests.setdefault(time, digest) != digest:
            raise Wrong(f"T6: the state at {time} is {digest}, and was {self._digests[time]} before")
        self.checked["T6"] += 1

    def all_there(self) -> bool:
        """Whether all records are in what is shown and in the sinks' topics."""
        shown = all(
            {p: end for p, end in self.last_positions.get(name, {}).items() if p != FRAMES} == topic.ends()
            for name, topic in self.topics.items()
        )
        shown = shown and (self.limits is None or self.limits.all_in(self.last_positions))
        return shown and not any(self._difference(sink, self.last_positions) for sink in self.outputs)

    def at_the_end(self) -> None:
        """Everything has to be everywhere."""
        for name, topic in self.topics.items():
            read = self.last_positions.get(name, {})
            if topic.rows(read) != topic.rows(topic.ends()):
                raise Wrong(f"at the end {name} was read up to {read} of {topic.ends()}")
        if self.limits is not None and not self.limits.all_in(self.last_positions):
            raise Wrong(f"at the end the table was taken up to {self.last_positions} of {len(self.limits.frames)}")
        for sink in self.outputs:
            self.same_as_view(sink, self.last_positions)

    def answer(self, positions: Positions, time: int) -> Answer:
        """What the views are."""
        key = repr((positions, time))
        if key not in self._answers:
            if len(self._answers) > ANSWERS:
                self._answers.clear()
            limits = self.limits.rows(positions) if self.limits is not None else {}
            self._answers[key] = answer(
                self.topics["transfers"], self.topics["accounts"], limits, positions, time, self.schemas
            )
        return self._answers[key]


def digest_of(state: State) -> str:
    """A hash of the rows in each spine with their diffs, whatever runs they are in."""
    digest = hashlib.sha256()
    for runs in state.spines:
        rows: Bag = Counter()
        for run in runs:
            columns = run.columns()
            beside = [numbers for numbers in (columns.hashes, columns.seconds) if numbers is not None]
            diffs = columns.diffs.to_pylist() if columns.diffs is not None else [1] * len(columns.hashes)
            values = zip(*(column.to_pylist() for column in (*columns.columns, *beside)), strict=True)
            for row, diff in zip(values, diffs, strict=True):
                rows[row] += diff
        digest.update(repr(sorted((repr(row), diff) for row, diff in rows.items() if diff)).encode())
    return digest.hexdigest()


def bag(delta: Delta) -> Bag:
    """Rows and how often."""
    rows = zip(*(column.to_pylist() for column in delta.columns), strict=True)
    return Counter(dict(zip(rows, delta.diffs.tolist(), strict=True)))


def json_progress(value: bytes) -> Progress:
    """A progress record."""
    return Progress(**json.loads(value))


def _scanned(published: Published, view: str) -> Bag:
    rows: Bag = Counter()
    for piece in pieces(published.views[view].rows):
        rows.update(bag(piece))
    return rows
