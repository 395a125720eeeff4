"""Where librdkafka is, and how our consumers use it.

Always true: what correctness rests on (isolation, offsets, no group membership) cannot be overridden by a connection's
properties; everything else can. Deliberately unknown: topics and messages.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import confluent_kafka

_REGISTRY_PREFIX = "schema.registry."

_DEFAULTS = {
    "fetch.queue.backoff.ms": "10",  # librdkafka waits a second when its queue is full; ours is drained in bursts
    "reconnect.backoff.ms": "100",
    "reconnect.backoff.max.ms": "1000",  # the default of 10 s would be felt as an outage
    "topic.metadata.refresh.interval.ms": "10000",
}

_FIXED = {
    "isolation.level": "read_committed",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
    "allow.auto.create.topics": "false",
}


def library_path() -> str:
    """The librdkafka that confluent-kafka uses; OSError names the places that were tried."""
    package = Path(confluent_kafka.__file__).parent
    folder = package.parent / "confluent_kafka.libs"
    bundled = sorted(folder.glob("librdkafka*.so*"))
    if bundled:
        return str(bundled[0])
    if system := ctypes.util.find_library("rdkafka"):
        return system
    raise OSError(
        f"no librdkafka: neither {folder}/librdkafka*.so nor a system library rdkafka; install confluent-kafka's wheel"
    )


def property_mistake(name: str, value: str) -> str:
    """Why librdkafka would refuse a property of a connection, in its words; empty when it takes it. Connects to nothing."""
    if name.startswith(_REGISTRY_PREFIX):
        return ""
    library = _library()
    reason = ctypes.create_string_buffer(512)
    conf = library.rd_kafka_conf_new()
    try:
        refused = library.rd_kafka_conf_set(conf, name.encode(), value.encode(), reason, ctypes.sizeof(reason))
    finally:
        library.rd_kafka_conf_destroy(conf)
    return reason.value.decode("utf-8", "replace") if refused else ""


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(library_path())
    library.rd_kafka_conf_new.argtypes = []
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    library.rd_kafka_conf_destroy.argtypes = [ctypes.c_void_p]
    library.rd_kafka_conf_destroy.restype = None
    return library


def consumer_properties(connection: Mapping[str, str], group: str) -> dict[str, str]:
    """The librdkafka properties of a source's consumer: the connection's own, and ours."""
    given = {name: value for name, value in connection.items() if not name.startswith(_REGISTRY_PREFIX)}
    return {"group.id": group, **_DEFAULTS, **given, **_FIXED}
