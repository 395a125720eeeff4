"""The soak's oracle: every view recomputed from the topics, at every time that a reader or a sink's progress names.

In: the topics as a read_committed reader finds them, the bindings that were durable (which offsets belong to which time), kept
reads, the sinks' topics and progress records. Always true: nothing here is computed by the service's own operators.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from headwater.replay import positions
from ingest.remap import Binding
from sinks import progress
from tests.soak.workload import OWNERS, PARTITIONS, SINKS, TRANSFERS

Row = tuple[Any, ...]
Record = tuple[int, str, bytes, bytes | None]
"""Of a source: the time it is bound to, its topic, key and value."""
Change = tuple[int, Any, Row | None]
"""Of a sink: time, key, and the row, None for a tombstone."""
Moment = tuple[int, str, Any]
"""An exclusive time, and what is to be compared at it: the body of a read, or a sink's topic."""


class OracleError(AssertionError):
    """Something that must hold does not; the text says what, at which time."""


@dataclass
class Findings:
    """How much was compared."""

    transfers: int = 0
    reads: int = 0
    progresses: int = 0
    sink_records: int = 0
    bindings: int = 0


class Bank:
    """The three views over a prefix of the input; what changed since it was last asked for."""

    def __init__(self) -> None:
        self.balances: dict[int, tuple[int, int]] = {}  # account: entries, cents
        self.seen: Counter[int] = Counter()
        self.owners: dict[int, str] = {}
        self.touched: dict[str, set[Any]] = defaultdict(set)

    def transfer(self, value: Mapping[str, Any]) -> None:
        """One more transfer."""
        cents = int(Decimal(value["amount"]) * 100)
        for account, change in ((value["source"], -cents), (value["target"], cents)):
            entries, balance = self.balances.get(account, (0, 0))
            self.balances[account] = entries + 1, balance + change
            self.touched["balances"].add(account)
        self.seen[value["id"]] += 1
        self.touched["seen"].add(value["id"])

    def owner(self, key: bytes, value: bytes | None) -> None:
        """An account gets another owner, or none."""
        account = json.loads(key)["account"]
        if value is None:
            self.owners.pop(account, None)
        else:
            self.owners[account] = json.loads(value)["owner"]

    def row(self, view: str, key: Any) -> Row | None:
        """The view's row of this key, without the key."""
        if view == "balances":
            return self.balances.get(key)
        if view == "seen":
            return (self.seen[key],) if key in self.seen else None
        return self._owned().get(key)

    def _owned(self) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        for account, owner in self.owners.items():
            if account in self.balances:
                accounts, entries, cents = rows.get(owner, (0, 0, 0))
                more, balance = self.balances[account]
                rows[owner] = (accounts + 1, entries + more, cents + balance)
        return rows

    def keys(self, view: str) -> set[Any]:
        """Keys whose rows may differ since the last call."""
        if view == "owned":
            return {f"owner{number}" for number in range(12)}
        return self.touched.pop(view, set())


def _row(view: str, value: Mapping[str, Any]) -> Row:
    """A sink's message in the form of `Bank.row`."""
    if view == "balances":
        return value["entries"], int(Decimal(value["balance"]) * 100)
    if view == "seen":
        return (value["times"],)
    return value["accounts"], int(value["entries"]), int(Decimal(value["balance"]) * 100)


def check(bootstrap: str, bindings: list[Binding], samples: Path) -> Findings:
    """Compare everything; OracleError says what differs first."""
    records = _bound(bootstrap, bindings)
    sunk, moments = _outputs(bootstrap)
    for line in samples.read_text().splitlines():
        body = json.loads(line)
        moments.append((body["timestamp"] + 1, "read", body))
    findings = compare(records, sunk, moments)
    findings.bindings = len(bindings)
    return findings


def compare(records: list[Record], sunk: Mapping[str, list[Change]], moments: list[Moment]) -> Findings:
    """Compare what was read and what the sinks' topics hold with the views over the records, at each moment."""
    findings = Findings(sink_records=sum(len(changes) for changes in sunk.values()))
    bank, position = Bank(), 0
    topics: dict[str, dict[Any, Row]] = {sink: {} for sink in SINKS}
    changed: dict[str, set[Any]] = {sink: set() for sink in SINKS}
    places = dict.fromkeys(SINKS, 0)
    for time, what, body in sorted(moments, key=lambda moment: moment[:2]):
        while position < len(records) and records[position][0] < time:
            _, source, key, value = records[position]
            bank.transfer(json.loads(value or b"")) if source == TRANSFERS else bank.owner(key, value)
            position += 1
        if what == "read":
            _compare_read(bank, body)
            findings.reads += 1
            continue
        view = SINKS[what][0]
        while places[what] < len(sunk[what]) and sunk[what][places[what]][0] < time:
            _, key, row = sunk[what][places[what]]
            changed[what].add(key)
            topics[what].pop(key, None) if row is None else topics[what].update({key: row})
            places[what] += 1
        _compare_sink(what, time, bank, topics[what], changed[what] | bank.keys(view))
        changed[what] = set()
        findings.progresses += 1
    for sink, place in places.items():
        if place < len(sunk[sink]):
            raise OracleError(f"{sink} has records of time {sunk[sink][place][0]} behind its last progress")
    if position < len(records):
        raise OracleError(f"{len(records) - position} records are bound to times behind every progress and read")
    findings.transfers = sum(bank.seen.values())
    doubled = [number for number, times in bank.seen.items() if times != 1]
    if doubled:
        raise OracleError(f"the topic itself holds transfer {doubled[0]} {bank.seen[doubled[0]]} times")
    return findings


def _compare_read(bank: Bank, body: Mapping[str, Any]) -> None:
    shown = {row["account"]: (row["entries"], int(Decimal(row["balance"]) * 100)) for row in body["rows"]}
    if shown != bank.balances:
        account = next(a for a in shown.keys() | bank.balances.keys() if shown.get(a) != bank.balances.get(a))
        raise OracleError(
            f"a read at {body['timestamp']} showed {shown.get(account)} for account {account}, "
            f"and {bank.balances.get(account)} is bound"
        )


def _compare_sink(sink: str, time: int, bank: Bank, topic: Mapping[Any, Row], keys: set[Any]) -> None:
    for key in keys:
        if topic.get(key) != bank.row(SINKS[sink][0], key):
            raise OracleError(
                f"{sink} folded at progress {time} has {topic.get(key)} for key {key}, "
                f"and the view {bank.row(SINKS[sink][0], key)}"
            )


def _bound(bootstrap: str, bindings: list[Binding]) -> list[Record]:
    """Every record of the sources with the time that it is bound to, in order of time; those not bound are left out."""
    ends: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for binding in bindings:
        for source, ranges in binding.ranges.items():
            for piece in ranges:
                known = ends[source, piece.partition]
                if known and piece.start != known[-1][0]:
                    raise OracleError(
                        f"{source}[{piece.partition}] is bound up to {known[-1][0]}, then from {piece.start}"
                    )
                known.append((piece.end, binding.time))
    records = []
    for topic in (TRANSFERS, OWNERS):
        for message in _messages(bootstrap, topic, PARTITIONS):
            known = ends[topic, message.partition()]
            place = bisect_right(known, (message.offset(), 1 << 62))
            if place == len(known):
                raise OracleError(f"{topic}[{message.partition()}]@{message.offset()} was never bound to a time")
            records.append((known[place][1], topic, message.key() or b"", message.value()))
    records.sort(key=lambda record: record[0])  # stable: a partition's order stays
    return records


def _outputs(bootstrap: str) -> tuple[dict[str, list[Change]], list[Moment]]:
    """Each sink's changes in order of time, and the moments that its progress records name."""
    sunk: dict[str, list[Change]] = {sink: [] for sink in SINKS}
    for sink, (view, column) in SINKS.items():
        last: dict[Any, int] = {}
        for message in _messages(bootstrap, sink, 4):
            key, time = json.loads(message.key())[column], int(dict(message.headers())["headwater-time"])
            if time <= last.get(key, -1):
                raise OracleError(f"{sink} has key {key} at time {time} after time {last[key]}: written twice")
            last[key] = time
            sunk[sink].append((time, key, None if message.value() is None else _row(view, json.loads(message.value()))))
        sunk[sink].sort(key=lambda change: change[0])
    moments: list[Moment] = []
    latest = dict.fromkeys(SINKS, 0)
    for message in _messages(bootstrap, progress.topic_name("soak"), 1):
        record = json.loads(message.value())
        if record["frontier"] <= latest[record["sink"]]:
            raise OracleError(
                f"the progress of {record['sink']} went from {latest[record['sink']]} to {record['frontier']}"
            )
        latest[record["sink"]] = record["frontier"]
        moments.append((record["frontier"], record["sink"], None))
    return sunk, moments


def _messages(bootstrap: str, topic: str, partitions: int) -> Iterator[Message]:
    """Everything that a read_committed reader finds, each partition in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "soak-oracle",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    left, silent = set(range(partitions)), 0
    try:
        while left:
            batch = consumer.consume(5000, 0.5)
            silent = 0 if batch else silent + 1
            if silent > 120:
                raise OracleError(f"{topic} does not end for a read_committed reader: partitions {left}")
            for message in batch:
                if message.error() is None:
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                else:
                    raise OracleError(f"{topic}: {message.error()}")
    finally:
        consumer.close()


def merged(known: dict[int, Binding], log: list[Binding]) -> None:
    """Add what a log that nobody writes holds beyond the bindings known so far.

    OracleError when the log, folded or not, has lost a known binding or covers other offsets than those known.
    """
    last = max(known, default=0)
    if known and (not log or log[-1].time < last):
        raise OracleError(f"the remap log ends at time {log[-1].time if log else 0}, and {last} had been bound durably")
    known.update({binding.time: binding for binding in log if binding.time > last})
    if positions(log) != positions(known[time] for time in sorted(known)):
        raise OracleError(f"the remap log covers other offsets than those that were bound: {positions(log)}")
