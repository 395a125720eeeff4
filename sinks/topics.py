"""Topics of sinks: made if missing, with the settings that a sink needs, or found to be gone.

Always true: that a topic is missing is believed only of the controller, or of a broker that cannot create topics at all (the
embedded one, where topics appear by producing). Deliberately unknown here: what is written to them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Unanswered
from typing import Literal, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata
from confluent_kafka.cimpl import NewTopic

log = structlog.get_logger(__name__)

Found = Literal["existing", "created", "missing"]

_NOTHING: Mapping[str, str] = {}
_FORBIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
_EMBEDDED = "mockCluster"  # how the cluster ids of librdkafka's own mock cluster begin


_SLICE = 0.5
"""Seconds that one call waits before it is asked whether to stop."""

Answer = TypeVar("Answer")


class TopicsUnavailableError(Exception):
    """The broker does not answer, or refuses; the text says why. Try again later."""


class Topics:
    """What a sink asks of a cluster's topics. Each question takes `timeout` seconds at most, and ends soon after `stopped()`."""

    def __init__(
        self, connection: Mapping[str, str], timeout: float, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._admin = AdminClient({**connection, "log_level": 2})
        self._timeout = timeout
        self._stopped = stopped
        self._cluster_id: str | None = None

    def ensure(self, topic: str, partitions: int, replication: int, extra: Mapping[str, str] = _NOTHING) -> Found:
        """Create the topic, compacted, with `extra` settings if it is missing.

        "missing" means: this broker creates it when it is produced to.
        """
        found = self._create(topic, partitions, replication, extra, validate_only=False)
        if found == "created":
            self._await(topic)
            log.info("topic created", topic=topic, partitions=partitions, replication=replication)
        return found

    def find(self, topic: str) -> Found:
        """Whether the topic exists: "existing" or "missing"."""
        found = self._create(topic, 1, 1, _NOTHING, validate_only=True)
        return "existing" if found == "existing" else "missing"

    def identity(self, topic: str) -> str:
        """Kafka's own id of an existing topic, another one after it was deleted and made again; empty if unknown."""
        if self._embedded():
            return ""
        try:
            asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=self._timeout)
            description = self._answer(asked[topic])
        except KafkaException as failure:
            raise TopicsUnavailableError(f"cannot describe topic {topic}: {failure.args[0].str()}") from failure
        return str(description.topic_id)

    def _create(
        self, topic: str, partitions: int, replication: int, extra: Mapping[str, str], validate_only: bool
    ) -> Found:
        if self._embedded():
            return "existing" if topic in self._cluster().topics else "missing"
        new = NewTopic(topic, partitions, replication, config={"cleanup.policy": "compact", **extra})
        request = self._admin.create_topics(
            [new], operation_timeout=self._timeout, request_timeout=self._timeout, validate_only=validate_only
        )
        try:
            self._answer(request[topic])
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return "existing"
            # A user may be allowed to write to a topic and not to create it.
            if error.code() in _FORBIDDEN and topic in self._cluster().topics:
                return "existing"
            raise TopicsUnavailableError(f"cannot create topic {topic}: {error.str()}") from failure
        return "created"

    def _await(self, topic: str) -> None:
        """Brokers hear of a new topic some time after the controller has made it."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self.identity(topic)
                return
            except TopicsUnavailableError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _embedded(self) -> bool:
        if self._cluster_id is None:
            self._cluster_id = str(self._cluster().cluster_id)
        return self._cluster_id.startswith(_EMBEDDED)

    def _cluster(self) -> ClusterMetadata:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return self._admin.list_topics(timeout=_SLICE)
            except KafkaException as failure:
                if self._stopped() or time.monotonic() >= deadline:
                    raise TopicsUnavailableError(f"cannot reach the broker: {failure.args[0].str()}") from failure

    def _answer(self, future: Future[Answer]) -> Answer:
        """Wait for an answer, which comes within the timeout that the request was given."""
        while True:
            try:
                return future.result(_SLICE)
            except Unanswered:
                if self._stopped():
                    raise TopicsUnavailableError("stopped while the broker was asked") from None
