"""The graph as data: nodes, exports, what is upstream of what, and the text of EXPLAIN.

Always true: a node's number is greater than those of its inputs. Deliberately unknown here: how nodes are made and how they run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dataflow.operators.arrange import ArrangeSpec
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


@dataclass(frozen=True, slots=True)
class Told:
    """What EXPLAIN says of a node.

    kind: its spec's name. key: of an arrangement, its columns. shared: the other views that need it, where that is news. again: it
    was told before, and its inputs with it, so that there are none here.
    """

    number: int
    kind: str
    text: str
    key: tuple[int, ...] | None
    shared: tuple[str, ...]
    again: bool
    inputs: tuple[Told, ...]

    def lines(self, depth: int) -> Iterator[str]:
        """A line for each node, inputs indented below."""
        more = " (see above)" if self.again else f" (shared with {', '.join(self.shared)})" if self.shared else ""
        yield f"{'  ' * depth}%{self.number} {self.text}{more}"
        for below in self.inputs:
            yield from below.lines(depth + 1)


def told(exports: Sequence[Export], only: str | None = None) -> list[tuple[Export, Told]]:
    """The trees of all views, or of the `only` one. A shared node is told where it comes first, with the views that need it."""
    known: set[int] = set()
    views: dict[int, list[str]] = {}
    for export in exports:
        for node in upstream((export.node,)):
            views.setdefault(node.number, []).append(export.name)

    def tell(node: Node, view: str, above: Sequence[str]) -> Told:
        again = node.number in known and bool(node.inputs)
        others = [name for name in views[node.number] if name != view]
        # What is below a shared node is shared with the same views at least: only more of them are news.
        news = others if node.inputs and set(others) - set(above) and not again else []
        known.add(node.number)
        inputs = () if again else tuple(tell(source, view, others) for source in node.inputs)
        kind, key = type(node.spec).__name__.removesuffix("Spec"), None
        if isinstance(node.spec, ArrangeSpec):
            key = node.spec.key
        return Told(node.number, kind, str(node.spec), key, tuple(news), again, inputs)

    return [(export, tell(export.node, export.name, ())) for export in exports if only in (None, export.name)]


def told_of(node: Node) -> Told:
    """The tree of a node that is no view's."""
    return told([Export("", node, (), ())])[0][1]


def explain(exports: Sequence[Export], only: str | None = None) -> str:
    """The trees as text."""
    lines: list[str] = []
    for export, tree in told(exports, only):
        key = ", ".join(export.schema[column].name for column in export.key)
        lines.append(f"view {export.name} by ({key})" if key else f"view {export.name}")
        lines += tree.lines(1)
    return "\n".join(lines)
