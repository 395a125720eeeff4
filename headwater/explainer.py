"""How what a catalog names is computed: its plan as written and optimized, its operators, and what of it grows without end.

Always true: a dataflow of the same catalog is built anew to look at: nothing that runs is asked. Deliberately unknown: text, JSON.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dataflow.nodes import Told
from dataflow.step import Dataflow
from headwater.declared import build_base
from planner.explain import Explanation, Line, operators, tree
from planner.unbounded import grows, hints

if TYPE_CHECKING:
    from headwater.world import World


class Explainer:
    """Explains the objects of one version of the catalog."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def base(self) -> Dataflow:
        """The dataflow of the file's views."""
        return build_base(self._world.planned, self._world.declared)

    @cached_property
    def growing(self) -> frozenset[str]:
        """The relations whose rows become more and more: sources without an envelope, and views of them that let none go."""
        world, found = self._world, set(self._world.ground.append_only)
        for name in world.planned.order:
            if grows(world.planned.plans[name], found):
                found.add(name)
        return frozenset(found)

    def explain(self, name: str) -> Explanation:
        """A view, a table, a source that is kept, or an index, by its name."""
        world = self._world
        item = world.items.get(name)
        relation = name if item is None else item.on or name
        stages: dict[str, Line] = {}
        found: tuple[str, ...] = ()
        if relation in world.planned.plans:
            plan = world.planned.plans[relation]
            stages = {"logical": tree(world.planned.bound[relation]), "optimized": tree(plan)}
            found = hints(plan, self.growing)
        return Explanation({**stages, "physical": operators(self._told(name))}, found)

    def _told(self, name: str) -> Told:
        item = self._world.items.get(name)
        return self.base.told(name) if item is None else self._world.layer(item).dataflow.told(name)
