"""Curves of training, drawn by matplotlib."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from posology.cli.report.domain import Training
from posology.cli.report.svg import FIRST, SECOND, STYLE, to_svg

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
