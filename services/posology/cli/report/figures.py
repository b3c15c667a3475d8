"""Curves of training, drawn by matplotlib as SVG whose colours are those of the page."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from posology.cli.report.domain import Training

# Colours that stand for the page's variables: matplotlib writes the left, the page gets the right.
INK, FAINT, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {INK: "var(--ink)", FAINT: "var(--line)", FIRST: "var(--first)", SECOND: "var(--second)"}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Helvetica", "Arial", "sans-serif", "DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
}
_FEW = 25
"""Curves of up to this many points show each of them."""

Panel = Callable[[Any, Training], None]


def curves(training: Training) -> Markup:
    """Loss (training and validation), learning rate, and what else was measured; nothing without a curve."""
    panels = [panel for panel, needs in _PANELS if any(training.series(name) for name in needs)]
    if not panels:
        return Markup("")
    with mpl.rc_context(STYLE | {"svg.hashsalt": training.stage}):
        figure = Figure(figsize=(3.6 * len(panels), 2.5), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(axes, training)
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.margins(x=0.03)
        return to_svg(figure, label=f"Training curves of {training.stage}")


def smoothed(values: Sequence[float]) -> list[float]:
    """Trailing means over a twentieth of the run."""
    window = max(1, len(values) // 20)
    return [sum(values[max(0, i - window + 1) : i + 1]) / min(i + 1, window) for i in range(len(values))]


def _loss(axes: Any, training: Training) -> None:
    axes.set_title("loss", loc="left")
    if train := training.series("loss"):
        steps, values = zip(*train, strict=True)
        few = len(values) <= _FEW
        if not few:
            axes.plot(steps, values, color=FIRST, linewidth=0.6, alpha=0.4)
        line = values if few else smoothed(values)
        axes.plot(steps, line, color=FIRST, linewidth=1.6, marker="o" if few else "", markersize=3, label="training")
    _validation(axes, training.series("eval_loss"))
    axes.legend(frameon=False)


def _validation(axes: Any, points: list[tuple[int, float]]) -> None:
    if points:
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, color=SECOND, linewidth=1.2, marker="s", markersize=3.5, label="validation")


def _rate(axes: Any, training: Training) -> None:
    axes.set_title("learning rate", loc="left")
    steps, values = zip(*training.series("learning_rate"), strict=True)
    axes.plot(steps, values, color=FIRST, linewidth=1.6)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.set_ylim(bottom=0)


def _preferences(axes: Any, training: Training) -> None:
    axes.set_title("preference accuracy", loc="left")
    if train := training.series("preference_accuracy"):
        steps, values = zip(*train, strict=True)
        axes.plot(steps, smoothed(values), color=FIRST, linewidth=1.2, label="training")
    _validation(axes, training.series("eval_preference_accuracy"))
    axes.set_ylim(-0.03, 1.03)
    axes.legend(frameon=False)


_PANELS: tuple[tuple[Panel, tuple[str, ...]], ...] = (
    (_loss, ("loss", "eval_loss")),
    (_rate, ("learning_rate",)),
    (_preferences, ("preference_accuracy", "eval_preference_accuracy")),
)


def to_svg(figure: Figure, *, label: str) -> Markup:
    """A figure in the colours of the page."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for standing, variable in _VARIABLES.items():
        text = text.replace(standing, variable)
    # Made by matplotlib from numbers and our own words.
    return Markup(text.replace("<svg ", f'<svg class="curves" role="img" aria-label="{escape(label)}" ', 1))
