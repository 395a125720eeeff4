"""The plot of the cost law as SVG: for each query the cost of a tick at two sizes of the data, as bars from zero.

Always true: the same costs draw the same text; the mark over each pair is 1.5 times the smaller size's cost, the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

BOUND = 1.5
_LEFT, _TOP, _HEIGHT, _GROUP, _BAR = 60, 70, 220, 120, 38


class Cost(NamedTuple):
    """The median tick of a view over so many events."""

    query: str
    events: int
    milliseconds: float
    state_rows: int


def plot(costs: Sequence[Cost]) -> str:
    """The picture; the costs of each query stand side by side, the smaller size first."""
    pairs = list(zip(costs[::2], costs[1::2], strict=True))
    most = max(max(large.milliseconds, BOUND * small.milliseconds) for small, large in pairs) * 1.1
    width, bottom = _LEFT + _GROUP * len(pairs) + 20, _TOP + _HEIGHT
    small, large = pairs[0]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 40}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{bottom + 40}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" fill="#222" font-weight="bold">tick of 100 rows, median in ms</text>',
        *_legend(_LEFT, "#7fb8b5", f"{small.events:,} events"),
        *_legend(_LEFT + 150, "#0b7a75", f"{large.events:,} events"),
        f'<line x1="{_LEFT + 300}" y1="40" x2="{_LEFT + 320}" y2="40" stroke="#b3432b" stroke-width="2"/>',
        f'<text x="{_LEFT + 326}" y="44" fill="#222">{BOUND} times the smaller</text>',
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{width - 20}" y2="{bottom}" stroke="#999"/>',
    ]
    for number, pair in enumerate(pairs):
        left = _LEFT + _GROUP * number + 16
        bound = bottom - _HEIGHT * BOUND * pair[0].milliseconds / most
        for which, (cost, colour) in enumerate(zip(pair, ("#7fb8b5", "#0b7a75"), strict=True)):
            tall = _HEIGHT * cost.milliseconds / most
            x = left + which * (_BAR + 4)
            parts.append(
                f'<rect x="{x}" y="{bottom - tall:.1f}" width="{_BAR}" height="{tall:.1f}" fill="{colour}"/>'
                f'<text x="{x + _BAR / 2:.0f}" y="{bottom - tall - 4:.1f}" fill="#222" text-anchor="middle">'
                f"{cost.milliseconds:.2f}</text>"
            )
        end = left + 2 * _BAR + 4
        parts.append(
            f'<line x1="{left - 4}" y1="{bound:.1f}" x2="{end + 4}" y2="{bound:.1f}" stroke="#b3432b" stroke-width="2"/>'
            f'<text x="{(left + end) / 2:.0f}" y="{bottom + 18}" fill="#222" text-anchor="middle">{pair[0].query}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(x: int, colour: str, label: str) -> list[str]:
    return [
        f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/>',
        f'<text x="{x + 18}" y="44" fill="#222">{label}</text>',
    ]
