"""The plot of the benchmarks as SVG: one row for each workload, one mark for each system, both scales logarithmic.

Always true: the same results draw the same text; colours are readable on light and dark pages, and each system has a shape
of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

_ROW, _LEFT, _PANEL, _GAP, _TOP = 34, 74, 400, 40, 86
_COLOURS = {"headwater": "#0b7a75", "duckdb": "#c98a00", "chdb": "#b3432b", "bytewax": "#6b5ca5", "pathway": "#3d7dca"}
_OTHER = "#7a7a7a"


def plot(measured: Sequence[Result], peers: Sequence[Result]) -> str:
    """The whole picture."""
    names = [found["workload"] for found in measured]
    speed: dict[str, dict[str, float]] = {}
    lag: dict[str, dict[str, float]] = {}
    for found in measured:
        name, rows = found["workload"], found["rows"]
        speed[name] = {"headwater": found["catch_up"]["rows_per_second"], "duckdb": rows / found["duckdb"]["seconds"]}
        lag[name] = {"headwater": found["ticks"]["p50"] * 1e3, "duckdb": found["duckdb"]["seconds"] * 1e3}
        for peer in peers:
            if peer["workload"] == name:
                speed[name][peer["peer"]] = rows / peer["seconds"]
                if peer.get("ticks"):
                    lag[name][peer["peer"]] = peer["ticks"]["p50"] * 1e3
    systems = list(dict.fromkeys(system for values in speed.values() for system in values))
    height = _TOP + _ROW * len(names) + 34
    width = _LEFT + 2 * _PANEL + _GAP + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_legend(systems),
        *(f'<text x="8" y="{_y(i) + 4}" fill="#222">{name}</text>' for i, name in enumerate(names)),
        *_panel(_LEFT, "catch-up, rows/s: right is better", names, speed, systems),
        *_panel(_LEFT + _PANEL + _GAP, "tick of 1,000 events, p50 in ms: left is better", names, lag, systems),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _y(row: int) -> float:
    return _TOP + _ROW * row + _ROW / 2


def _legend(systems: Sequence[str]) -> list[str]:
    parts = []
    for i, system in enumerate(systems):
        x = _LEFT + 130 * i
        label = "duckdb (recompute)" if system == "duckdb" else system
        parts += [_mark(x, 20, i, system), f'<text x="{x + 10}" y="24" fill="#222">{label}</text>']
    return parts


def _panel(
    left: int, title: str, names: Sequence[str], values: Mapping[str, Mapping[str, float]], systems: Sequence[str]
) -> list[str]:
    found = [value for by_system in values.values() for value in by_system.values()]
    low, high = (math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))) if found else (0, 1)
    high = max(high, low + 1)
    bottom = _TOP + _ROW * len(names)
    parts = [f'<text x="{left}" y="52" fill="#222" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        x = left + _PANEL * (power - low) / (high - low)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{_TOP - 14}" fill="#666" text-anchor="middle">{_power(power)}</text>')
    for row, name in enumerate(names):
        parts.append(f'<line x1="{left}" y1="{_y(row)}" x2="{left + _PANEL}" y2="{_y(row)}" stroke="#eee"/>')
        for i, system in enumerate(systems):
            if system in values[name]:
                x = left + _PANEL * (math.log10(values[name][system]) - low) / (high - low)
                parts.append(_mark(x, _y(row), i, system))
    return parts


def _power(power: int) -> str:
    if power >= 6:
        return f"{10 ** (power - 6)}M"
    if power >= 3:
        return f"{10 ** (power - 3)}k"
    return f"{10.0**power:g}"


def _mark(x: float, y: float, number: int, system: str) -> str:
    fill = f'fill="{_COLOURS.get(system, _OTHER)}"'
    match number % 4:
        case 0:
            return f'<circle cx="{x:.1f}" cy="{y}" r="6" {fill}/>'
        case 1:
            return f'<rect x="{x - 5:.1f}" y="{y - 5}" width="10" height="10" {fill}/>'
        case 2:
            return f'<polygon points="{x:.1f},{y - 6} {x + 6:.1f},{y + 5} {x - 6:.1f},{y + 5}" {fill}/>'
        case _:
            return f'<polygon points="{x:.1f},{y - 7} {x + 6:.1f},{y} {x:.1f},{y + 7} {x - 6:.1f},{y}" {fill}/>'
