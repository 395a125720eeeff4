"""How far a sink got, as recorded in Kafka itself: the progress topic `headwater-progress-{service}`.

One partition, compacted; a record per sink and topic, written last in each transaction, so that it is visible exactly if the
changes are. Always true: the frontier of one key never goes back. The record is the only truth about what is in the topic.
Deliberately unknown here: producing, and what a frontier is compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from sinks.base import SinkHaltedError

TOPIC_SETTINGS = {
    # Only closed segments are compacted: with Kafka's defaults a start would read a week of records, or a gigabyte.
    "segment.bytes": str(8 * 1024 * 1024),
    "segment.ms": str(3_600_000),
    "min.cleanable.dirty.ratio": "0.1",
}
"""Settings of the progress topic besides compaction."""


_SLICE = 0.5
"""Seconds that one call waits before it is asked whether to stop."""


class Progress(msgspec.Struct, frozen=True):
    """One record.

    frontier: exclusive time up to which the data topic holds every change of the sink. definition: hash of the view's plan.
    instance: which run of a sink wrote it. topic_id: Kafka's own id of the data topic, empty where the broker has none.
    """

    frontier: int
    definition: str
    sink: str
    topic: str
    instance: str = ""
    topic_id: str = ""

    def encode(self) -> bytes:
        """The message value: a JSON object."""
        return msgspec.json.encode(self)


class ProgressUnavailableError(Exception):
    """The progress topic cannot be read to its end just now; the text says why. Try again later."""


def topic_name(service: str) -> str:
    """The progress topic that all sinks of a service share."""
    return f"headwater-progress-{service}"


def record_key(sink: str, topic: str) -> bytes:
    """The message key: a JSON object of the two names, so that a sink that gets another topic starts anew."""
    return msgspec.json.encode({"sink": sink, "topic": topic})


def read(
    connection: Mapping[str, str], service: str, sink: str, topic: str, timeout: float, stopped: Callable[[], bool]
) -> Progress | None:
    """The last committed record of this sink and topic, or None if there is none; the progress topic must exist.

    Call it after init_transactions: then the sink's own last transaction has ended. The high watermark is asked for with
    read_uncommitted, since the last stable offset may hide our own committed record behind another sink's open transaction;
    the records up to it are read with read_committed. Raises ProgressUnavailableError after `timeout` seconds without coming
    nearer to the end, or when `stopped()`; SinkHaltedError if the frontier went back or a record cannot be read.
    """
    partition = TopicPartition(topic_name(service), 0, OFFSET_BEGINNING)
    end = _high_watermark(connection, partition, timeout, stopped)
    wanted, found = record_key(sink, topic), None
    consumer = _consumer(connection, "read_committed")
    try:
        consumer.assign([partition])
        for message in _until(consumer, partition, end, timeout, stopped):
            if message.key() == wanted and message.value() is not None:
                found = _later(found, _decode(message), message)
    except KafkaException as error:
        raise _unavailable(partition, error.args[0]) from error
    finally:
        consumer.close()
    return found


def _consumer(connection: Mapping[str, str], isolation: str) -> Consumer:
    return Consumer(
        {
            **connection,
            "group.id": "headwater-progress",  # the client wants one; nothing is ever committed to it
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "log_level": 2,  # errors come as results of calls
        }
    )


def _unavailable(partition: TopicPartition, error: KafkaError) -> ProgressUnavailableError:
    return ProgressUnavailableError(f"cannot read topic {partition.topic}: {error.str()}")


def _high_watermark(
    connection: Mapping[str, str], partition: TopicPartition, timeout: float, stopped: Callable[[], bool]
) -> int:
    """The end offset with everything uncommitted."""
    consumer, deadline = _consumer(connection, "read_uncommitted"), time.monotonic() + timeout
    try:
        while True:
            try:
                _, high = consumer.get_watermark_offsets(partition, timeout=_SLICE, cached=False)
                return int(high)
            except KafkaException as error:
                if stopped() or time.monotonic() >= deadline:
                    raise _unavailable(partition, error.args[0]) from error
    finally:
        consumer.close()


def _until(
    consumer: Consumer, partition: TopicPartition, end: int, timeout: float, stopped: Callable[[], bool]
) -> Iterator[Message]:
    """Every committed record before offset `end`; returns only on proof that there are no more.

    Control records and aborted ones occupy offsets too, so the last record may lie well before `end`: the end of partition that
    the client reports for a committed reader is the last stable offset, and it alone tells that `end` was reached.
    """
    reached, deadline = 0, time.monotonic() + timeout
    while reached < end:
        if stopped() or time.monotonic() > deadline:
            raise ProgressUnavailableError(
                f"topic {partition.topic} is stable up to offset {reached} of {end}: another sink's transaction is open, "
                "or the broker is slow; waiting for it to end"
            )
        message = consumer.poll(0.1)
        offset = None if message is None else message.offset()
        if message is None or offset is None:
            continue
        error = message.error()
        if error is None:
            reached, deadline = offset + 1, time.monotonic() + timeout
            if offset < end:
                yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            reached = offset
        elif not error.retriable():
            raise KafkaException(error)


def _decode(message: Message) -> Progress:
    try:
        return msgspec.json.decode(message.value() or b"", type=Progress)
    except msgspec.DecodeError as error:
        raise SinkHaltedError(
            f"the progress record at offset {message.offset()} of topic {message.topic()} cannot be read ({error}); "
            "another program writes to that topic: find it, then delete the topic's record or rename the sink"
        ) from error


def _later(before: Progress | None, after: Progress, message: Message) -> Progress:
    if before is not None and after.frontier < before.frontier:
        raise SinkHaltedError(
            f"the progress of sink {after.sink} went back from {before.frontier} to {after.frontier} at offset "
            f"{message.offset()} of topic {message.topic()}: its topic {after.topic} may hold changes twice; "
            "rename the sink and give it a new topic"
        )
    return after
