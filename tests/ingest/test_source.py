"""Sources against a real broker: exact ranges, hydration, replay, and every way in which a topic can misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
import structlog
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place

from ingest.decode import Decoded, Decoder, make_decoder
from ingest.messages import Messages
from ingest.ranges import Range, ReplayMismatch, compare
from ingest.registry import RegistryUnavailable
from ingest.source import KEPT_ERRORS
from tests.ingest.topics import SCHEMA, Reading, produce, reading, transact
from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.kafka


def _ends(ranges: Mapping[int, Range]) -> dict[int, int]:
    return {partition: piece.end for partition, piece in ranges.items()}


def test_hydrates_then_runs(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 3)
    produce(kafka, topic_name, range(1000), 3)
    with reading(kafka, topic_name) as read:
        read.until(lambda: read.source.hydrated, limit=17)
        assert sorted(read.ids) == list(range(1000))
        assert read.source.target == {0: 334, 1: 333, 2: 333}
        assert read.source.status().hydration == (1000, 1000)
        status = read.source.status()
        assert (status.state, status.reason, status.records, status.errors) == ("running", "", 1000, 0)
        assert {p: (s.offset, s.low, s.high) for p, s in status.partitions.items()} == {
            0: (334, 0, 334),
            1: (333, 0, 333),
            2: (333, 0, 333),
        }
        produce(kafka, topic_name, [5000], 3)
        read.until(lambda: 5000 in read.ids)
        assert sum(piece.count for piece in read.ranges.values()) == 1001
    assert read.source.status().state == "stopped"


def test_empty_topic_is_hydrated_at_once(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 2)
    with reading(kafka, topic_name) as read:
        assert read.until_state("running") == ""
        assert read.takes == []


def test_aborted_transactions_are_invisible_and_hydration_passes_them(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 2)
    transact(kafka, topic_name, range(10), commit=True)
    transact(kafka, topic_name, range(100, 150), commit=False)
    transact(kafka, topic_name, range(200, 250), commit=False, partition=1)  # nothing visible at all
    with reading(kafka, topic_name) as read:
        read.until_state("running")
        assert read.ids == list(range(10))
        assert read.source.target == {0: 62, 1: 51}
        assert read.source.reached({0: 62, 1: 51})
        transact(kafka, topic_name, [7000], commit=True)
        read.until(lambda: 7000 in read.ids)
        first = read.ranges[0]
        assert (first.start, first.count) == (0, 11)
        assert 1 not in read.ranges
        ranges = read.ranges
    with reading(kafka, topic_name, floor=_ends(ranges)) as again:
        again.until(lambda: again.source.reached(_ends(ranges)), cut=_ends(ranges))
        compare(again.source.settings.topic, ranges, again.ranges)
        assert again.ids == read.ids


def test_open_transaction_is_waited_for(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [1])
    producer = Producer({**kafka.config, "transactional.id": f"open-{topic_name}", "log_level": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic_name, b'{"id": 2}', partition=0)
    assert producer.flush(60) == 0
    produce(kafka, topic_name, [3])
    with reading(kafka, topic_name) as read:
        read.until_state("running")
        assert read.ids == [1]
        assert read.source.target == {0: 1}
        producer.commit_transaction(60)
        read.until(lambda: read.ids == [1, 2, 3])


def test_replay_of_recorded_ranges_equals_the_first_run(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 3)
    produce(kafka, topic_name, range(500), 3)
    transact(kafka, topic_name, range(1000, 1050), commit=False, partition=1)
    produce(kafka, topic_name, range(500, 900), 3)
    with reading(kafka, topic_name) as read:
        read.until(lambda: read.source.hydrated, limit=64)
        cuts = read.takes
        ids = list(read.ids)
    produce(kafka, topic_name, range(900, 2000), 3)  # must not leak into the replay
    with reading(kafka, topic_name, floor=_ends(read.ranges)) as again:
        for ranges in cuts:
            expected = {piece.partition: piece for piece in ranges}
            until = _ends(expected)
            part = Reading(again.source, again.woken)
            part.until(lambda until=until: again.source.reached(until), limit=10, cut=until)  # type: ignore[misc]
            compare(again.source.settings.topic, expected, part.ranges)
            again.ids += part.ids
        assert sorted(again.ids) == sorted(ids)
        again.until(lambda: again.source.hydrated)
        assert sorted(again.ids) == list(range(2000))


def test_changed_content_is_a_mismatch(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [1, 2, 3])
    with reading(kafka, topic_name) as read:
        read.until(lambda: read.source.hydrated)
        ranges = read.ranges
    kafka.delete_topic(topic_name)
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [1, 2, 4])
    with reading(kafka, topic_name, floor=_ends(ranges)) as again:
        again.until(lambda: again.source.reached({0: 3}), cut={0: 3})
        with pytest.raises(
            ReplayMismatch, match=rf"{topic_name}\[0\] from offset 0 to 3 has the same 3 records .* other contents"
        ):
            compare(again.source.settings.topic, ranges, again.ranges)
        again.source.halt("replay mismatch")
        assert again.source.status().state == "halted"


def test_recreated_topic_halts(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [1, 2, 3])
    with reading(kafka, topic_name) as read:
        read.until(lambda: read.source.hydrated and (kafka.kind != "apache" or bool(read.source.topic_id)))
        identity = read.source.topic_id
        kafka.delete_topic(topic_name)
        kafka.create_topic(topic_name, 1)
        produce(kafka, topic_name, range(10, 20))
        if kafka.kind == "apache":
            assert "created again" in read.until_state("halted")
            with reading(kafka, topic_name, floor={0: 3}, topic_id=identity) as again:
                assert "was deleted and created again" in again.until_state("halted")


def test_nothing_is_taken_of_a_topic_made_anew_and_filled_past_what_was_read(
    kafka: KafkaServer, topic_name: str
) -> None:
    """Invariant: offsets that go on as if nothing had happened are no proof: not one row of another topic is bound."""
    if kafka.kind != "apache":
        pytest.skip("only Apache Kafka gives topics ids")
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, range(100))
    with reading(kafka, topic_name) as read:
        read.until(lambda: len(read.ids) == 100 and bool(read.source.topic_id))
        read.source._reader._refresh_at += 1e6  # it asks nothing meanwhile
        kafka.admin.delete_topics([topic_name])[topic_name].result(30)
        kafka.create_topic(topic_name, 1)
        produce(kafka, topic_name, range(1000, 1400))
        assert "was deleted and created again" in read.until_state("halted")
        assert sorted(read.ids) == list(range(100))


def test_a_topic_that_is_known_to_be_another_before_it_is_said_which_was_read(
    kafka: KafkaServer, topic_name: str
) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [1, 2, 3])
    with reading(kafka, topic_name) as read:
        known = kafka.kind != "apache"
        read.until(lambda: read.source.status().records == 3 and (known or bool(read.source.topic_id)), limit=0)
        read.source._reader.topic_id = read.source.topic_id or "aa" * 16
        read.source.replay_to({0: 0}, "bb" * 16)
        assert "was deleted and created again" in read.until_state("halted")
        assert read.ids == []  # what was read ahead of it is not used


def test_missing_topic_is_waited_for(kafka: KafkaServer, topic_name: str) -> None:
    with reading(kafka, topic_name) as read:
        assert read.until_state("waiting") == f"topic {topic_name} does not exist yet on main"
        kafka.create_topic(topic_name, 2)
        produce(kafka, topic_name, [1, 2], 2)
        read.until(lambda: sorted(read.ids) == [1, 2])
        read.until_state("running")


def test_new_partitions_are_read(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [0, 1])
    with reading(kafka, topic_name) as read:
        read.until_state("running")
        kafka.add_partitions(topic_name, 3)
        produce(kafka, topic_name, range(10, 16), 3)
        read.until(lambda: sorted(read.ids) == [0, 1, *range(10, 16)])
        assert _ends(read.ranges) == {0: 4, 1: 2, 2: 2}


def test_expired_offset_halts_and_others_go_on(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    other = kafka.create_topic(topic_name + "-other", 1)
    produce(kafka, topic_name, range(20_000), batch=100)
    # A small read-ahead: the reader stands still, with most of the topic unread.
    small = {"queued.min.messages": "10", "queued.max.messages.kbytes": "1", "max.partition.fetch.bytes": "1000"}
    with reading(kafka, topic_name, connection=small, ahead_rows=10) as read, reading(kafka, other) as healthy:
        healthy.until_state("running")
        deadline = time.monotonic() + 30
        while not read.source.status().records and time.monotonic() < deadline:
            time.sleep(0.01)  # and takes nothing
        kafka.admin.delete_records([Place(topic_name, 0, 20_000)])[Place(topic_name, 0)].result(30)
        reason = read.until_state("halted")
        assert f"of {topic_name}[0] is no longer on the broker" in reason
        produce(kafka, other, [1])
        healthy.until(lambda: healthy.ids == [1])


def test_starts_where_a_checkpoint_ends(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 2)
    produce(kafka, topic_name, range(1_000), 2)
    with reading(kafka, topic_name) as whole:
        whole.until(lambda: len(whole.ids) == 1_000)
        ends = _ends(whole.ranges)
    produce(kafka, topic_name, range(1_000, 1_100), 2)
    middle = {0: ends[0] - 100}  # the other partition from its beginning
    with reading(kafka, topic_name, positions=middle, floor=ends) as read:
        read.until(lambda: read.source.hydrated)
        assert len(read.ids) == 1_100 - middle[0]
        assert read.ranges[0].start == middle[0]
    kafka.admin.delete_records([Place(topic_name, 0, ends[0])])[Place(topic_name, 0)].result(30)
    with reading(kafka, topic_name, positions=middle, floor=ends) as late:
        reason = late.until_state("halted")
        assert f"offset {middle[0]} of {topic_name}[0] is no longer on the broker" in reason


def test_broker_killed_in_the_middle(own_kafka: KafkaServer) -> None:
    own_kafka.create_topic("t", 3)
    produce(own_kafka, "t", range(30_000), 3)
    with reading(own_kafka, "t", ahead_rows=1000) as read:
        read.until(lambda: len(read.ids) > 2000, limit=500)
        own_kafka.kill()
        reason = read.until_state("connecting")
        assert reason.startswith(f"no answer from main ({own_kafka.bootstrap}): ")
        own_kafka.restart()
        produce(own_kafka, "t", range(30_000, 31_000), 3)
        read.until(lambda: len(read.ids) >= 31_000)
        assert sorted(read.ids) == list(range(31_000))
        read.until_state("running")
    with reading(own_kafka, "t", floor=_ends(read.ranges)) as again:
        again.until(lambda: again.source.reached(_ends(read.ranges)), cut=_ends(read.ranges))
        compare(again.source.settings.topic, read.ranges, again.ranges)


def test_no_broker_then_a_broker(own_kafka: KafkaServer) -> None:
    own_kafka.create_topic("t", 1)
    produce(own_kafka, "t", [1])
    own_kafka.terminate()
    with reading(own_kafka, "t") as read:
        read.until(lambda: "no answer from main" in read.source.status().reason)
        assert read.source.status().state == "connecting"
        assert not read.source.hydrated
        own_kafka.restart()
        read.until(lambda: read.ids == [1])


def test_bad_messages_are_counted_and_described(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    producer = Producer({**kafka.config, "log_level": 0})
    for value in (b'{"id": 1}', b"secret", b'{"id": 2}', b'{"id": "secret"}'):
        producer.produce(topic_name, value, partition=0)
    assert producer.flush(60) == 0
    with structlog.testing.capture_logs() as logs, reading(kafka, topic_name) as read:
        read.until_state("running")
        assert read.ids == [1, 2]
        assert [error.partition(": ")[0] for error in read.errors] == [f"{topic_name}[0]@1", f"{topic_name}[0]@3"]
        assert read.source.status().errors == 2
        assert read.source.status().latest_errors == tuple(read.errors)
        many = [producer.produce(topic_name, b"secret", partition=0) for _ in range(KEPT_ERRORS + 500)]
        assert producer.flush(60) == 0
        read.until(lambda: read.source.reached({0: 4 + len(many)}))
        latest = read.source.status().latest_errors
        assert latest == tuple(read.errors[-KEPT_ERRORS:]), "the newest texts, and no more than that"
        assert "secret" not in str(latest)
        read.until(lambda: sum(line["count"] for line in logs if line["event"] == "bad messages") == 2 + len(many))
        assert read.ranges[0].count == 4 + len(many)
    assert sum(line["event"] == "bad messages" for line in logs) < 10, "once a second at most"
    assert "secret" not in str(logs)


def test_a_bad_property_halts(kafka: KafkaServer, topic_name: str) -> None:
    with reading(kafka, topic_name, connection={"no.such": "1"}) as read:
        assert 'connection main: No such configuration property: "no.such"' in read.until_state("halted")


class _ShyDecoder:
    """A decoder whose registry does not answer at first."""

    def __init__(self, inner: Decoder) -> None:
        self.inner, self.answer = inner, threading.Event()

    def decode(self, messages: Messages) -> Decoded:
        if not self.answer.is_set():
            raise RegistryUnavailable("registry gives no answer")
        return self.inner.decode(messages)


def test_waits_for_the_registry(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, [1, 2])
    with reading(kafka, topic_name) as plain:
        decoder = _ShyDecoder(make_decoder(plain.source.settings, SCHEMA, None))
    with reading(kafka, topic_name, decoder=decoder) as read:
        assert read.until_state("waiting") == "registry gives no answer"
        decoder.answer.set()
        read.until(lambda: read.ids == [1, 2])
        read.until_state("running")


def test_the_group_shows_how_far_ticks_came(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 1)
    produce(kafka, topic_name, range(5))
    tool = Consumer({**kafka.config, "group.id": f"group-{topic_name}", "log_level": 0})
    with reading(kafka, topic_name) as read:
        read.until(lambda: tool.committed([Place(topic_name, 0)], timeout=20)[0].offset == 5)
    tool.close()
