"""`headwater explain`: what a view is computed from, and what is known of it.

For each view its columns, the keys that are proved unique, whether its rows only ever come, the functions in Python that it
calls, the plan, and the operators with their arrangements, those shared with other views said so. Nothing is connected to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from headwater.check import Checked
from headwater.errors import HeadwaterError
from planner import build_dataflow, unique_keys
from planner.explain import explain as explain_plan
from planner.monotonic import append_only
from planner.plans import user_functions


def explain(checked: Checked, view: str | None = None) -> str:
    """The text for one view or for all. HeadwaterError when there is no such view or its columns are not known."""
    settings, planned = checked.settings, checked.planned
    if view is not None and view not in planned.plans:
        if view in settings.views:
            raise HeadwaterError(f"view {view} cannot be explained: its columns come from the schema registry")
        raise HeadwaterError(f"read {view}, no such view; there are {', '.join(settings.views) or 'none'}")
    known = {name: source for name, source in settings.sources.items() if name in checked.schemas}
    upserts = {
        name: tuple([column.name for column in checked.schemas[name]].index(key) for key in source.key)
        for name, source in known.items()
        if source.envelope == "upsert"
    }
    indexes = {
        name: tuple([column.name for column in planned.schemas[name]].index(key) for key in settings.views[name].key)
        for name in planned.order
    }
    grows = {name for name, source in known.items() if source.envelope == "none"}
    flow = build_dataflow(planned, checked.schemas, upserts, indexes, time.perf_counter, append_only=grows)
    for name in planned.order:
        if append_only(planned.plans[name], grows):
            grows.add(name)

    def lines(name: str) -> Iterator[str]:
        first, *operators = flow.explain(name).splitlines()
        yield first
        yield f"  columns: {', '.join(str(column.name) + ' ' + str(column.type) for column in planned.schemas[name])}"
        keys = [
            f"({', '.join(sorted(key))})" if key else "one row at most" for key in unique_keys(planned, name, upserts)
        ]
        yield f"  unique: {' or '.join(keys) or 'nothing proved'}"
        if called := sorted(set(map(str, user_functions(planned.plans[name])))):
            yield f"  functions in Python: {'; '.join(called)}"
        yield f"  append-only: {'yes' if name in grows else 'no'}"
        yield "  plan:"
        yield from (f"    {line}" for line in explain_plan(planned.plans[name]).splitlines())
        yield "  operators:"
        yield from (f"  {line}" for line in operators)

    return "\n\n".join("\n".join(lines(name)) for name in planned.order if view in (None, name))
