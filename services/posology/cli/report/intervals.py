"""Intervals as small SVG drawings, in the colours of the page (so they follow dark mode and print)."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT, PAD = 300.0, 46.0, 12.0
_MIDDLE = 17.0
_ROOM = 50.0
"""Pixels from the text of a mark within which the end of the axis goes without text."""


@dataclass(frozen=True)
class Bar:
    """An interval with its estimate; `tone` is a class of the page's style (good, bad, base, tuned)."""

    low: float
    estimate: float
    high: float
    tone: str


@dataclass(frozen=True)
class Axis:
    """Numbers to pixels."""

    start: float
    end: float

    def x(self, value: float) -> float:
        """The place of a number, kept within the drawing."""
        inside = min(max(value, self.start), self.end)
        return PAD + (inside - self.start) / (self.end - self.start) * (WIDTH - 2 * PAD)


def axis_for(values: Sequence[float], *, floor: float, ceiling: float) -> Axis:
    """An axis that shows these values with some air, within what the quantity can be."""
    least, most = min(values), max(values)
    air = max((most - least) * 0.15, 0.02)
    return Axis(max(least - air, floor), min(most + air, ceiling))


def difference(low: float, estimate: float, high: float, *, limit: float | None, tone: str) -> Markup:
    """Tuned minus base: the interval, no difference, and the limit that it must lie above."""
    marks = [0.0] if limit is None else [0.0, limit]
    axis = axis_for([low, estimate, high, *marks], floor=-1.0, ceiling=1.0)
    return _drawing(axis, [Bar(low, estimate, high, tone)], limit=limit, zero=True, signed=True)


def share(
    low: float, estimate: float, high: float, *, limit: float | None, least: float | None = None, tone: str
) -> Markup:
    """A share of one model: the interval, the limit that it must lie above, and the least estimate."""
    marks = [mark for mark in (limit, least) if mark is not None]
    axis = axis_for([low, estimate, high, *marks], floor=0.0, ceiling=1.0)
    return _drawing(axis, [Bar(low, estimate, high, tone)], limit=limit, least=least)


def pair(bars: Sequence[Bar]) -> Markup:
    """Shares of two models on one axis, one above the other."""
    axis = axis_for([value for bar in bars for value in (bar.low, bar.high)], floor=0.0, ceiling=1.0)
    return _drawing(axis, bars)


def _drawing(
    axis: Axis,
    bars: Sequence[Bar],
    *,
    limit: float | None = None,
    least: float | None = None,
    zero: bool = False,
    signed: bool = False,
) -> Markup:
    height = HEIGHT + 16 * (len(bars) - 1)
    base = height - 15
    parts = [f'<line class="axis" x1="{PAD}" y1="{base}" x2="{WIDTH - PAD}" y2="{base}"/>']
    marked = [axis.x(mark) for mark in (limit, least) if mark is not None]
    free = [v for v in (axis.start, axis.end) if all(abs(axis.x(v) - x) > _ROOM for x in marked)]
    parts += [_tick(axis, value, base, signed=signed) for value in free]
    if least is not None and least != limit:
        parts.append(_mark("least", axis, least, base, signed=signed))
    if zero and axis.start <= 0 <= axis.end:
        parts.append(f'<line class="zero" x1="{axis.x(0):.1f}" y1="3" x2="{axis.x(0):.1f}" y2="{base}"/>')
    if limit is not None:
        parts.append(_mark("limit", axis, limit, base, signed=signed))
    parts += [_bar(axis, bar, _MIDDLE + 16 * index) for index, bar in enumerate(bars)]
    spoken = "; ".join(f"{bar.estimate:.1%} ({bar.low:.1%} to {bar.high:.1%})" for bar in bars)
    opening = f'<svg class="interval" viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}"'
    # Numbers only, made here: nothing of a user's text goes into the drawing.
    return Markup(f'{opening} role="img" aria-label="{spoken}">{"".join(parts)}</svg>')


def _bar(axis: Axis, bar: Bar, y: float) -> str:
    low, middle, high = (axis.x(value) for value in (bar.low, bar.estimate, bar.high))
    ends = "".join(f'<line x1="{x:.1f}" y1="{y - 4}" x2="{x:.1f}" y2="{y + 4}"/>' for x in (low, high))
    line = f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}"/>'
    return f'<g class="bar {bar.tone}">{line}{ends}<circle cx="{middle:.1f}" cy="{y}" r="4"/></g>'


def _mark(kind: str, axis: Axis, value: float, base: float, *, signed: bool) -> str:
    x = axis.x(value)
    text = f"{value:+.1%}" if signed else f"{value:.1%}"
    anchor = "start" if x < 2 * PAD else "end" if x > WIDTH - 2 * PAD else "middle"
    return (
        f'<line class="{kind}" x1="{x:.1f}" y1="3" x2="{x:.1f}" y2="{base}"/>'
        f'<text class="{kind}" x="{x:.1f}" y="{base + 11}" text-anchor="{anchor}">{text}</text>'
    )


def _tick(axis: Axis, value: float, base: float, *, signed: bool) -> str:
    text = f"{value:+.0%}" if signed else f"{value:.0%}"
    anchor = "start" if value == axis.start else "end"
    x = 0 if anchor == "start" else WIDTH
    return f'<text x="{x:g}" y="{base + 11}" text-anchor="{anchor}">{text}</text>'
