"""The therapeutic window of a sweep: its doses as plain values, and its picture as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from posology.cli import show
from posology.cli.report.svg import FAINT, FIRST, INK, SECOND, STYLE, to_svg
from posology.v1alpha1 import evaluation_pb2
from posology.v1alpha1 import orchestrator_pb2 as pb

SELECTED = "selected on development items: these figures chose a dose and prove nothing about it; the verdict does"


@dataclass(frozen=True)
class Difference:
    """A paired difference of shares, -1 to 1, with one-sided bounds; `n` items."""

    n: int
    estimate: float
    low: float
    high: float
    sufficient: int = 0


@dataclass(frozen=True)
class DosePoint:
    """One dose; what was not measured is None or empty."""

    number: int
    label: str
    run: str
    phase: str
    axis: float
    """Where it stands by its rank, or by its number where the ranks do not differ."""
    seconds: float = 0.0
    loss: float | None = None
    """Least validation loss, nats per token."""
    intensity: float | None = None
    """Mean KL of tuned from base on general development prompts, nats per token."""
    accuracy: float | None = None
    gain: Difference | None = None
    effects: dict[str, Difference] = field(default_factory=dict)
    versus: Difference | None = None
    rival: str = ""
    out: str = ""
    dominated: bool = False

    @property
    def worst(self) -> tuple[str, Difference] | None:
        """The side effect with the lowest estimate."""
        return min(self.effects.items(), key=lambda item: item[1].estimate, default=None)


@dataclass(frozen=True)
class Window:
    """The picture's values; `recommended` and `best` are numbers of doses, 0 for none."""

    sentence: str
    doses: tuple[DosePoint, ...]
    recommended: int = 0
    best: int = 0
    margin: float = 0.0
    max_drop: float = 0.0
    confidence: float = 0.0
    sufficient: int = 0
    by_rank: bool = False

    @property
    def judged(self) -> tuple[DosePoint, ...]:
        """Doses with scores."""
        return tuple(dose for dose in self.doses if dose.gain)


def of(message: pb.Window) -> Window:
    """From the contract's message."""
    judged = {one.number: one for one in message.comparison.doses}
    ranks = [one.dose.rank for one in message.doses]
    by_rank = len(set(ranks)) == len(ranks) > 1 and all(ranks)
    total = message.comparison
    return Window(
        sentence=message.sentence or total.sentence,
        doses=tuple(
            _point(one, judged.get(one.number), one.dose.rank if by_rank else one.number) for one in message.doses
        ),
        recommended=total.recommended,
        best=total.best,
        margin=total.margin,
        max_drop=total.max_drop,
        confidence=total.confidence,
        sufficient=total.sufficient_n,
        by_rank=by_rank,
    )


def _point(tried: pb.TriedDose, judged: evaluation_pb2.JudgedDose | None, axis: float) -> DosePoint:
    scored = judged is not None and judged.HasField("gain")
    return DosePoint(
        number=tried.number,
        label=tried.label,
        run=tried.run.rsplit("/", 1)[-1],
        phase=pb.FineTuneRun.Phase.Name(tried.phase),
        axis=axis,
        seconds=tried.seconds,
        loss=tried.validation_loss if tried.HasField("validation_loss") else None,
        intensity=judged.intensity if judged is not None and judged.HasField("intensity") else None,
        accuracy=judged.accuracy if judged is not None and scored else None,
        gain=_difference(judged.gain) if judged is not None and scored else None,
        effects={n: _difference(e) for n, e in sorted(judged.side_effects.items())} if judged is not None else {},
        versus=_difference(judged.versus_best) if judged is not None and judged.HasField("versus_best") else None,
        rival=judged.rival if judged is not None else "",
        out=(judged.out if judged is not None else "") or tried.reason,
        dominated=judged.dominated if judged is not None else False,
    )


def _difference(message: evaluation_pb2.DoseEstimate) -> Difference:
    return Difference(message.n, message.estimate, message.low, message.high, message.sufficient_n)


# --- a table for terminals -------------------------------------------------------------------------------

COLUMNS = ("DOSE", "GAIN (SELECTED)", "WORST SIDE EFFECT", "INTENSITY", "AGAINST THE BEST OTHER", "LOSS", "COST", "")


def rows(window: Window) -> list[tuple[str, ...]]:
    """One row a dose; the last cell says what it is."""
    return [
        (
            dose.label,
            _points(dose.gain),
            f"{dose.worst[0]} {_points(dose.worst[1])}" if dose.worst else "–",
            f"{dose.intensity:.3g}" if dose.intensity is not None else "–",
            _points(dose.versus),
            f"{dose.loss:.3f}" if dose.loss is not None else "–",
            show.duration(dose.seconds),
            standing(window, dose),
        )
        for dose in window.doses
    ]


def standing(window: Window, dose: DosePoint) -> str:
    """What a dose is, in a few words."""
    if dose.number == window.recommended:
        return "recommended"
    if dose.out:
        return f"out: {dose.out}"
    if dose.number == window.best:
        return "highest benefit"
    if not dose.gain:
        return dose.phase.lower()
    return "off the Pareto line" if dose.dominated else ""


def _points(one: Difference | None) -> str:
    """`+12.5 [+8.1, +16.9]`, in points."""
    return f"{100 * one.estimate:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]" if one else "–"


# --- the picture -----------------------------------------------------------------------------------------


def picture(window: Window) -> Markup:
    """Benefit against side effect and against intensity, validation loss, cost; nothing before a dose is scored."""
    if not window.judged:
        return Markup("")
    panels = [_effects, _intensity, *([_loss] if any(d.loss is not None for d in window.doses) else []), _cost]
    with mpl.rc_context(STYLE | {"svg.hashsalt": "window"}):
        figure = Figure(figsize=(3.4 * len(panels), 3.0), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(axes, window)
        return to_svg(figure, label="The therapeutic window: gain and loss by dose")


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one beats in both (more is better), from left to right."""
    line = [p for p in points if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)]
    return sorted(set(line))


def _effects(axes: Any, window: Window) -> None:
    axes.set_title("benefit against side effect", loc="left")
    axes.set_xlabel("worst side effect, points")
    axes.set_ylabel("gain on the task, points")
    shown = [(dose, dose.worst[1] if dose.worst else Difference(0, 0, 0, 0)) for dose in window.judged]
    line = pareto([(100 * worst.estimate, 100 * dose.gain.estimate) for dose, worst in shown if dose.gain])
    axes.plot(*zip(*line, strict=True), color=FAINT, linewidth=4, zorder=1, label="Pareto line")
    for dose, worst in shown:
        _cross(axes, window, dose, worst)
    axes.axvline(-100 * window.max_drop, color=SECOND, linewidth=1, linestyle=(0, (3, 2)))
    axes.legend(frameon=False, loc="best")


def _intensity(axes: Any, window: Window) -> None:
    axes.set_title("benefit against intensity", loc="left")
    axes.set_xlabel("intensity, nats per token")
    axes.set_ylabel("gain on the task, points")
    for dose in window.judged:
        if dose.intensity is not None:
            _cross(axes, window, dose, None, x=dose.intensity)


def _cross(axes: Any, window: Window, dose: DosePoint, worst: Difference | None, *, x: float = 0.0) -> None:
    """A dose with its intervals and number; the recommended one is filled."""
    assert dose.gain is not None
    at = (100 * worst.estimate if worst else x, 100 * dose.gain.estimate)
    color = SECOND if dose.number == window.recommended else FIRST
    up, down = 100 * (dose.gain.high - dose.gain.estimate), 100 * (dose.gain.estimate - dose.gain.low)
    sides = None
    if worst:
        sides = [[100 * (worst.estimate - worst.low)], [100 * (worst.high - worst.estimate)]]
    hollow = "none" if dose.out else color
    axes.errorbar(
        [at[0]], [at[1]], xerr=sides, yerr=[[down], [up]], fmt="o", color=color, markerfacecolor=hollow, linewidth=1,
        markersize=6,
    )  # fmt: skip
    axes.annotate(str(dose.number), at, textcoords="offset points", xytext=(6, 5), color=INK)


def _loss(axes: Any, window: Window) -> None:
    axes.set_title("validation loss", loc="left")
    axes.set_xlabel("rank r" if window.by_rank else "dose")
    points = sorted((dose.axis, dose.loss) for dose in window.doses if dose.loss is not None)
    axes.plot(*zip(*points, strict=True), color=FIRST, linewidth=1.2, marker="s", markersize=4)
    if window.by_rank:
        axes.set_xscale("log", base=2)
        axes.set_xticks([x for x, _ in points], [f"{x:g}" for x, _ in points])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _cost(axes: Any, window: Window) -> None:
    axes.set_title("cost, minutes", loc="left")
    axes.set_xlabel("dose")
    for dose in window.doses:
        color = SECOND if dose.number == window.recommended else FIRST
        axes.bar(dose.number, dose.seconds / 60, color=color, width=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
