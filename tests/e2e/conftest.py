"""The service that the tests of statements share: what each of them makes goes with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.books import EVENTS, Books, Client, settings
from tests.e2e.service import Headwater, running
from tests.servers.kafka import KafkaServer


@pytest.fixture(scope="session")
def house(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Headwater, Books]]:
    books = Books(kafka, "ddl")
    books.write(EVENTS)
    with running(tmp_path_factory.mktemp("ddl"), settings(kafka.bootstrap, "ddl")) as service:
        yield service, books


@pytest.fixture
def client(house: tuple[Headwater, Books]) -> Iterator[Client]:
    client = Client(house[0])
    yield client
    made = client.connection.execute(
        "SELECT name, kind FROM headwater.objects WHERE NOT declared AND kind <> 'index'"
    ).fetchall()
    for name, kind in made:
        client.run(f"DROP {kind} IF EXISTS {name} CASCADE")
    client.run("DROP INDEX IF EXISTS events_all, accounts_by_owner")
    client.connection.close()
