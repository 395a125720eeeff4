"""Paths into documents, `#>` and `#>>`, from sqlglot's tree to one step after the other.

Always true: the path is written out; a step that is a number is a place in an array and a key of an object.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import INTEGER, JSONB, TEXT
from planner.scalar import Literal

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_STEP = re.compile(r'"(?:[^"\\]|\\.)*"|[^,{}"\\]+')


def path(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `doc #> path` or `doc #>> path`."""
    binder.text.only(node, "this", "expression")
    steps = _steps(node.expression)
    if steps is None:
        raise binder.text.unsupported(node.expression, "a path that is no constant", "write it out: doc #> '{a,0,b}'")
    found = binder.bind(node.this)
    as_text = isinstance(node, exp.JSONBExtractScalar)
    if as_text and not steps:
        return binder.call(
            node,
            "->>",
            [binder.call(node, "jsonb_build_array", [binder.cast(found, JSONB, node)]), Literal(0, INTEGER)],
        )
    for at, step in enumerate(steps, 1):
        arrow = "->>" if as_text and at == len(steps) else "->"
        by_key = binder.call(node, arrow, [found, Literal(step, TEXT)])
        place = int(step) if step.lstrip("-").isdigit() and len(step) < 10 else None
        if place is not None:
            by_place = binder.call(node, arrow, [found, Literal(place, INTEGER)])
            found = binder.call(node, "coalesce", [by_place, by_key])
        else:
            found = by_key
    return found if steps else binder.cast(found, JSONB, node)


def _steps(node: exp.Expr) -> list[str] | None:
    """The texts of `'{a,"b c"}'` or `ARRAY['a', 'b c']`; None for what is no such constant."""
    if isinstance(node, exp.Array):
        if not all(isinstance(item, exp.Literal) and item.args.get("is_string") for item in node.expressions):
            return None
        return [item.name for item in node.expressions]
    if not isinstance(node, exp.Literal) or not node.args.get("is_string"):
        return None
    written = node.name.strip()
    if not (written.startswith("{") and written.endswith("}")):
        return None
    inside = written[1:-1].strip()
    if not inside:
        return []
    steps = [step.strip() for step in _STEP.findall(inside)]
    if ",".join(steps) != re.sub(r"\s*,\s*(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", ",", inside) or "" in steps:
        return None
    return [re.sub(r"\\(.)", r"\1", step[1:-1]) if step.startswith('"') else step for step in steps]
