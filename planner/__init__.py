"""SQL text to a relational plan to a dataflow.

In: the columns of the sources and the SQL of the views. Out: a typed, printable plan and the dataflow that maintains it.
Absent on purpose: no data, no settings, no I/O, and no executor: every query becomes operators of `dataflow`.

A query's way: `parse` (text to syntax tree) -> `bind*` (names, types: to `plan` nodes over `scalar`s) -> `rules` -> `lower`.
"""

from __future__ import annotations

from planner.catalog import Catalog
from planner.errors import PlanErrors, SqlError
from planner.views import PlannedViews, build_dataflow, plan_views, unique_keys

__all__ = ["Catalog", "PlanErrors", "PlannedViews", "SqlError", "build_dataflow", "plan_views", "unique_keys"]
