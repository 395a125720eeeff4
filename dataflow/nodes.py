"""The graph as data: nodes, exports, what is upstream of what, and the text of EXPLAIN.

Always true: a node's number is greater than those of its inputs. Deliberately unknown here: how nodes are made and how they run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dataflow.operators.base import Spec, Types
from dataflow.types import Schema


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A collection inside the graph. Opaque but for `types`; two handles of the same collection are the same object."""

    number: int
    spec: Spec
    inputs: tuple[Node, ...]
    types: Types


@dataclass(frozen=True, slots=True)
class Export:
    """A view: a node that keeps an arrangement by `key`, with the names that it has outside."""

    name: str
    node: Node
    schema: Schema
    key: tuple[int, ...]


def upstream(nodes: Iterable[Node]) -> list[Node]:
    """The nodes and everything that they are computed from, each once, in topological order."""
    found: dict[int, Node] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.number not in found:
            found[node.number] = node
            waiting.extend(node.inputs)
    return [found[number] for number in sorted(found)]


def explain(exports: Sequence[Export], only: str | None = None) -> str:
    """The graph as text: a tree for each view (or the `only` one), inputs indented below.

    A shared node is spelled out where it comes first, with the other views that need it.
    """
    lines: list[str] = []
    told: set[int] = set()
    views: dict[int, list[str]] = {}
    for export in exports:
        for node in upstream((export.node,)):
            views.setdefault(node.number, []).append(export.name)

    def tell(node: Node, depth: int, view: str, above: Sequence[str]) -> None:
        again = node.number in told and bool(node.inputs)
        others = [name for name in views[node.number] if name != view]
        # What is below a shared node is shared with the same views at least: only more of them are news.
        shared = f" (shared with {', '.join(others)})" if node.inputs and set(others) - set(above) and not again else ""
        lines.append(f"{'  ' * depth}%{node.number} {node.spec}{' (see above)' if again else shared}")
        told.add(node.number)
        if not again:
            for source in node.inputs:
                tell(source, depth + 1, view, others)

    for export in exports:
        if only is not None and export.name != only:
            continue
        key = ", ".join(export.schema[column].name for column in export.key)
        lines.append(f"view {export.name} by ({key})" if key else f"view {export.name}")
        tell(export.node, 1, export.name, ())
    return "\n".join(lines)
