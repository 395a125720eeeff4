"""Connections, secrets, sources and sinks that SQL makes while the service runs: right at once, and after kill -9."""

from __future__ import annotations

import contextlib
import random
import stat
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.books import Client
from tests.e2e.service import RUN, Headwater, fold, produce, record, running
from tests.servers.kafka import KafkaServer

pytestmark = [pytest.mark.kafka]

SECRET = "correct horse battery staple"


def settings(bootstrap: str, name: str) -> dict[str, Any]:
    return {
        "name": f"{name}_{RUN}",
        "checkpoint": {"interval": "500ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "visits": {"kafka": "main", "topic": f"{RUN}_{name}_visits", "format": "json", "columns": {"who": "text"}}
        },
        "views": {"visitors": {"key": ["who"], "sql": "SELECT who, count(*) AS n FROM visits GROUP BY who"}},
        "sinks": {"visitors_out": {"view": "visitors", "kafka": "main", "topic": f"{RUN}_{name}_out", "key": ["who"]}},
        "serve": {"postgres": "127.0.0.1:0"},
    }


class Shop:
    """Orders by customer, the last of each id, in a topic; what a view of them shows."""

    def __init__(self, kafka: KafkaServer, name: str) -> None:
        self.bootstrap, self.name = kafka.bootstrap, name
        self.topic, self.log = f"{RUN}_{name}_orders", f"{RUN}_{name}_log"
        for topic in (f"{RUN}_{name}_visits", self.topic, self.log):
            kafka.create_topic(topic, 2)
        self.orders: dict[int, tuple[str, int]] = {}
        self.lines = 0

    def write(self, begin: int, end: int, factor: int = 1) -> None:
        """Orders of these ids, every seventh of them deleted, and as many lines of the log."""
        records = []
        for number in range(begin, end):
            self.orders[number] = (f"c{number % 5}", number * factor)
            records.append(
                record({"id": number}, {"id": number, "customer": f"c{number % 5}", "amount": number * factor})
            )
            if number % 7 == 0:
                del self.orders[number]
                records.append(record({"id": number}, None))
        produce(self.bootstrap, self.topic, records)
        produce(self.bootstrap, self.log, [record({}, {"line": number}) for number in range(begin, end)])
        self.lines += end - begin

    def totals(self) -> list[tuple[str, int]]:
        found: dict[str, int] = {}
        for customer, amount in self.orders.values():
            found[customer] = found.get(customer, 0) + amount
        return sorted(found.items())

    @property
    def upsert(self) -> str:
        columns = "id bigint NOT NULL, customer text, amount bigint, PRIMARY KEY (id) NOT ENFORCED"
        return (
            f"CREATE SOURCE orders ({columns}) FROM KAFKA CONNECTION broker (TOPIC '{self.topic}') "
            "KEY FORMAT JSON VALUE FORMAT JSON ENVELOPE UPSERT"
        )

    @property
    def append(self) -> str:
        return f"CREATE SOURCE lines (line bigint) FROM KAFKA CONNECTION main (TOPIC '{self.log}') FORMAT JSON"

    def sink(self, topic: str, name: str = "totals_out") -> str:
        return (
            f"CREATE SINK {name} FROM totals INTO KAFKA CONNECTION broker (TOPIC '{topic}', TOPIC PARTITION COUNT 2) "
            "KEY (customer) FORMAT JSON ENVELOPE UPSERT"
        )


TOTALS = (
    "CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(amount)::bigint AS total FROM orders GROUP BY customer"
)


@pytest.fixture(scope="module")
def house(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Headwater, Shop]]:
    shop = Shop(kafka, "outside")
    shop.write(0, 3000)
    with running(tmp_path_factory.mktemp("outside"), settings(kafka.bootstrap, "outside")) as service:
        yield service, shop


@pytest.fixture
def client(house: tuple[Headwater, Shop]) -> Iterator[Client]:
    client = Client(house[0])
    yield client
    for kind in ("sink", "materialized view", "view", "source", "connection", "secret"):
        rows = client.rows(f"SELECT name FROM headwater.objects WHERE NOT declared AND kind = '{kind}'")
        for (name,) in rows:
            client.run(f"DROP {kind} IF EXISTS {name} CASCADE")
    client.connection.close()


def written(shop: Shop, topic: str) -> list[tuple[str, int]]:
    """What a reader of the sink's topic ends with."""
    return sorted((row["customer"], row["total"]) for row in fold(shop.bootstrap, topic, 2).values())


def shows(client: Client, shop: Shop) -> bool:
    return client.rows("TABLE totals") == shop.totals()


def complete(shop: Shop, topic: str) -> bool:
    return written(shop, topic) == shop.totals()


def test_a_source_brings_its_past_at_one_time_and_goes_on(client: Client, house: tuple[Headwater, Shop]) -> None:
    service, shop = house
    assert client.run(f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}')") == "CREATE CONNECTION"
    assert client.run("VALIDATE CONNECTION broker") == "VALIDATE CONNECTION"
    assert client.run(shop.upsert) == "CREATE SOURCE"
    assert client.rows("SELECT count(*) FROM orders") == [(len(shop.orders),)]
    client.run(TOTALS)
    assert client.rows("TABLE totals") == shop.totals()
    client.run(shop.append)
    assert client.state("TABLE lines") == "0A000"
    client.run("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n, sum(line)::bigint AS total FROM lines")
    assert client.rows("SELECT n FROM counted") == [(shop.lines,)]
    topic = f"{RUN}_outside_totals"
    assert client.run(shop.sink(topic)) == "CREATE SINK"
    shop.write(3000, 3500, 3)
    service.until(lambda: client.rows("TABLE totals") == shop.totals(), what="what came later")
    service.until(lambda: client.rows("SELECT n FROM counted") == [(shop.lines,)], what="every line")
    service.until(lambda: written(shop, topic) == shop.totals(), what="the sink's topic")
    assert client.rows("SELECT name, state FROM headwater.sources") == [
        ("lines", "running"), ("orders", "running"), ("visits", "running"),
    ]  # fmt: skip
    assert {name for (name,) in client.rows("SELECT name FROM headwater.sinks")} == {"totals_out", "visitors_out"}
    assert [body["name"] for body in service.get("/sources")[1]["sources"]] == ["visits", "orders", "lines"]
    status, body = service.get("/views/totals?real_time_recency=true")
    assert status == 200
    assert sorted((row["customer"], row["total"]) for row in body["rows"]) == shop.totals()


def test_all_of_it_in_one_transaction_and_none_of_it_when_it_fails(
    client: Client, house: tuple[Headwater, Shop]
) -> None:
    service, shop = house
    topic = f"{RUN}_outside_whole"
    with client.connection.transaction():
        client.run(f"CREATE CONNECTION broker TO KAFKA (BROKERS ('{shop.bootstrap}'), SECURITY PROTOCOL = 'plaintext')")
        client.run(shop.upsert)
        client.run(TOTALS)
        client.run(shop.sink(topic))
    assert client.rows("TABLE totals") == shop.totals()
    service.until(lambda: written(shop, topic) == shop.totals(), what="the sink's topic")
    client.run("DROP CONNECTION broker CASCADE")
    assert client.rows("SELECT name FROM headwater.objects WHERE NOT declared") == []
    assert client.rows("SELECT name FROM headwater.sources") == [("visits",)]
    client.run(f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}')")
    gone = shop.upsert.replace(shop.topic, "no_such_topic")
    with pytest.raises(psycopg.Error, match="no_such_topic does not exist yet"):
        client.run(gone)
    client.run("BEGIN")
    client.run(shop.append)
    client.run(gone)
    assert client.state("COMMIT") == "58000"
    assert client.rows("SELECT name FROM headwater.objects WHERE NOT declared") == [("broker",)]
    assert client.rows("SELECT name FROM headwater.sources") == [("visits",)]
    client.run(shop.upsert)  # another source of the same name, and the same topic
    client.run(TOTALS)
    assert client.rows("TABLE totals") == shop.totals()


def test_what_is_wrong_is_refused_and_what_is_there_is_shown(client: Client, house: tuple[Headwater, Shop]) -> None:
    _, shop = house
    with pytest.raises(psycopg.errors.ConnectionFailure, match="connection broker: no answer"):
        client.run("CREATE CONNECTION broker TO KAFKA (BROKER '127.0.0.1:1')")
    client.run(f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}', \"fetch.wait.max.ms\" = '10')")
    client.run(
        "CREATE CONNECTION schemas TO CONFLUENT SCHEMA REGISTRY (URL 'http://127.0.0.1:1') WITH (VALIDATE = false)"
    )
    client.run(shop.upsert)
    client.run(TOTALS)
    client.run("CREATE VIEW unkept AS SELECT * FROM totals")
    from_ = f"FROM KAFKA CONNECTION broker (TOPIC '{shop.topic}')"
    into = "INTO KAFKA CONNECTION broker (TOPIC 'x') KEY (customer) FORMAT JSON ENVELOPE UPSERT"
    for sql, state in {
        "CREATE CONNECTION main TO KAFKA (BROKER 'x:1')": "42710",
        "CREATE CONNECTION other TO POSTGRES (HOST 'x')": "0A000",
        "CREATE CONNECTION other TO KAFKA (BROKER 'x:1', SASL PASSWORD 'open')": "22023",
        "CREATE CONNECTION other TO KAFKA (BROKER 'x:1', SASL PASSWORD SECRET nothing)": "42704",
        "CREATE CONNECTION other TO KAFKA (BROKER 'x:1', \"no.such.thing\" 'y')": "22023",
        "CREATE CONNECTION other TO KAFKA (SECURITY PROTOCOL 'ssl')": "42601",
        "VALIDATE CONNECTION schemas": "08006",
        "VALIDATE CONNECTION nothing": "42704",
        f"CREATE SOURCE orders (a bigint) {from_} FORMAT JSON": "42P07",
        f"CREATE SOURCE s (a bigint) {from_} FORMAT PROTOBUF": "0A000",
        f"CREATE SOURCE s {from_} FORMAT JSON": "42601",
        f"CREATE SOURCE s (a bigint) {from_} FORMAT JSON ENVELOPE UPSERT": "42601",
        f"CREATE SOURCE s (a bigint) {from_} FORMAT JSON ENVELOPE DEBEZIUM": "0A000",
        f"CREATE SOURCE s (a bigint) {from_} FORMAT JSON INCLUDE OFFSET": "0A000",
        f"CREATE SOURCE s (a bigint, PRIMARY KEY (b)) {from_} FORMAT JSON ENVELOPE UPSERT": "42703",
        f"CREATE SOURCE s (a monkey) {from_} FORMAT JSON": "42704",
        f"CREATE SOURCE s {from_} FORMAT AVRO USING CONFLUENT SCHEMA REGISTRY CONNECTION schemas": "08006",
        f"CREATE SOURCE s {from_} FORMAT AVRO": "22023",
        "CREATE SOURCE s (a bigint) FROM KAFKA CONNECTION nothing (TOPIC 'x') FORMAT JSON": "42704",
        "CREATE SOURCE s (a bigint) FROM KAFKA CONNECTION broker (TOPIC 'a b') FORMAT JSON": "22023",
        "CREATE SOURCE s (a bigint) FROM LOAD GENERATOR counter": "0A000",
        "CREATE SOURCE s (a bigint) FROM KAFKA CONNECTION other.broker (TOPIC 'x') FORMAT JSON": "0A000",
        f"CREATE SINK s FROM nothing {into}": "42P01",
        f"CREATE SINK s FROM unkept {into}": "42809",
        f"CREATE SINK s FROM other.totals {into}": "0A000",
        f"CREATE SINK s FROM totals {into.replace('customer', 'total')}": "42830",
        f"CREATE SINK s FROM totals {into.replace('customer', 'nothing')}": "42703",
        f"CREATE SINK s FROM totals {into.replace('UPSERT', 'DEBEZIUM')}": "0A000",
        f"CREATE SINK s FROM totals {into.replace('TOPIC ', 'TOPIC = ').replace('x', shop.topic)}": "42710",
        "DROP CONNECTION broker": "2BP01",
        "DROP CONNECTION main": "42501",
        "DROP SINK visitors_out": "42501",
        "DROP SOURCE orders": "2BP01",
        "DROP SINK nothing": "42704",
        "ALTER SOURCE orders RENAME TO totals": "42P07",
    }.items():
        assert client.state(sql) == state, sql
    assert client.run("CREATE CONNECTION IF NOT EXISTS broker TO KAFKA (BROKER 'x:1')") == "CREATE CONNECTION"
    told: list[str] = []
    client.connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    assert client.run("ALTER CONNECTION broker SET (\"fetch.wait.max.ms\" '20')") == "ALTER CONNECTION"
    assert told == ["orders use what it was until the service is started again"]
    client.run('ALTER CONNECTION broker DROP ("fetch.wait.max.ms")')
    assert client.state("ALTER CONNECTION broker DROP (BROKER)") == "22023"
    assert client.state("ALTER CONNECTION main SET (BROKER 'x:1')") == "42501"
    client.run("ALTER CONNECTION broker SET (\"fetch.wait.max.ms\" '10')")
    client.run("COMMENT ON CONNECTION broker IS 'the one here'")
    client.run("COMMENT ON SOURCE orders IS 'all of them'")
    assert client.rows("SHOW CONNECTIONS") == [("broker", "the one here"), ("main", None), ("schemas", None)]
    assert client.rows("SHOW SOURCES") == [("orders", "all of them"), ("visits", None)]
    assert client.rows("SHOW SINKS") == [("visitors_out", None)]
    (shown,) = client.rows("SHOW CREATE SOURCE orders")
    connection = client.rows("SHOW CREATE CONNECTION broker")[0][1]
    assert "\"fetch.wait.max.ms\" = '10'" in connection
    client.run("DROP MATERIALIZED VIEW totals CASCADE")
    client.run("DROP SOURCE orders")
    client.run("DROP CONNECTION broker")
    client.run(connection)
    client.run(shown[1])  # what is shown makes it again
    assert client.rows("SHOW CREATE SOURCE orders") == [shown]
    assert client.rows("SELECT count(*) FROM orders") == [(len(shop.orders),)]


def test_a_secret_is_in_one_file_for_one_user_and_is_never_told(client: Client, house: tuple[Headwater, Shop]) -> None:
    service, shop = house
    client.run(f"CREATE SECRET pass AS '{SECRET}'")
    client.run(
        f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}', SASL USERNAME 'ada', SASL PASSWORD = SECRET pass, "
        "SECURITY PROTOCOL 'sasl_plaintext', SASL MECHANISMS 'PLAIN') WITH (VALIDATE = false)"
    )
    with pytest.raises(psycopg.Error) as refused:
        client.run("VALIDATE CONNECTION broker")
    assert SECRET not in str(refused.value)
    with pytest.raises(psycopg.Error) as refused:
        client.run(f"CREATE SECRET other '{SECRET}'")
    assert SECRET not in str(refused.value)
    file = service.folder / "state" / "secrets"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET.encode() in file.read_bytes()
    client.run("ALTER SECRET pass AS decode('bmV3', 'base64')")
    assert SECRET.encode() not in file.read_bytes()
    everything = [client.rows(sql) for sql in ("SHOW SECRETS", "SHOW CREATE CONNECTION broker", "SHOW OBJECTS")]
    assert SECRET not in repr(everything)
    assert "SASL PASSWORD = SECRET pass" in repr(everything)
    assert client.state("DROP SECRET pass") == "2BP01"
    client.run("DROP SECRET pass CASCADE")
    assert b"new" not in file.read_bytes()
    for path in service.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_after_kill_9_sources_and_sinks_go_on_where_they_were(kafka: KafkaServer, tmp_path: Path) -> None:
    shop = Shop(kafka, "outsidekill")
    shop.write(0, 500)
    service = Headwater(tmp_path, settings(kafka.bootstrap, "outsidekill"))
    topics: list[str] = []
    for kill in range(4):
        service.start()
        client = Client(service)
        if kill == 0:
            client.run(f"CREATE SECRET pass AS '{SECRET}'")
            client.run(f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}', SSL KEY SECRET pass)")
            client.run(shop.append)
        if kill == 2:
            client.run("DROP SOURCE orders CASCADE")
            topics.clear()
        if kill in (0, 2):
            client.run(shop.upsert)
            client.run(TOTALS)
            client.run(
                "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM lines" if kill == 0 else "SELECT 1"
            )
        service.until(partial(shows, client, shop), what="totals after the start")
        topics.append(f"{RUN}_outsidekill_totals{kill}")
        client.run(shop.sink(topics[-1], f"out{kill}"))
        shop.write(500 * (kill + 1), 500 * (kill + 2), kill)
        if kill % 2:
            service.until(partial(shows, client, shop), what="totals before the kill")
        client.connection.close()
        service.kill()
    service.start()
    client = Client(service)
    service.until(lambda: client.rows("TABLE totals") == shop.totals(), what="totals")
    service.until(lambda: client.rows("TABLE counted") == [(shop.lines,)], what="lines")
    for topic in topics:
        service.until(partial(complete, shop, topic), what=topic)
    assert [state for (state,) in client.rows("SELECT state FROM headwater.sinks")] == ["running"] * (len(topics) + 1)
    client.connection.close()
    assert service.stop()[0] == 0


def test_a_lost_secret_halts_what_uses_it_until_it_is_given_again(kafka: KafkaServer, tmp_path: Path) -> None:
    """Invariant: the service starts all the same, says which secret is lost, and takes it from SQL."""
    shop = Shop(kafka, "lost")
    shop.write(0, 50)
    service = Headwater(tmp_path, settings(kafka.bootstrap, "lost"))
    try:
        service.start()
        client = Client(service)
        client.run("CREATE SECRET pass AS 'x'")
        client.run(f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}', SASL PASSWORD = SECRET pass)")
        client.run(shop.upsert)
        client.run(TOTALS)
        client.run(shop.sink(f"{RUN}_lost_totals"))
        client.connection.close()
        assert service.stop()[0] == 0
        (tmp_path / "state" / "secrets").unlink()
        service.port = service.postgres = 0
        service.start(wait=False)
        service.until(lambda: service.get("/views/visitors?limit=1")[0] == 200, what="visitors")
        service.until(lambda: b"the value of secret pass is lost" in service.log.read_bytes(), what="what is lost")
        service._look_for_ports(0)
        client = Client(service)
        for kind in ("sources WHERE name = 'orders'", "sinks WHERE name = 'totals_out'"):
            ((state, reason),) = client.rows(f"SELECT state, reason FROM headwater.{kind}")
            assert (state, "the value of secret pass is lost" in reason) == ("halted", True)
        client.run("ALTER SECRET pass AS 'x'")
        client.connection.close()
        shop.write(50, 60)
        assert service.stop()[0] == 0
        service.start()
        client = Client(service)
        service.until(partial(shows, client, shop), what="totals after the secret was given again")
        service.until(partial(complete, shop, f"{RUN}_lost_totals"), what="the sink's topic")
        client.connection.close()
        assert service.stop()[0] == 0
    finally:
        if service.process is not None and service.process.poll() is None:
            service.kill()


@pytest.mark.slow
def test_a_statement_that_kill_9_cuts_off_has_happened_whole_or_not_at_all(kafka: KafkaServer, tmp_path: Path) -> None:
    shop = Shop(kafka, "cut")
    shop.write(0, 20_000)
    service = Headwater(tmp_path, settings(kafka.bootstrap, "cut"))
    chance = random.Random(11)
    service.start()
    first = Client(service)
    first.run(f"CREATE CONNECTION broker TO KAFKA (BROKER '{shop.bootstrap}')")
    first.connection.close()
    for kill in range(5):
        client = Client(service)
        there = {name for (name,) in client.rows("SELECT name FROM headwater.objects WHERE NOT declared")}
        sink = shop.sink(f"{RUN}_cut_totals{kill}", f"out{kill}")
        sql = next(
            (sql for name, sql in (("orders", shop.upsert), ("totals", TOTALS)) if name not in there),
            sink if chance.random() < 0.7 else "DROP SOURCE orders CASCADE",
        )
        done = threading.Event()

        def execute(client: Client = client, sql: str = sql, done: threading.Event = done) -> None:
            with contextlib.suppress(psycopg.Error):
                client.run(sql)
                done.set()

        thread = threading.Thread(target=execute)
        thread.start()
        thread.join(chance.choice([0.02, 0.1, 0.3, 1.0]))
        acknowledged = done.is_set()
        service.kill()
        thread.join()
        client.connection.close()
        shop.write(20_000 + 100 * kill, 20_100 + 100 * kill, kill)
        service.start()
        client = Client(service)
        names = {
            name for (name,) in client.rows("SELECT name FROM headwater.objects WHERE NOT declared AND broken IS NULL")
        }
        assert names == {name for (name,) in client.rows("SELECT name FROM headwater.objects WHERE NOT declared")}
        if acknowledged:
            assert names != there, sql
        assert names >= there or sql.startswith("DROP")
        if "orders" in names:
            service.until(
                lambda c=client: c.rows("SELECT count(*) FROM orders") == [(len(shop.orders),)], what="orders"
            )  # type: ignore[misc]
        if "totals" in names:
            service.until(partial(shows, client, shop), what="totals")
        running = {name for (name,) in client.rows("SELECT name FROM headwater.sinks")}
        assert running == {name for name in names if name.startswith("out")} | {"visitors_out"}
        for name in running - {"visitors_out"}:
            topic = f"{RUN}_cut_totals{name.removeprefix('out')}"
            service.until(partial(complete, shop, topic), what=topic)
        client.connection.close()
    assert service.stop()[0] == 0
