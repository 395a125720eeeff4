"""Nexmark-like events: of every 50, one is a person, three are auctions and 46 are bids; 10,000 events a second of event time.

Always true: the same number of events gives the same rows everywhere, and fewer events give a prefix of the rows of more,
but for the deletes. Half of the bids go to the hottest auction of the last hundred, three quarters of the sellers are hot.
Prices are whole cents. Every table begins with `event`, the number of the event that brings the row, and `diff`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.types import Column, ColumnType, Schema

Numbers = npt.NDArray[np.int64]

SEED = 20_261_122
MICROSECONDS_PER_EVENT = 100
STARTED = 1_767_225_600_000_000
"""The time of event 0: 2026-01-01, in microseconds since 1970."""

IN_FLIGHT = 100
"""How many auctions, the newest, take bids that are not hot."""

ACTIVE = 1_000
"""How many persons, the newest, sell and bid."""

_STATES = np.array(["AZ", "CA", "ID", "OR", "WA", "WY"])
_CITIES = np.array(["Phoenix", "Fresno", "Boise", "Portland", "Seattle", "Cheyenne", "Salem", "Tucson"])
_FIRST = np.array(["Ada", "Bela", "Chen", "Dana", "Emre", "Fola", "Gita", "Hugo", "Ines", "Jo"])
_LAST = np.array(["Abel", "Berg", "Cruz", "Diaz", "Eng", "Fox", "Gray", "Hill", "Ito", "Jung"])
_CHANNELS = np.array(["web", "phone", "partner", "mail"])


def schema(**columns: str) -> Schema:
    """A schema from names and SQL types, none of them nullable."""
    return tuple(Column(name, ColumnType.parse(text), False) for name, text in columns.items())


BIDS = schema(id="bigint", auction="bigint", bidder="bigint", price="bigint", channel="text", ts="timestamp")
SCHEMAS: dict[str, Schema] = {
    "persons": schema(id="bigint", name="text", email="text", city="text", state="text", ts="timestamp"),
    "auctions": schema(
        id="bigint",
        item="text",
        initial_bid="bigint",
        reserve="bigint",
        category="bigint",
        seller="bigint",
        ts="timestamp",
        expires="timestamp",
    ),
    "bids": BIDS,
    "bid_changes": BIDS,
}

DELETING = frozenset({"bid_changes"})
"""The tables with rows that are taken away again."""


def generate(events: int) -> dict[str, pa.Table]:
    """Every table of the first `events` events; `bid_changes` is `bids` with a tenth of them deleted again later."""
    numbers = np.arange(events, dtype=np.int64)
    kind = numbers % 50
    bids = _bids(numbers[kind >= 4])
    return {
        "persons": _persons(numbers[kind == 0]),
        "auctions": _auctions(numbers[(kind >= 1) & (kind <= 3)]),
        "bids": bids,
        "bid_changes": _with_deletes(bids, events),
    }


def _table(name: str, events: Numbers, *columns: pa.Array) -> pa.Table:
    names = ["event", "diff", *(column.name for column in SCHEMAS[name])]
    typed = (array.cast(column.type.arrow) for array, column in zip(columns, SCHEMAS[name], strict=True))
    return pa.table([pa.array(events), pa.array(np.ones(len(events), np.int64)), *typed], names)


def _times(events: Numbers) -> Numbers:
    return STARTED + events * MICROSECONDS_PER_EVENT


def _chance(stream: int) -> np.random.Generator:
    return np.random.default_rng((SEED, stream))


def _recent(chance: npt.NDArray[np.float64], newest: Numbers, window: int) -> Numbers:
    """One of the `window` newest, evenly."""
    return newest - (chance * np.minimum(newest + 1, window)).astype(np.int64)


def _pick(words: npt.NDArray[np.str_], chance: npt.NDArray[np.float64]) -> pa.Array:
    indices = pa.array((chance * len(words)).astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.large_string())).cast(pa.large_string())


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _joined(left: pa.Array, right: pa.Array, separator: str) -> pa.Array:
    return pc.binary_join_element_wise(left, right, _text(separator))


def _persons(events: Numbers) -> pa.Table:
    ids = events // 50
    chance = _chance(1).random((len(ids), 4))
    first, last = (_pick(words, chance[:, i]) for i, words in enumerate((_FIRST, _LAST)))
    name = _joined(first, last, " ")
    email = _joined(first, pa.array(ids).cast(pa.large_string()), "@")
    city, state = _pick(_CITIES, chance[:, 2]), _pick(_STATES, chance[:, 3])
    return _table("persons", events, pa.array(ids), name, email, city, state, pa.array(_times(events)))


def _auctions(events: Numbers) -> pa.Table:
    epochs = events // 50
    ids = epochs * 3 + events % 50 - 1
    chance = _chance(2).random((len(ids), 6))
    hot = chance[:, 0] < 0.75
    seller = np.where(hot, epochs // 100 * 100, _recent(chance[:, 1], epochs, ACTIVE))
    initial = _prices(chance[:, 2])
    # An auction lives for about as long as it is among those in flight.
    longest = 2 * IN_FLIGHT * 50 // 3 * MICROSECONDS_PER_EVENT
    expires = _times(events) + 1_000 + (chance[:, 5] * longest).astype(np.int64)
    columns = (
        ids,
        initial,
        initial + _prices(chance[:, 3]),
        10 + (chance[:, 4] * 5).astype(np.int64),
        seller,
        _times(events),
        expires,
    )
    rest = [pa.array(column) for column in columns]
    item = _joined(_text("item"), pa.array(ids % 977).cast(pa.large_string()), " ")
    return _table("auctions", events, rest[0], item, *rest[1:])


def _prices(chance: npt.NDArray[np.float64]) -> Numbers:
    """Cents: from 1 to 10,000 of the currency, every order of magnitude as likely as the next."""
    return np.rint(100 * 10 ** (chance * 4)).astype(np.int64)


def _bids(events: Numbers) -> pa.Table:
    persons = events // 50
    newest = persons * 3 + 2
    chance = _chance(3).random((len(events), 6))
    auction = np.where(chance[:, 0] < 0.5, newest // IN_FLIGHT * IN_FLIGHT, _recent(chance[:, 1], newest, IN_FLIGHT))
    bidder = np.where(chance[:, 2] < 0.75, persons // 100 * 100, _recent(chance[:, 3], persons, ACTIVE))
    numbers = (np.arange(len(events), dtype=np.int64), auction, bidder, _prices(chance[:, 4]))
    channel = _pick(_CHANNELS, chance[:, 5])
    return _table("bids", events, *(pa.array(column) for column in numbers), channel, pa.array(_times(events)))


def _with_deletes(bids: pa.Table, events: int) -> pa.Table:
    """A tenth of the bids goes again, up to 50,000 events after it came."""
    chance = _chance(4)
    gone = np.flatnonzero(chance.random(len(bids)) < 0.1)
    delay = 1 + (chance.random(len(gone)) * min(50_000, events // 20)).astype(np.int64)
    when = bids["event"].to_numpy()[gone] + delay
    gone, when = gone[when < events], when[when < events]
    deletes = bids.take(pa.array(gone))
    deletes = deletes.set_column(0, "event", pa.array(when)).set_column(1, "diff", pa.array(np.full(len(gone), -1)))
    changes = pa.concat_tables([bids, deletes])
    # Stable: an insert and a delete of the same event keep this order.
    order = np.argsort(changes["event"].to_numpy(), kind="stable")
    return changes.take(pa.array(order)).combine_chunks()
