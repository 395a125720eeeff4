"""The oracle for aggregates that need their values in order: each as the obvious loop over them."""

from __future__ import annotations

import math
import operator
from functools import reduce
from typing import Any

from dataflow.operators.ordered import OrderedAggregate
from tests.laws import zsets


def collected(aggregate: OrderedAggregate, members: list[zsets.Row]) -> Any:
    """The aggregate over rows in order."""
    counted = aggregate.column if aggregate.function != "first_by" else aggregate.other
    members = [row for row in members if row[counted] is not None]
    if not members:
        return None
    values = [row[aggregate.column] for row in members]
    size = len(values)
    match aggregate.function:
        case "string_agg":
            between = ["" if aggregate.other is None else row[aggregate.other] or "" for row in members]
            return values[0] + "".join(a + b for a, b in zip(between[1:], values[1:], strict=True))
        case "jsonb_agg":
            return f"[{', '.join(values)}]"
        case "percentile_disc":
            return values[max(math.ceil(aggregate.fraction * size) - 1, 0)]
        case "percentile_cont":
            numbers = [math.nan if value == zsets.NAN else value for value in values]
            at = aggregate.fraction * (size - 1)
            low, high = numbers[math.floor(at)], numbers[math.ceil(at)]
            return low if math.floor(at) == math.ceil(at) else low + (at - math.floor(at)) * (high - low)
        case "bit_and":
            return reduce(operator.and_, values)
        case "bit_or":
            return reduce(operator.or_, values)
        case "bit_xor":
            return reduce(operator.xor, values)
        case "mode":
            return max(values, key=lambda value: (values.count(value), -values.index(value)))
        case _:
            return values[0]
