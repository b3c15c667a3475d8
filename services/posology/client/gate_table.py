"""The gates of several verdicts beside each other: a row holds one measure, never a level beside a change."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict

CHANGES = ("maxDrop", "minGain", "minGainOverFewShot", "maxFlipRateIncrease")
"""Demands on the difference between the tuned model and what it is compared with."""


@dataclass(frozen=True)
class Row:
    """One gate, by verdict; None where a verdict has no such gate."""

    label: str
    gates: tuple[GateResult | None, ...]

    @property
    def difference(self) -> float | None:
        """From the first verdict's estimate to the last one's; None unless both measured it."""
        first, last = self.gates[0], self.gates[-1]
        return last.estimate - first.estimate if first and last and first.method and last.method else None


@dataclass(frozen=True)
class _Key:
    """What must be equal for two results to be the same gate."""

    suite: str
    metric: str
    kind: str
    measure: str
    demands: tuple[str, ...] = ()
    """Named only where a verdict has several gates of the kind on the suite."""
    number: int = 0
    """Of gates that differ in their limits alone."""

    @property
    def label(self) -> str:
        kind = f" ({self.kind})" if self.kind not in ("", self.suite, self.metric) else ""
        demands = f" {', '.join(self.demands)}" if self.demands else ""
        again = f" #{self.number + 1}" if self.number else ""
        return f"{self.suite} {self.metric}, {self.measure}{kind}{demands}{again}"


def rows(verdicts: Sequence[Verdict | None]) -> list[Row]:
    """Every gate of any verdict once, in the order in which the verdicts name them."""
    counts = [Counter(map(_plain, verdict.gates)) for verdict in verdicts if verdict]
    repeated = {key for one in counts for key, number in one.items() if number > 1}
    by_key = [_keyed(verdict, repeated) for verdict in verdicts]
    keys = dict.fromkeys(key for one in by_key for key in one)
    return [Row(key.label, tuple(one.get(key) for one in by_key)) for key in keys]


def measured(gate: GateResult) -> str:
    """`0.871 [0.850, 0.890], n 400`; of a gate that could not measure what it is about, nothing."""
    return f"{gate.estimate:.3f} [{gate.low:.3f}, {gate.high:.3f}], n {gate.n}" if gate.method else ""


def _keyed(verdict: Verdict | None, repeated: set[_Key]) -> dict[_Key, GateResult]:
    keyed: dict[_Key, GateResult] = {}
    for gate in verdict.gates if verdict else ():
        key, demands = _plain(gate), tuple(sorted(gate.demands))
        names = demands if key in repeated else ()
        number = 0
        while (full := _Key(key.suite, key.metric, key.kind, key.measure, names, number)) in keyed:
            number += 1
        keyed[full] = gate
    return keyed


def _plain(gate: GateResult) -> _Key:
    return _Key(gate.suite, gate.metric, gate.kind, measure(gate))


def measure(gate: GateResult) -> str:
    """`change` of a difference between two models, else `level`; early verdicts name no demands, but both models."""
    paired = "base" in gate.details and "tuned" in gate.details
    return "change" if paired or any(name in CHANGES for name in gate.demands) else "level"
