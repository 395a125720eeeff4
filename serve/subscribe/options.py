"""What a subscriber asks for: the collection, and how and when he wants its changes.

Deliberately unknown: how it is written, in SQL or in a URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dataflow.types import ColumnType, Schema
from planner.plan import Plan

Envelope = Literal["", "upsert", "debezium"]


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One term of WITHIN TIMESTAMP ORDER BY. nulls_first None: as PostgreSQL does, first when descending."""

    column: str
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """SUBSCRIBE's options.

    snapshot: whether what is there at the start comes first. progress: whether times without changes are told of.
    key: the columns of an envelope's key. order: of the rows of one time.
    as_of: the time of the snapshot, in milliseconds since 1970 (None: now); at_least: or a later one. up_to: the first time whose
    changes are not sent any more; None: never.
    """

    snapshot: bool = True
    progress: bool = False
    envelope: Envelope = ""
    key: tuple[str, ...] = ()
    order: tuple[OrderTerm, ...] = ()
    as_of: int | None = None
    at_least: bool = False
    up_to: int | None = None


@dataclass(frozen=True)
class Subscribed:
    """What somebody subscribes to: a plan, its columns, and a name that is the same for the same plan.

    parameters: types of $1, $2, ... that the plan takes before it can be followed.
    """

    name: str
    plan: Plan
    schema: Schema
    parameters: tuple[ColumnType, ...] = ()
