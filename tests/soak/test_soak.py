"""A minute of the soak, and the oracle itself: it finds what it is there for."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from ingest.ranges import Range
from ingest.remap import Binding
from tests.soak.__main__ import main
from tests.soak.oracle import Change, Moment, OracleError, Record, compare, merged
from tests.soak.readers import Violation
from tests.soak.teller import Book
from tests.soak.workload import OWNERS, TRANSFERS


@pytest.mark.kafka
@pytest.mark.slow
def test_a_minute_of_faults_breaks_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Invariants: those of the package's docstring; faults 1, 2, 3, 4, 9 and 12 of the list, as many as come in a minute."""
    status = main(["--minutes", "1", "--kills", "2", "--reads", "1000"])
    assert status == 0, capfd.readouterr().out[-5000:]


def _transfer(time: int, number: int, source: int, target: int, cents: int) -> Record:
    value = {"id": number, "source": source, "target": target, "amount": f"{cents // 100}.{cents % 100:02d}"}
    return time, TRANSFERS, b"", json.dumps(value).encode()


RECORDS: list[Record] = [
    _transfer(10, 0, 1, 2, 500),
    (11, OWNERS, b'{"account": 2}', b'{"account": 2, "owner": "owner1"}'),
    _transfer(12, 1, 2, 1, 200),
]
SUNK: dict[str, list[Change]] = {
    "balances_out": [(10, 1, (1, -500)), (10, 2, (1, 500)), (12, 1, (2, -300)), (12, 2, (2, 300))],
    "seen_out": [(10, 0, (1,)), (12, 1, (1,))],
    "owned_out": [(11, "owner1", (1, 1, 500)), (12, "owner1", (1, 2, 300))],
}


def _read(time: int, balances: dict[int, tuple[int, str]]) -> Moment:
    rows = [{"account": a, "entries": entries, "balance": text} for a, (entries, text) in balances.items()]
    return time + 1, "read", {"timestamp": time, "rows": rows}


def _moments() -> list[Moment]:
    progress: list[Moment] = [(time + 1, sink, None) for sink in SUNK for time in (10, 11, 12)]
    return [*progress, _read(11, {1: (1, "-5.00"), 2: (1, "5.00")}), _read(12, {1: (2, "-3.00"), 2: (2, "3.00")})]


def test_a_right_history_passes() -> None:
    findings = compare(RECORDS, SUNK, _moments())
    assert (findings.transfers, findings.reads, findings.progresses, findings.sink_records) == (2, 2, 9, 8)


def _changed(sink: str, place: int, *instead: Change) -> dict[str, list[Change]]:
    return {**SUNK, sink: [*SUNK[sink][:place], *instead, *SUNK[sink][place + 1 :]]}


@pytest.mark.parametrize(
    "sunk",
    [
        _changed("balances_out", 2),
        _changed("balances_out", 2, (12, 1, (3, -100))),
        _changed("seen_out", 1, (11, 1, (1,))),
        _changed("seen_out", 1, (12, 1, (2,))),
        _changed("owned_out", 1, (12, "owner1", None)),
        _changed("owned_out", 1, (12, "owner1", (1, 2, 300)), (13, "owner1", (1, 2, 300))),
    ],
    ids=["lost", "doubled", "too early", "a transfer twice", "gone", "behind the last progress"],
)
def test_a_wrong_sink_is_found(sunk: dict[str, list[Change]]) -> None:
    with pytest.raises(OracleError):
        compare(RECORDS, sunk, _moments())


@pytest.mark.parametrize(
    "balances",
    [{1: (1, "-5.00"), 2: (1, "5.00")}, {1: (2, "-3.00"), 2: (1, "5.00")}, {2: (2, "3.00")}],
    ids=["stale", "torn", "a row is gone"],
)
def test_a_wrong_read_is_found(balances: dict[int, tuple[int, str]]) -> None:
    with pytest.raises(OracleError, match="a read at 12 showed"):
        compare(RECORDS, SUNK, [*_moments(), _read(12, balances)])


def _book(doubtful: tuple[str, int, int] | None = None) -> Book:
    return Book({1, 2, 3}, {0: 7}, doubtful)


WHOLE = (2, Decimal(0))


@pytest.mark.parametrize(
    ("doubtful", "ids", "version", "there"),
    [
        (None, {1, 2, 3}, 7, None),
        (("insert", 4, 0), {1, 2, 3}, 7, False),
        (("insert", 4, 0), {1, 2, 3, 4}, 7, True),
        (("delete", 3, 0), {3}, 7, True),
        (("delete", 3, 0), {1, 2, 3}, 7, False),
        (("update", 0, 9), {1, 2, 3}, 9, True),
        (("update", 0, 9), {1, 2, 3}, 7, False),
    ],
)
def test_what_was_not_answered_may_be_there(
    doubtful: tuple[str, int, int] | None, ids: set[int], version: int, there: bool | None
) -> None:
    book = _book(doubtful)
    assert book.settle(dict.fromkeys(ids, WHOLE), {0: version}) is there
    assert book.settle(dict.fromkeys(ids, WHOLE), {0: version}) is None  # and stays so


@pytest.mark.parametrize(
    ("doubtful", "entries", "version"),
    [
        (None, {1: WHOLE, 2: WHOLE}, 7),
        (None, dict.fromkeys((1, 2, 3, 4), WHOLE), 7),
        (None, {1: WHOLE, 2: (4, Decimal(0)), 3: WHOLE}, 7),
        (("insert", 4, 0), {1: WHOLE, 2: WHOLE, 3: WHOLE, 4: (1, Decimal(5))}, 7),
        (("delete", 3, 0), {2: WHOLE, 3: WHOLE}, 7),
        (None, dict.fromkeys((1, 2, 3), WHOLE), 6),
        (("update", 0, 9), dict.fromkeys((1, 2, 3), WHOLE), 8),
    ],
    ids=["lost", "not written", "doubled", "torn", "half deleted", "an older version", "another version"],
)
def test_a_wrong_table_is_found(doubtful: Any, entries: dict[int, tuple[int, Any]], version: int) -> None:
    with pytest.raises(Violation):
        _book(doubtful).settle(entries, {0: version})


def _binding(time: int, start: int, end: int) -> Binding:
    return Binding(time, {TRANSFERS: (Range(0, start, end, 0, 0),)}, {}, "", 1)


def test_a_log_that_lost_or_moved_a_binding_is_found() -> None:
    bound: dict[int, Any] = {1: _binding(1, 0, 5), 2: _binding(2, 5, 9)}
    merged(dict(bound), [_binding(2, 0, 9)])  # folded: the same offsets
    for log in ([_binding(1, 0, 5)], [_binding(1, 0, 5), _binding(2, 5, 8)], []):
        with pytest.raises(OracleError):
            merged(dict(bound), log)
