"""The past of one view, recorded tick by tick.

Always true: what was given out never changes; what is held is the changes of the last `length` milliseconds, of one piece more at
most, and one snapshot of the errors for each time that changed them. Deliberately unknown: who reads (`serve.past`).
"""

from __future__ import annotations

from dataflow.delta import Delta
from dataflow.snapshot import Snapshot
from serve.past import Change, Past, Piece, piece

PIECE_CHANGES = 256
PIECE_ROWS = 65_536
"""Times, and rows, after which changes become one piece; pieces go as a whole."""


class History:
    """For the tick thread."""

    def __init__(self, number: int) -> None:
        """number: what the view's name means (`headwater.rooms.Shown`)."""
        self.number = number
        self.view = ""
        """The dataflow's, which tells the changes."""
        self.length = 0
        """Milliseconds that stay readable."""
        self._start: int | None = None
        self._pieces: tuple[Piece, ...] = ()
        self._latest: list[Change] = []
        self._rows = 0
        self._errors: Snapshot | None = None

    def forget(self) -> None:
        """Begin anew: what is there now cannot be read."""
        self._start, self._pieces, self._latest, self._rows, self._errors = None, (), [], 0, None

    def expired(self, time: int) -> bool:
        """Whether changes are held that are too old now."""
        until = time - self.length
        return self._pieces[0].last <= until if self._pieces else bool(self._latest) and self._latest[-1].time <= until

    def record(self, time: int, rows: Delta | None, errors: Snapshot, since: int | None = None) -> Past:
        """Take in what a time that is complete has changed. errors: those at that time. Returns the past as of it.

        since: from when on the view is known to have been what it is, where that is not from this time on.
        """
        before, self._errors = self._errors, errors
        if self._start is None or before is None:
            self._start = time if since is None else since
        elif rows is not None or before.kernel_runs != errors.kernel_runs:
            self._add(Change(time, rows, before))
        while self.expired(time):
            # Times before this one are not readable again, also when the length grows later.
            if self._pieces:
                self._start, self._pieces = self._pieces[0].last, self._pieces[1:]
            else:
                self._start, self._latest, self._rows = self._latest[-1].time, [], 0
        return Past(self._start, self.length, self._pieces, self._latest, len(self._latest))

    def _add(self, change: Change) -> None:
        self._latest.append(change)
        self._rows += 0 if change.rows is None else len(change.rows)
        if len(self._latest) >= PIECE_CHANGES or self._rows >= PIECE_ROWS:
            self._pieces = (*self._pieces, piece(self._latest))
            self._latest, self._rows = [], 0  # made anew: readers hold the one before
