"""A source whose broker stands still: what reads it is served as of what is known, and who wants it recent is told in vain of what.

Two sources of one broker, one of them through a proxy that falls silent.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.service import RUN, Headwater, produce, record, running
from tests.servers.kafka import KafkaServer, free_ports
from tests.soak.proxy import Proxy

LIVE, STALLED = f"{RUN}_live", f"{RUN}_stalled"


@dataclass
class Stall:
    kafka: KafkaServer
    proxy: Proxy
    service: Headwater

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host="127.0.0.1", port=self.service.postgres, user="ada", dbname="shop", autocommit=True)

    def put(self, topic: str, id_: int) -> None:
        produce(self.kafka.bootstrap, topic, [record({"id": id_}, {"id": id_})])


@pytest.fixture(scope="module")
def stall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stall]:
    folder: Path = tmp_path_factory.mktemp("stall")
    (folder / "kafka").mkdir()
    inner, outer = free_ports(2)
    kafka = KafkaServer(folder / "kafka", proxied=(inner, outer))
    kafka.start()
    proxy = Proxy(outer, inner)
    try:
        if kafka.kind != "apache":
            pytest.skip("only Apache Kafka listens twice")
        for topic in (LIVE, STALLED):
            kafka.create_topic(topic, 1)
            produce(kafka.bootstrap, topic, [record({"id": 1}, {"id": 1})])
        sources = {
            name: {"kafka": name, "topic": topic, "format": "json", "columns": {"id": "bigint"}}
            for name, topic in (("live", LIVE), ("stalled", STALLED))
        }
        views = {
            "live_count": {"sql": "SELECT count(*) AS n FROM live"},
            "stalled_count": {"sql": "SELECT count(*) AS n FROM stalled"},
            "both": {"sql": "SELECT (SELECT count(*) FROM live) AS a, (SELECT count(*) FROM stalled) AS b"},
        }
        settings = {
            "name": f"stall_{RUN}",
            "kafka": {
                "live": {"bootstrap.servers": kafka.bootstrap},
                "stalled": {"bootstrap.servers": f"127.0.0.1:{outer}"},
            },
            "sources": sources,
            "views": views,
            "serve": {"postgres": "127.0.0.1:0"},
        }
        with running(folder, settings) as service:
            yield Stall(kafka, proxy, service)
            proxy.heal()
    finally:
        proxy.heal()
        kafka.stop()


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def refused(connection: psycopg.Connection[Any], query: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as error:
        connection.execute(query.encode())
    return error.value


@pytest.mark.kafka
def test_a_stalled_source_blocks_nothing_but_itself(stall: Stall) -> None:
    with stall.connect() as client:
        client.execute("SET real_time_recency = on")
        stall.put(LIVE, 2)
        stall.put(STALLED, 2)
        assert (one(client, "SELECT a FROM both"), one(client, "SELECT b FROM both")) == (2, 2)
        client.execute("SET transaction_isolation = 'bounded staleness 60s'")
        assert one(client, "SELECT n FROM stalled_count") == 2
        stall.proxy.silent = True
        try:
            stall.put(STALLED, 3)
            for n in (3, 4):
                client.execute("SET transaction_isolation = 'strict serializable'")
                stall.put(LIVE, n)
                assert one(client, "SELECT n FROM live_count") == n, "real-time recent: the stall is not its source's"
            _waits_in_vain(stall, client)
            _is_bounded(stall, client)
            _over_http(stall)
            client.execute("SET real_time_recency = off")
            for level in ("serializable", "strict serializable"):
                client.execute(f"SET transaction_isolation = '{level}'".encode())
                began = time.monotonic()
                assert (one(client, "SELECT b FROM both"), one(client, "SELECT a FROM both")) == (2, 4)
                assert time.monotonic() - began < 60, "it waited"
        finally:
            stall.proxy.heal()
        client.execute("SET real_time_recency = on")
        client.execute("SET real_time_recency_timeout = '60s'")
        assert (one(client, "SELECT n FROM stalled_count"), one(client, "SELECT b FROM both")) == (3, 3)


def _waits_in_vain(stall: Stall, client: psycopg.Connection[Any]) -> None:
    client.execute("SET real_time_recency_timeout = '500ms'")
    for query in ("SELECT n FROM stalled_count", "SELECT a FROM both", "COPY (SELECT a FROM both) TO STDOUT"):
        error = refused(client, query)
        assert error.sqlstate == "57014"
        assert "did not come up to what its topics held, in 0.5 s" in str(error)
        assert "the broker of source stalled did not say what it holds" in (error.diag.message_detail or "")
    client.execute("SET real_time_recency_timeout = 0")
    client.execute("SET statement_timeout = 300")
    assert "statement timeout" in str(refused(client, "SELECT n FROM stalled_count"))
    client.execute("SET statement_timeout = 0")
    with client.transaction():
        client.execute("SET LOCAL real_time_recency_timeout = '20s'")
        assert one(client, "SELECT n FROM live_count") == 4
        with pytest.raises(psycopg.Error, match="need not be recent for source stalled"), client.transaction():
            one(client, "SELECT n FROM stalled_count")


def _is_bounded(stall: Stall, client: psycopg.Connection[Any]) -> None:
    client.execute("SET transaction_isolation = 'bounded staleness 1h'")
    assert client.execute("SHOW transaction_isolation").fetchone() == ("bounded staleness 1h",)
    assert one(client, "SELECT b FROM both") == 2, "it was known to be recent before the stall"
    client.execute("SET transaction_isolation = 'bounded staleness 10ms'")
    error = refused(client, "SELECT b FROM both")
    assert error.sqlstate == "55000"
    assert "source stalled was last known to be read to its end" in str(error)
    client.execute("SET transaction_isolation = 'bounded staleness 5s'")
    assert one(client, "SELECT n FROM live_count") == 4
    assert refused(client, "SET transaction_isolation = 'bounded staleness soon'").sqlstate == "22023"


def _over_http(stall: Stall) -> None:
    assert stall.service.get("/views/stalled_count?bounded_staleness=1h&limit=3")[1]["rows"] == [{"n": 2}]
    assert stall.service.get("/views/live_count?bounded_staleness=30s")[1]["rows"] == [{"n": 4}]
    status, body = stall.service.get("/views/stalled_count?bounded_staleness=20ms")
    assert status == 503
    assert re.search(r"source stalled was last known to be read to its end [\d.]+ s ago", body["error"]["message"])
    assert stall.service.get("/views/stalled_count")[1]["rows"] == [{"n": 2}]
    texts = [
        "SET transaction_isolation = 'bounded staleness 1ms'",
        "SELECT n FROM live_count",
        "SELECT n FROM stalled_count",
    ]
    body = json.dumps({"queries": [{"query": text} for text in texts]})
    connection = http.client.HTTPConnection("127.0.0.1", stall.service.port, timeout=30)
    try:
        connection.request("POST", "/api/sql", body, {"content-type": "application/json"})
        results = json.loads(connection.getresponse().read())["results"]
    finally:
        connection.close()
    assert results[1]["rows"] == [[4]]
    assert results[2]["error"]["code"] == "55000"
