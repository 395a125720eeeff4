"""What is asked of a topic beside reading it: where its partitions end now, for readers that want everything that was there when
they asked, and whether the broker compacts it.

Always true: the ends were the broker's after `ends` was called; they are last stable offsets, behind which a read_committed
reader finds nothing. Deliberately unknown: who reads, and how far the ticks are.
"""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec

_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


_FORBIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)


class WatermarksUnavailable(Exception):  # noqa: N818 (a state of the broker)
    """The broker does not say; the text tells why."""


def compacted(connection: Mapping[str, str], topic: str, timeout: float) -> bool | None:
    """Whether a topic's cleanup.policy says compact; None when its configuration may not be asked for.

    WatermarksUnavailable when the broker does not answer in `timeout` seconds.
    """
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        admin = AdminClient(
            {**{k: v for k, v in connection.items() if not k.startswith("schema.registry.")}, "log_level": 2}
        )
        (answer,) = admin.describe_configs([asked], request_timeout=timeout).values()
        return "compact" in (answer.result(timeout)["cleanup.policy"].value or "").split(",")
    except (KafkaException, TimeoutError) as error:
        if isinstance(error, KafkaException) and error.args[0].code() in _FORBIDDEN:
            return None
        raise WatermarksUnavailable(f"no answer for the configuration of topic {topic}: {error}") from error


class Watermarks:
    """The ends of one topic; for one thread at a time. The connection is made with the first question."""

    def __init__(self, connection: Mapping[str, str], topic: str) -> None:
        self._connection = {k: v for k, v in connection.items() if not k.startswith("schema.registry.")}
        self._topic = topic
        self._admin: AdminClient | None = None

    def ends(self, timeout: float) -> dict[int, int]:
        """Partition to exclusive end offset. WatermarksUnavailable when the broker does not answer in `timeout` seconds."""
        try:
            if self._admin is None:
                # Its errors come as results of calls.
                self._admin = AdminClient({**self._connection, "log_level": 2})
            topic = self._admin.list_topics(self._topic, timeout=timeout).topics[self._topic]
            if topic.error is not None:
                raise WatermarksUnavailable(f"topic {self._topic}: {topic.error.str()}")
            asked = self._admin.list_offsets(
                {TopicPartition(self._topic, number): _LATEST for number in topic.partitions},
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=timeout,
            )
            return {at.partition: future.result(timeout).offset for at, future in asked.items()}
        except (KafkaException, TimeoutError) as error:
            raise WatermarksUnavailable(f"no answer for topic {self._topic}: {error}") from error
