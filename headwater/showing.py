"""What readers and subscribers see of a time once it counts.

Always true: all relations of one publication are of one time; a view that a time did not change is shown by the very same
snapshot as before it. Deliberately unknown: when a time counts (`headwater.ticks`), who reads (serve).
"""

from __future__ import annotations

from collections.abc import Mapping

from dataflow.layout import Layout
from dataflow.snapshot import Snapshot
from dataflow.types import TEXT
from headwater.history import History
from headwater.rooms import Pending, Rooms, Shape, Shown
from headwater.world import shown_as
from ingest.table_log import PREFIX
from serve.past import Past
from serve.reads import Published, PublishedView


class Showing:
    """The relations that are shown, from one time to the next. On the tick thread only."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._shown: dict[str, dict[str, PublishedView]] = {"view": {}, "source": {}, "index": {}}  # by kind
        self._histories: dict[str, History] = {}
        self.shape: Shape
        """What is computed; `reshape` changes it."""
        self.reshape(Shape({name: Shown(name, of) for name, of in rooms.dependencies.items()}, rooms.catalog))
        self.waiting: Mapping[str, str] = {}
        """Sources whose past is not in the views, with the reason, as of the last publication."""

    def reshape(self, shape: Shape) -> None:
        """Show something else from the next publication on."""
        self.shape = shape
        self._reshaped = True
        before, self._histories = self._histories, {}
        numbered = {(history.number, history.view): history for history in before.values() if history.number}
        for name, one in shape.shown.items():
            if one.view is not None and one.history:
                history = before.get(name)
                if history is None or history.number != one.number:  # it may have another name now
                    history = numbered.get((one.number, one.view))
                if history is None:
                    history = History(one.number)
                history.view, history.length = one.view, one.history
                self._histories[name] = history

    def publish(
        self,
        time: int,
        pending: Pending,
        ends: Mapping[str, Mapping[int, int]],
        blocked: Mapping[str, str],
        since: int | None = None,
    ) -> None:
        """Make a time visible: the views that it changed are shown anew, all others as they are shown already.

        pending: what it changed in the views whose past is kept. ends: source to partition to the exclusive offset that the
        views are of. blocked: sources whose past is not in the views, with the reason; views that read them say that they wait.
        since: from when on all views were what they are; None: nothing is known of before this time, or they were shown.
        """
        changed = self._rooms.dataflow.changed_views()
        shown = self.shape.shown
        if self._reshaped or blocked != self.waiting:
            self._reshaped = False
            again = shown
            self._shown = {kind: {} for kind in self._shown}
        else:
            again = {name: one for name, one in shown.items() if one.view in changed} if changed else {}
            if self._histories:
                again |= {name: shown[name] for name, history in self._histories.items() if history.expired(time)}
        self.waiting = blocked
        for kind in {one.kind for one in again.values()} if again else ():  # made anew: readers hold what was published
            same = {
                name: self._show(name, one, time, pending, since) for name, one in again.items() if one.kind == kind
            }
            self._shown = self._shown | {kind: self._shown[kind] | same}
        views, sources, indexes = (self._shown[kind] for kind in ("view", "source", "index"))
        self._rooms.publication.publish(Published(time, views, ends, self.shape.definitions, sources, indexes))

    def _show(self, name: str, one: Shown, time: int, pending: Pending, since: int | None) -> PublishedView:
        if one.view is None:
            nothing = Snapshot(Layout(tuple(column.type for column in one.schema), ()), ())
            errors = Snapshot(Layout((TEXT,), (0,)), ())
            return PublishedView(name, one.schema, (), nothing, errors, "hydrating", "it is being filled")
        view = self._rooms.dataflow.view(one.view)
        reasons = [
            f"source {shown_as(source)}: {self.waiting[source]}" for source in sorted(one.sources & self.waiting.keys())
        ]
        return PublishedView(
            name=name,
            schema=view.schema,
            key=view.key,
            rows=view.snapshot(),
            errors=view.errors(),
            state="hydrating" if reasons else "ready",
            reason="; ".join(reasons),
            sources=frozenset(name for name in one.sources if not name.startswith(PREFIX)),
            past=self._past(name, time, pending, view.errors(), bool(reasons), since),
        )

    def _past(
        self, name: str, time: int, pending: Pending, errors: Snapshot, waits: bool, since: int | None
    ) -> Past | None:
        history = self._histories.get(name)
        if history is None:
            return None
        if waits:
            history.forget()
            return None
        return history.record(time, pending.of(history.view), errors, since)

    def pending(self) -> Pending:
        """The changes of a time that begins now: those of views that are subscribed to from later on begin with the next."""
        hub = self._rooms.subscriptions
        shown = self.shape.shown
        wanted = hub.wanted if hub is not None else ()
        if not (wanted or self._histories):
            return Pending()
        return Pending(
            followed={name: (shown[name].view if name in shown else None) or name for name in wanted},
            recorded=[history.view for history in self._histories.values()],
        )

    def tell_subscribers(self, pending: Pending) -> None:
        """Hand on what the time that was published last changed in the views that somebody follows."""
        published = self._rooms.publication.current()
        if (hub := self._rooms.subscriptions) is not None and published is not None:
            found = {name: pending.of(view) for name, view in pending.followed.items()}
            changes = {name: delta for name, delta in found.items() if delta is not None}
            hub.hand_over(published, changes, frozenset(pending.followed))
