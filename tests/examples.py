"""How many examples Hypothesis tries: a tenth where SANITIZED is set, for sanitizers make each of them ten times slower."""

from __future__ import annotations

import os

SHARE = 10


def examples(count: int) -> int:
    """`count`, or a tenth of it, and 5 at least."""
    return max(5, count // SHARE) if os.environ.get("SANITIZED") else count
