"""Which checkpoint a start may begin from, and what each sink then still needs.

A checkpoint at time C holds the views as of C and not how they came to be. So a sink can go on only if it has everything up to
C: it either got past C, or had recorded the same durable frontier when the checkpoint was made, at which everything up to C was
durable. A sink that is new gets the whole view. Anything else, and the topics are read from their beginning instead, as are
they when the file's views or sources mean something else than they did.
Always true: a refused checkpoint is refused with the reason; nothing here changes anything.
Deliberately unknown: files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from headwater.manifest import Manifest
from headwater.replay import positions
from ingest.remap import Binding


def refusal(
    manifest: Manifest,
    shape: str,
    meaning: str,
    bindings: Sequence[Binding],
    frontiers: Mapping[str, int | None],
    lost: Collection[str] = (),
) -> str:
    """Why a start cannot begin from this checkpoint; empty when it can.

    shape, meaning: of the dataflow that is to take its state. frontiers: of each sink that has told it, the durable frontier.
    lost: sinks whose views the checkpoint does not hold.
    """
    cut = manifest.cut
    if cut.meaning != meaning or manifest.shape != shape:
        return "the sources or views are not the same, or the version is another"
    if positions(binding for binding in bindings if binding.time <= cut.time) != cut.positions:
        return "the remap log knows other offsets of its time: it is of another state folder"
    return unfit(manifest, frontiers, lost)


def unfit(manifest: Manifest, frontiers: Mapping[str, int | None], lost: Collection[str] = ()) -> str:
    """Which of these sinks cannot go on from this checkpoint, and why; empty when all can."""
    cut = manifest.cut
    for sink, frontier in frontiers.items():
        if frontier is not None and sink in lost:
            return f"it does not hold what sink {sink} writes, which needs what came after time {frontier}"
        if frontier is not None and frontier > cut.time:
            continue
        if sink in cut.sinks and cut.sinks[sink] != frontier:
            return f"sink {sink} is complete only up to time {frontier}, and needs what came before {cut.time}"
        if sink not in cut.sinks and frontier is not None:
            return f"sink {sink} was not part of it, and needs what came after time {frontier}"
    return ""


def in_need(manifest: Manifest, frontiers: Mapping[str, int | None]) -> set[str]:
    """The sinks that need the whole view at their next time: new ones, and those that had got nothing of it yet."""
    new = {sink for sink in frontiers if sink not in manifest.cut.sinks}
    return {sink for sink in new | set(manifest.cut.withheld) if (frontiers.get(sink) or 0) <= manifest.cut.time}
