"""The reader thread of one source: follows a topic's partitions, drains and decodes ahead of the ticks.

It describes the topic every few seconds (missing, grown, created again), starts new partitions at their beginning, and keeps
the read-ahead filled but bounded; while it is full nothing is drained, and librdkafka's own bounded queue then stops
fetching. Always true: a record is added once, in offset order, whatever the broker does meanwhile; what cannot be continued
correctly (expired or lost offsets, another topic of the same name) halts the reader, with the reason, and is never skipped.
Deliberately unknown: ticks, the remap log, what rows mean.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import structlog

from config.settings import Source as Settings
from ingest.chunks import ReadAhead, make_chunk
from ingest.decode import Decoded, Decoder
from ingest.kernels._consumer import Consumer
from ingest.librdkafka import consumer_properties, library_path
from ingest.messages import Messages
from ingest.registry import RegistryUnavailable
from ingest.watermarks import WatermarksUnavailable, compacted

log = structlog.get_logger(__name__)

State = Literal["connecting", "waiting", "reading", "halted", "stopped"]
"""connecting: no answer from the broker. waiting: an answer that is no data yet. reading. halted: only a person can help."""

BEGINNING = -2
DRAIN_MESSAGES = 16_384
DRAIN_BYTES = 8 << 20
REFRESH_SECONDS = 3.0
RETRY_SECONDS = 0.5
ANSWER_MS = 1500
UNANSWERED = 4
"""Questions for a topic's configuration that a broker may leave open while it answers others: some know no such question."""

TRUNCATION_PATIENCE = 10.0
"""Seconds for which a topic may end before an offset that was read from it: a broker that comes back finds its end again."""

_MISSING_TOPIC = (3, -188)
_UNKNOWN_PARTITION = -190
_TIMED_OUT = -185
_AUTHORIZATION = (29, 30)
_LOST_OFFSET = (1, -140, -139)
_FATAL = {
    -199: "the broker sent a damaged batch",
    -198: "the broker sent a batch that cannot be decompressed",
    -150: "the consumer failed for good",
}


class Halt(Exception):  # noqa: N818 (a state, not a fault of the program)
    """The source cannot go on correctly; the text is its reason."""


class Reader:
    """Reads one topic into `ahead` until `stop`. `wake` is called after new data and after every change of state.

    start, stop and the properties may be used from any thread.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        connection: Mapping[str, str],
        decoder: Decoder,
        group: str,
        ahead: ReadAhead,
        wake: Callable[[], None],
    ) -> None:
        self._topic, self._connection, self._name = settings.topic, settings.kafka, name
        self._properties = {"client.id": f"headwater-{name}", **consumer_properties(connection, group)}
        self._given, self._upsert = connection, settings.envelope == "upsert"
        self._decoder, self._ahead, self._wake = decoder, ahead, wake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"read-{name}", daemon=True)
        self._assigned: set[int] = set()
        self._next: dict[int, int] = {}
        self._refresh_at = 0.0
        self._committed: dict[int, int] = {}
        self._failures = 0
        self._bad_logged, self._bad_unlogged, self._bad_place = 0.0, 0, ""
        self._short_since: float | None = None
        self.state: State = "connecting"
        self.reason = f"connecting to {self._connection}"
        self.topic_id = ""
        self.expected_id = ""
        self.ask_policy = False
        """Whether to ask, before anything is read, if the topic is compacted."""
        self.compacted = False
        self._unanswered = 0
        self._starts: dict[int, int] = {}
        self.target: dict[int, int] | None = None
        self.floor: dict[int, int] = {}
        self.watermarks: dict[int, tuple[int, int]] = {}
        self.records = self.bytes = self.errors = 0

    def start(self, positions: Mapping[int, int]) -> None:
        """Begin reading, partitions that are named at these offsets, others at their beginning; returns at once."""
        self._starts = dict(positions)
        if self.state != "halted":
            self._thread.start()

    def stop(self) -> None:
        """End the thread and the connection; what was read ahead stays."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(20)
        if self.state != "halted":
            self.state, self.reason = "stopped", ""

    def halt(self, reason: str) -> None:
        """Read no further, for this reason."""
        self._set("halted", reason)
        self._stop.set()

    def _run(self) -> None:
        consumer: Consumer | None = None
        try:
            consumer = self._open()
            self._read(consumer)
        except Halt as halt:
            log.error("source halted", source=self._name, reason=str(halt))
            self._set("halted", str(halt))
        except Exception as error:
            log.exception("source failed", source=self._name)
            self._set("halted", f"internal error: {type(error).__name__}: {error}")
        finally:
            if consumer is not None:
                consumer.close()

    def _open(self) -> Consumer:
        try:
            return Consumer(library_path(), self._properties, self._topic)
        except ValueError as error:
            raise Halt(f"connection {self._connection}: {error}; correct its properties") from error

    def _read(self, consumer: Consumer) -> None:
        while not self._stop.is_set():
            if time.monotonic() >= self._refresh_at:
                self._refresh(consumer)
            self._check_identity(consumer.identity())
            if not self._assigned or self._ahead.full:
                self._stop.wait(0.005 if self._assigned else 0.05)
                continue
            self._drain(consumer)

    # What the broker says about the topic.

    def _refresh(self, consumer: Consumer) -> None:
        code, reason, partitions = consumer.describe(ANSWER_MS)
        if code == 0:
            self._check_partitions(partitions)
            code, reason = self._follow(consumer, [p for p in partitions if p not in self._assigned])
        if code == 0:
            self._check_ends(consumer)
            self._commit(consumer)
            consumer.ask_identity(ANSWER_MS)
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        else:
            self._say_why_not(consumer, code, reason)
            self._refresh_at = time.monotonic() + RETRY_SECONDS
        self._report_bad()
        for line in dict.fromkeys(text for _, text in consumer.logs()):  # it repeats itself while a broker is away
            log.debug("librdkafka", source=self._name, line=line)

    def _check_identity(self, topic_id: str) -> None:
        known = self.expected_id or self.topic_id
        if topic_id and known and topic_id != known:
            self._ahead.close()
            raise Halt(self._recreated())
        self.topic_id = topic_id or self.topic_id

    def expect(self, topic_id: str) -> None:
        """Say which topic was read before. What is read ahead of another one, as the broker may have told already, is not used."""
        self.expected_id = topic_id
        if topic_id and self.topic_id not in ("", topic_id):
            self._ahead.close()
            self.halt(self._recreated())

    def _recreated(self) -> str:
        return (
            f"topic {self._topic} on {self._connection} was deleted and created again; "
            "start with an empty state folder to read the new one"
        )

    def _check_partitions(self, partitions: list[int]) -> None:
        if lost := self._assigned.difference(partitions):
            raise Halt(
                f"topic {self._topic} on {self._connection} no longer has partition {min(lost)}: it was created again; "
                "start with an empty state folder to read the new one"
            )

    def _follow(self, consumer: Consumer, new: list[int]) -> tuple[int, str]:
        """Start these partitions; the ends of the first ones are what hydration has to reach."""
        starts, ends = {}, {}
        for partition in new:
            code, reason, low, high = consumer.watermarks(partition, ANSWER_MS)
            if code != 0:
                return code, reason
            starts[partition], ends[partition] = self._starts.get(partition, low), high
            if starts[partition] < low:
                raise Halt(self._lost(partition, starts[partition], f"its records begin at {low}"))
            self.watermarks[partition] = (low, high)
        if new and self.ask_policy:
            asked, why = None, "it may not be asked for"
            try:
                asked = compacted(self._given, self._topic, ANSWER_MS / 1000)
            except WatermarksUnavailable as error:
                why, self._unanswered = str(error), self._unanswered + 1
                if self._unanswered < UNANSWERED:
                    return _TIMED_OUT, why
            if asked is None:  # who is not told gets what is right in both cases, where both are likely
                log.warning(
                    "it is not known whether the topic is compacted; `keep_rows` of the source says what to do",
                    source=self._name, reason=why, rows_kept=self._upsert,
                )  # fmt: skip
            self.compacted, self.ask_policy = self._upsert if asked is None else asked, False
        if new:
            # Not at `low`, which may have expired in the meantime; the range starts there all the same.
            self._ahead.open(starts)
            self._next.update(starts)
            consumer.assign({partition: self._starts.get(partition, BEGINNING) for partition in new})
            self._assigned.update(new)
            log.info("reading", source=self._name, topic=self._topic, partitions=len(self._assigned))
        if self.target is None:
            self.target = ends
        self._set("reading", "")
        return 0, ""

    def _check_ends(self, consumer: Consumer) -> None:
        """A topic that ends before an offset that was read from it has lost records."""
        short = False
        for partition, offset in self.floor.items():
            low, high = self.watermarks.get(partition, (0, 0))
            if high >= offset:
                continue
            code, _, low, high = consumer.watermarks(partition, ANSWER_MS)
            if code != 0 or self._stop.is_set():
                return  # the next refresh asks again
            if high < offset:
                short = True
                self._short_since = self._short_since or time.monotonic()
                if time.monotonic() - self._short_since > TRUNCATION_PATIENCE:
                    raise Halt(
                        f"{self._topic}[{partition}] ends at offset {high}, but was read up to {offset} before: it was "
                        "truncated or created again; start with an empty state folder to read it from its beginning"
                    )
            else:
                self.watermarks[partition] = (low, high)
        if not short:
            self._short_since = None

    def _say_why_not(self, consumer: Consumer, code: int, reason: str) -> None:
        where = f"{self._connection} ({self._properties.get('bootstrap.servers', 'no bootstrap.servers')})"
        if code in _MISSING_TOPIC or (code == _UNKNOWN_PARTITION and not self._assigned):
            gone = "no longer exists" if self._assigned else "does not exist yet"
            self._set("waiting", f"topic {self._topic} {gone} on {self._connection}")
        elif code in _AUTHORIZATION:
            self._set("waiting", f"topic {self._topic} on {self._connection} may not be read: {reason}")
        else:
            count, _, last = consumer.failures()
            if count > self._failures and last:
                reason = last
            self._failures = count
            self._set("connecting", f"no answer from {where}: {reason}")

    def _commit(self, consumer: Consumer) -> None:
        """Tell the group what was taken, for lag tools; nothing of ours ever reads it."""
        moved = {p: offset for p, offset in self._ahead.bound.items() if self._committed.get(p, 0) != offset}
        if moved and consumer.commit(moved):
            self._committed.update(moved)

    # Data.

    def _drain(self, consumer: Consumer) -> None:
        wait_ms = max(1, min(100, int((self._refresh_at - time.monotonic()) * 1000)))
        values, keys, offsets, partitions, timestamps, digests, size, eofs, errors = consumer.drain(
            DRAIN_MESSAGES, DRAIN_BYTES, wait_ms
        )
        self._check_identity(consumer.identity())  # before any of it may be taken
        messages = Messages(
            pa.Array._import_from_c_capsule(*values),
            pa.Array._import_from_c_capsule(*keys),
            offsets,
            partitions,
            timestamps,
            digests,
        )
        if len(messages) or eofs:
            self._add(consumer, messages, eofs, size)
        for partition, code, text in errors:
            self._event(partition, code, text)

    def _add(self, consumer: Consumer, messages: Messages, eofs: Mapping[int, int], size: int) -> None:
        present = np.flatnonzero(np.bincount(messages.partitions)).tolist()
        for partition in present:
            mine = messages.offsets[messages.partitions == partition]
            self._next[partition] = int(mine[-1]) + 1
        for partition, offset in eofs.items():
            self._next[partition] = max(offset, self._next.get(partition, 0))
        ends = {p: self._next[p] for p in {*present, *eofs}}
        decoded = self._decode(messages)
        if decoded is None:
            return
        self._ahead.add(make_chunk(self._topic, messages, decoded, ends))
        self.records += len(messages)
        self.bytes += size
        for partition in ends:
            low, high = consumer.known_watermarks(partition)
            before = self.watermarks.get(partition, (0, 0))
            self.watermarks[partition] = (max(low, before[0]), max(high, before[1], ends[partition]))
        self._count_bad(messages, decoded)
        self._wake()

    def _decode(self, messages: Messages) -> Decoded | None:
        """Decode, asking again as long as the registry has no answer; None when stopped meanwhile."""
        pause, asked_again = 0.25, False
        while not self._stop.is_set():
            try:
                decoded = self._decoder.decode(messages)
            except RegistryUnavailable as error:
                self._set("waiting", str(error))
                self._stop.wait(pause)
                pause, asked_again = min(pause * 2, 10.0), True
            else:
                if asked_again:
                    self._set("reading", "")
                return decoded
        return None

    def _count_bad(self, messages: Messages, decoded: Decoded) -> None:
        if decoded.errors:
            row = decoded.errors[-1].row
            self.errors += len(decoded.errors)
            self._bad_unlogged += len(decoded.errors)
            self._bad_place = f"{self._topic}[{messages.partitions[row]}]@{messages.offsets[row]}"
            self._report_bad()

    def _report_bad(self) -> None:
        """Say how many bad messages there were since the last time, once a second at most."""
        if self._bad_unlogged and time.monotonic() - self._bad_logged >= 1.0:
            log.warning("bad messages", source=self._name, count=self._bad_unlogged, last=self._bad_place)
            self._bad_logged, self._bad_unlogged = time.monotonic(), 0

    def _event(self, partition: int, code: int, text: str) -> None:
        if code in _LOST_OFFSET:
            raise Halt(self._lost(partition, self._next.get(partition, 0), text))
        if code in _FATAL:
            raise Halt(f"{self._topic}[{partition}] at offset {self._next.get(partition, 0)}: {_FATAL[code]} ({text})")
        self._refresh_at = 0.0  # it may be gone, moved or forbidden: ask, and say so

    def _lost(self, partition: int, offset: int, why: str) -> str:
        return (
            f"offset {offset} of {self._topic}[{partition}] is no longer on the broker: its records expired before they were "
            f"read, or the topic was created again ({why}); start with an empty state folder to read what is there"
        )

    def _set(self, state: State, reason: str) -> None:
        if self.state in ("halted", "stopped") or (self.state, self.reason) == (state, reason):
            return
        if state in ("connecting", "waiting"):
            log.warning("source is " + state, source=self._name, reason=reason)
        self.state, self.reason = state, reason
        self._wake()
