"""A report as one HTML file: no links to anything outside, readable on paper and in dark mode."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from posology.cli import show
from posology.cli.report import figures, intervals, window
from posology.cli.report.domain import STAND_IN, Accuracy, Gate, Report

TONES = {"PASS": "good", "FAIL": "bad", "INVALID": "bad", "INSUFFICIENT_EVIDENCE": "bad"}
STATE_TONES = {"SUCCEEDED": "good", "PASSED": "good", "FAILED": "bad", "CANCELLED": "open", "RUNNING": "open"}

_HEADING = re.compile(r"<h2>(.*?)</h2>")
MOST = 200
"""Entries of a list that a page shows; the data set's own card has them all."""


def render(report: Report) -> str:
    """The page."""
    template = _environment().get_template("report.html.jinja")
    return template.render(
        report=report,
        stand_in=STAND_IN,
        gates=[gate for gate in report.gates if gate.suite != "parity"],
        parity_gates=[gate for gate in report.gates if gate.suite == "parity"],
        models=paired_accuracies(report.accuracies),
        most=MOST,
        window=report.window,
        selected=window.SELECTED,
        spec=yaml.safe_dump(dict(report.spec), sort_keys=False, allow_unicode=True, width=100),
    )


def render_window(run: str, shown: window.Window) -> str:
    """The doses of a sweep on a page of their own."""
    template = _environment().get_template("window_page.html.jinja")
    return template.render(run=run, window=shown, selected=window.SELECTED)


def gate_plot(gate: Gate) -> Markup:
    """The gate's interval and its limit; nothing for a gate that could not be worked out."""
    if gate.n == 0 or gate.outcome == "INVALID":
        return Markup("")
    tone, interval = TONES[gate.outcome], (gate.low, gate.estimate, gate.high)
    if gate.paired:
        return intervals.difference(*interval, limit=gate.limit, tone=tone)
    return intervals.share(*interval, limit=gate.limit, least=gate.least, tone=tone)


def paired_accuracies(accuracies: tuple[Accuracy, ...]) -> list[tuple[str, list[Accuracy], Markup]]:
    """By suite: its models, and both intervals on one axis."""
    suites = dict.fromkeys(one.suite for one in accuracies)
    by_suite = {suite: [one for one in accuracies if one.suite == suite] for suite in suites}
    return [
        (suite, models, intervals.pair([intervals.Bar(m.low, m.accuracy, m.high, m.model) for m in models]))
        for suite, models in by_suite.items()
    ]


def percent(value: float, *, signed: bool = False) -> str:
    """`83.3%`, or `+12.5%` for a difference."""
    return f"{value:+.1%}" if signed else f"{value:.1%}"


def points(value: window.Difference | None) -> Markup:
    """`+12.5` with its bounds below, in points; a dash for nothing."""
    if value is None:
        return Markup("–")
    low, high = f"{100 * value.low:+.1f}", f"{100 * value.high:+.1f}"
    inner = f'<b>{100 * value.estimate:+.1f}</b><br><span class="soft">{low} to {high}, n {value.n}</span>'
    return Markup(inner)  # numbers only


def number(value: float | int | None) -> str:
    """Four significant digits; a dash for nothing."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def size(value: int) -> str:
    """`6.1 KiB`."""
    for unit, divisor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= divisor:
            return f"{value / divisor:.1f} {unit}"
    return f"{value} B"


def last(name: str) -> str:
    """The last part of a resource's name."""
    return name.rsplit("/", 1)[-1]


def short(digest: str) -> str:
    """A digest that fits in a line; the whole one is in the lineage."""
    return digest[:19] + "…" if digest else ""


def settings(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Nested settings as `filters.min_words`, one a line."""
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        nested = settings(value) if isinstance(value, Mapping) else None
        rows += [(f"{key}.{name}", inner) for name, inner in nested] if nested else [(key, value)]
    return rows


def contents(body: Markup) -> Markup:
    """Links to every section of a page's body."""
    links = Markup("").join(
        Markup('<li><a href="#{}">{}</a></li>').format(_anchor(heading), heading) for heading in _headings(body)
    )
    return Markup('<nav aria-label="Contents"><ul>{}</ul></nav>').format(links)


def anchored(body: Markup) -> Markup:
    """The body with an anchor at each section's heading."""

    def with_anchor(heading: re.Match[str]) -> str:
        return f'<h2 id="{_anchor(_text(heading[1]))}">{heading[1]}</h2>'

    return Markup(_HEADING.sub(with_anchor, body))


def _headings(body: Markup) -> list[str]:
    return [_text(found) for found in _HEADING.findall(body)]


def _text(heading: str) -> str:
    return Markup(re.sub(r"<span class=\"chip.*?</span>", "", heading)).striptags()


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("posology.cli.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": percent,
        "number": number,
        "points": points,
        "size": size,
        "last": last,
        "short": short,
        "duration": show.duration,
        "settings": settings,
        "contents": contents,
        "anchored": anchored,
    }
    environment.globals |= {
        "curves": figures.curves,
        "gate_plot": gate_plot,
        "window_picture": window.picture,
        "tones": TONES,
        "state_tones": STATE_TONES,
    }
    return environment
