"""How a gate kind makes itself known."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from posology.evaluation.domain import Evidence, Gate, GateResult, Policy, SuiteKind


@dataclass(frozen=True)
class GateContext:
    """One gate of a policy and the evidence; `gate` is None for what every policy includes."""

    gate: Gate | None
    policy: Policy
    evidence: Evidence


Run = Callable[[GateContext], Iterable[GateResult]]


@dataclass(frozen=True)
class Kind:
    """A family of gates: the demands and kinds of suite that it answers, and the metrics it measures."""

    name: str
    demands: frozenset[str]
    kinds: tuple[SuiteKind, ...]
    metrics: tuple[str, ...]
    run: Run


_registered: dict[str, Kind] = {}


def gate(
    name: str, *, demands: Sequence[str] = (), kinds: Sequence[SuiteKind] = (), metrics: Sequence[str] = ()
) -> Callable[[Run], Run]:
    """Register a gate kind; without `demands` it belongs to every policy."""

    def register(run: Run) -> Run:
        _registered[name] = Kind(name, frozenset(demands), tuple(kinds), tuple(metrics), run)
        return run

    return register


def registered() -> tuple[Kind, ...]:
    """Every kind, in the order of import."""
    return tuple(_registered.values())
