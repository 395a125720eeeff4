"""The oracle of window functions: partitions as sorted lists, and each function as the obvious loop over them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from dataflow.operators.ordered import OrderedAggregate
from dataflow.operators.window_calls import BITWISE, CHOOSING, COLLECTING, WindowCall
from tests.laws import zsets
from tests.laws.ordered import collected
from tests.laws.zsets import NAN, Answer, Row, RowError, Term, ZSet, add


def window(z: ZSet, partition: Sequence[int], order: Sequence[Term], calls: Sequence[WindowCall]) -> Answer:
    numbered = zsets.top_k(z, partition, order, None, 0, True)
    groups: dict[Row, list[Row]] = {}
    for row in sorted(numbered, key=lambda row: row[-1]):
        groups.setdefault(tuple(row[i] for i in partition), []).append(row[:-1])
    rows: ZSet = {}
    errors: ZSet = {}
    for members in groups.values():
        keys = [tuple(row[c] for c, _, _ in order) for row in members]
        places = [0]
        for one, other in pairwise(keys):
            places.append(places[-1] + (one != other))
        for i, row in enumerate(members):
            try:
                add(rows, [((*row, *(_value(call, members, places, i, order) for call in calls)), 1)])
            except RowError as error:
                add(errors, [((str(error),), 1)])
    return rows, errors


def _value(call: WindowCall, members: list[Row], places: list[int], i: int, order: Sequence[Term]) -> Any:
    """places: the number of each row's group of peers."""
    size = len(members)
    first = places.index(places[i])
    last = size - 1 - places[::-1].index(places[i])
    amount = call.amount if call.amount_column is None else members[i][call.amount_column]
    match call.function:
        case "row_number":
            return i + 1
        case "rank":
            return first + 1
        case "dense_rank":
            return places[i] + 1
        case "percent_rank":
            return first / (size - 1) if size > 1 else 0.0
        case "cume_dist":
            return (last + 1) / size
        case "ntile":
            buckets = call.amount if call.amount_column is None else members[0][call.amount_column]
            return None if buckets is None else _bucket(i, size, buckets)
        case "lag" | "lead":
            if amount is None:
                return None
            j = i - amount if call.function == "lag" else i + amount
            if 0 <= j < size:
                return members[j][call.column]
            return None if call.default is None else members[i][call.default]
    seen = [members[j] for j in range(size) if _in_frame(call, members, places, i, j, order)]
    match call.function:
        case "first_value":
            return seen[0][call.column] if seen else None
        case "last_value":
            return seen[-1][call.column] if seen else None
        case "nth_value":
            if amount is not None and amount < 1:
                raise RowError("argument of nth_value must be greater than zero")
            return None if amount is None or amount > len(seen) else seen[amount - 1][call.column]
    if call.function in CHOOSING:
        known = [row for row in seen if row[call.other] is not None]
        best = max if call.function == "max_by" else min
        # Of equal ones the last.
        return (
            best(reversed(known), key=lambda row: zsets.rank(row[call.other], False, False))[call.column]
            if known
            else None
        )
    if call.function in (*COLLECTING, *BITWISE):
        return collected(OrderedAggregate(call.function, call.column, call.type, call.other), seen)
    aggregate = zsets.Aggregate(call.function, call.column, call.type, call.other)
    rows, errors = zsets.reduce(zsets.zset((row, 1) for row in seen), (), [aggregate], True)
    for (message,) in errors:
        raise RowError(message)
    ((value,),) = rows
    return value


def _bucket(i: int, size: int, buckets: int) -> int:
    if buckets < 1:
        raise RowError("argument of ntile must be greater than zero")
    ends = [0]
    for bucket in range(buckets):
        ends.append(ends[-1] + size // buckets + (bucket < size % buckets))
        if i < ends[-1]:
            return bucket + 1
    raise AssertionError


def _in_frame(call: WindowCall, members: list[Row], places: list[int], i: int, j: int, order: Sequence[Term]) -> bool:
    frame, peers = call.frame, places[i] == places[j]
    if (frame.exclude == "current row" and j == i) or (frame.exclude == "group" and peers):
        return False
    if frame.exclude == "ties" and peers and j != i:
        return False
    if frame.unit == "range" and (frame.start or frame.end):
        column, descending, nulls_first = order[0]
        a, b = members[i][column], members[j][column]
        if a is None or b is None:
            before = (b is None and a is not None) == nulls_first
            return (a is None and b is None) or (frame.start if before else frame.end) is None
        at_least = frame.start is None or _reaches(a, b, frame.start, descending, False)
        return at_least and (frame.end is None or _reaches(a, b, frame.end, descending, True))
    here, there = (i, j) if frame.unit == "rows" else (places[i], places[j])
    return (frame.start is None or there >= here + frame.start) and (frame.end is None or there <= here + frame.end)


def _reaches(a: Any, b: Any, offset: Any, descending: bool, end: bool) -> bool:
    """Whether b lies on the right side of a + offset in the order."""
    if a == NAN or b == NAN:
        x, y = (math.inf if v == NAN else 0 for v in (a, b))
    else:
        x, y = _number(a, b, -offset if descending else offset)
    return (x >= y if descending else x <= y) if not end else (x <= y if descending else x >= y)


def _number(a: Any, b: Any, offset: Any) -> tuple[Any, Any]:
    if isinstance(a, datetime.datetime):
        return a.replace(tzinfo=None) + datetime.timedelta(microseconds=offset), b.replace(tzinfo=None)
    if isinstance(a, Decimal):
        return int(a.scaleb(2)) + offset, int(b.scaleb(2))
    return a + offset, b
