"""The soak's teller: writes tables over the PostgreSQL wire and asks for the past, through every kill.

It is the only one who writes them. Always true: what was acknowledged is there, once and whole, at every read behind it and after
every kill; what was not answered is there whole or not at all, and stays so; the ledger's entries and the bank's together are 0 at
any time; a time that is read again shows what it had shown, or is refused as no longer kept.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.soak.readers import Shared, Violation

MADE = (
    "CREATE TABLE IF NOT EXISTS ledger (id bigint NOT NULL, account integer NOT NULL, amount numeric(12,2) NOT NULL)",
    "CREATE TABLE IF NOT EXISTS versions (id integer PRIMARY KEY, version bigint NOT NULL)",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS booked WITH (RETAIN HISTORY FOR '60s') AS "
    "SELECT (SELECT count(*) FROM ledger) AS entries, (SELECT coalesce(sum(amount), 0) FROM ledger) + total AS total FROM total",
)
READ = "SELECT entries, total, mz_now()::text::bigint FROM booked"
VERSIONED = 10
"""Rows of `versions`."""
MOST = 2000
"""Ids of the ledger before the older half is deleted."""
REMEMBERED = 200
"""Times that may be asked for again."""
PAUSE = 0.01
"""Seconds between statements: the cores are the service's and the other readers'."""
NOT_KEPT = ("22023", "55000")
"""SQLSTATEs of a time that is not kept, or not any more."""

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass
class Book:
    """What must be in the tables. doubtful: what was sent and not answered, as (what, number, value)."""

    ids: set[int] = field(default_factory=set)
    versions: dict[int, int] = field(default_factory=dict)
    doubtful: tuple[str, int, int] | None = None
    next: int = 0

    def settle(self, entries: dict[int, tuple[int, Any]], versions: dict[int, int]) -> bool | None:
        """Hold what is in the tables against it; Violation says what differs.

        Whether what was doubtful is there; None if nothing was.
        """
        what, number, value = self.doubtful or ("", 0, 0)
        ids, wanted, there = set(entries), dict(self.versions), None
        if what == "insert":
            there = number in ids
            self.ids |= {number} & ids
        elif what == "delete":
            below = {one for one in self.ids if one < number}
            there = not below & ids
            self.ids -= below if there else set()
        elif what == "update":
            there = versions.get(number) == value
            wanted |= {number: value} if there else {}
        self.doubtful, self.versions = None, wanted
        if ids != self.ids:
            lost, more = sorted(self.ids - ids), sorted(ids - self.ids)
            raise Violation(
                f"the ledger lost {len(lost)} ids, {lost[:5]} first, and has {len(more)} too many, {more[:5]} first"
            )
        torn = {one: found for one, found in entries.items() if found != (2, 0)}
        if torn:
            raise Violation(f"entries that are not two that make 0: {torn}")
        if versions != wanted:
            raise Violation(f"versions are {versions} instead of {wanted}")
        return there


class Teller:
    """One connection after the other; `settled` and `asked` count."""

    def __init__(self, shared: Shared, port: int, seed: int) -> None:
        self._shared, self._port, self._chance = shared, port, random.Random(seed)
        self._book = Book()
        self._then: list[tuple[int, tuple[Any, ...]]] = []

    def run(self) -> None:
        """Until the soak ends, or something is wrong."""
        while not self._shared.stop.is_set():
            try:
                with psycopg.connect(
                    host="127.0.0.1", port=self._port, user="soak", dbname="soak", autocommit=True, connect_timeout=10
                ) as connection:
                    self._session(connection)
            except psycopg.Error:
                time.sleep(0.05)  # it is away, or says why it cannot answer yet
            except Violation as violation:
                self._shared.violations.put(f"teller, after {self._shared.written.value} writes: {violation}")
                return

    def _session(self, connection: Connection) -> None:
        for statement in MADE:
            connection.execute(statement)
        self._settle(connection)
        for number in range(VERSIONED):
            if number not in self._book.versions:
                self._do(connection, ("update", number, 0), f"INSERT INTO versions VALUES ({number}, 0)")
        while not self._shared.stop.is_set():
            self._write(connection)
            self._look(connection)
            time.sleep(PAUSE)

    def _settle(self, connection: Connection) -> None:
        found = connection.execute("SELECT id, count(*), sum(amount) FROM ledger GROUP BY id").fetchall()
        entries = {number: (count, total) for number, count, total in found}
        versions = dict(connection.execute("SELECT id, version FROM versions").fetchall())
        there = self._book.settle(entries, versions)
        if there is not None:
            self._shared.doubtful.value = self._shared.doubtful.value + 1

    def _write(self, connection: Connection) -> None:
        book = self._book
        if len(book.ids) > MOST:
            middle = sorted(book.ids)[MOST // 2]
            self._do(connection, ("delete", middle, 0), f"DELETE FROM ledger WHERE id < {middle}")
            return
        number = book.next
        book.next += 1
        if self._chance.random() < 0.3:
            place = self._chance.randrange(VERSIONED)
            self._do(
                connection, ("update", place, number), f"UPDATE versions SET version = {number} WHERE id = {place}"
            )
            return
        cents = self._chance.randrange(1, 10_000)
        amount = f"{cents // 100}.{cents % 100:02d}"
        rows = (
            f"({number}, {self._chance.randrange(100)}, {amount}), ({number}, {self._chance.randrange(100)}, -{amount})"
        )
        self._do(connection, ("insert", number, 0), f"INSERT INTO ledger VALUES {rows}")

    def _do(self, connection: Connection, doubtful: tuple[str, int, int], statement: str) -> None:
        """Send a statement and note what its acknowledgement means; one without stays doubtful."""
        book = self._book
        book.doubtful = doubtful
        connection.execute(statement)
        what, number, value = doubtful
        if what == "insert":
            book.ids.add(number)
        elif what == "delete":
            book.ids = {one for one in book.ids if one >= number}
        else:
            book.versions[number] = value
        book.doubtful = None
        self._shared.written.value = self._shared.written.value + 1

    def _look(self, connection: Connection) -> None:
        """Read what was just written, and a time of before."""
        ((entries, total, at),) = connection.execute(READ).fetchall()
        if total != 0 or entries != 2 * len(self._book.ids):
            raise Violation(
                f"at {at} the total is {total} of {entries} entries; {2 * len(self._book.ids)} were written"
            )
        self._then = [*self._then[-REMEMBERED:], (at, (entries, total))]
        place = self._chance.randrange(len(self._then))
        then, rows = self._then[place]
        try:
            ((*found, _),) = connection.execute(f"{READ} AS OF {then}").fetchall()
        except psycopg.Error as error:
            if error.sqlstate not in NOT_KEPT:
                raise
            self._then = [one for one in self._then if one[0] > then]
            return
        if tuple(found) != rows:
            raise Violation(f"at {then} booked showed {rows}, and now it shows {tuple(found)}")
        self._shared.past.value = self._shared.past.value + 1


def tell(shared: Shared, port: int, seed: int) -> None:
    """The process."""
    Teller(shared, port, seed).run()
