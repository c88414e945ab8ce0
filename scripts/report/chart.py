"""A line chart as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

Line = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 44
COLOURS = ("#1f6fb2", "#c8501e", "#3a8a3a", "#7a4fa3")


def line_chart(title: str, x_name: str, y_name: str, lines: Mapping[str, Line], log: bool = False) -> str:
    """An <svg> of named lines of (x, y); ``log``: the y axis is logarithmic, for values above 0."""
    points = [point for line in lines.values() for point in line]
    x_ticks = ticks(0.0, max(x for x, _ in points))
    lowest, highest = min(y for _, y in points), max(y for _, y in points)
    y_ticks = decades(lowest, highest) if log else ticks(lowest, highest)
    x_of = _scale(x_ticks, LEFT, WIDTH - RIGHT, False)
    y_of = _scale(y_ticks, HEIGHT - BOTTOM, TOP, log)
    parts = [f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>']
    for x in x_ticks:
        parts.append(f'<text x="{x_of(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    for y in y_ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {y_of(y):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y_of(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>')
    turned = f'transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2:.1f}) rotate(-90)"'
    parts.append(f'<text {turned} text-anchor="middle">{escape(y_name)}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in line)
        parts.append(f'<path fill="none" stroke="{colour}" stroke-width="2" d="M{path}"/>')
        # The legend is a row under the title's right end, one entry after the other.
        x = WIDTH - RIGHT - 110 * (len(lines) - number)
        parts.append(f'<path stroke="{colour}" stroke-width="3" d="M{x} 14h18"/>')
        parts.append(f'<text x="{x + 24}" y="18">{escape(name)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that enclose ``low`` .. ``high``."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * number, 10) for number in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten, enclosing ``low`` .. ``high`` (both above 0)."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marks = [round(factor * 10.0**power, 12) for power in range(first, last + 1) for factor in (1, 2, 5)]
    start = max(i for i, mark in enumerate(marks) if mark <= low or i == 0)
    end = next(i for i, mark in enumerate(marks) if mark >= high or i == len(marks) - 1)
    return marks[start : end + 1]


def _scale(marks: Sequence[float], start: float, end: float, log: bool) -> Callable[[float], float]:
    """Values to pixels: the first of ``marks`` lies at ``start``, the last at ``end``."""
    at: Callable[[float], float] = math.log10 if log else float
    low, high = at(marks[0]), at(marks[-1])
    return lambda value: start + (at(value) - low) / ((high - low) or 1.0) * (end - start)
