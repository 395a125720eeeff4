"""Concurrent clients see registers: by the checker, which in turn is compared with trying every order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e import linearizable
from tests.e2e.linearizable import RUN, Clients, Operation, check, mistake
from tests.e2e.service import running
from tests.servers.kafka import KafkaServer

OPERATIONS = 3000


@pytest.mark.kafka
def test_concurrent_clients_are_linearizable(kafka: KafkaServer, tmp_path: Path) -> None:
    """Invariant: each read is explained by an order of all operations that keeps the order of those that did not overlap."""
    kafka.create_topic(f"{RUN}_registers", 4)
    with running(tmp_path, linearizable.settings(kafka.bootstrap)) as service:
        clients = Clients(service, kafka.bootstrap, OPERATIONS)
        clients.run()
    assert not clients.failures, clients.failures
    assert len(clients.history) == OPERATIONS
    assert check(clients.history) == ""


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """A few writes of different values and reads of them, at different moments."""
    count = draw(st.integers(1, 6))
    moments = draw(st.permutations(range(2 * count)))
    history = []
    writes = draw(st.integers(0, count))
    for number in range(count):
        begin, end = sorted(moments[2 * number : 2 * number + 2])
        if number < writes:
            history.append(Operation("write", 0, number, begin, end))
        else:
            value = draw(st.one_of(st.none(), st.integers(0, max(0, writes - 1))))
            history.append(Operation("read", 0, value, begin, end))
    return history


def explained(history: list[Operation]) -> bool:
    """By trying every order."""
    for order in permutations(history):
        if any(a.begin > b.end for i, a in enumerate(order) for b in order[i + 1 :]):
            continue
        value = None
        for operation in order:
            if operation.kind == "write":
                value = operation.value
            elif operation.value != value:
                break
        else:
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(histories())
def test_the_checker_says_what_trying_every_order_says(history: list[Operation]) -> None:
    assert (mistake(history) == "") == explained(history), mistake(history)
