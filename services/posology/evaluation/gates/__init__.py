"""Gates, one file per kind. A kind says which demands it answers; what no kind answers is refused at the door.

    @gate("gain", demands=("min_gain",), kinds=(SuiteKind.MULTIPLE_CHOICE,))
    def gain(ask: GateContext) -> Iterable[GateResult]: ...

A new kind is a new file here and one line in `_KINDS` below.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import import_module

from posology.core.errors import InvalidInput, Violation
from posology.evaluation.domain import Evidence, Gate, GateResult, Policy
from posology.evaluation.gates import enough
from posology.evaluation.gates.registry import GateContext, Kind, registered

_KINDS = ("accuracy", "regression", "gain", "rival", "refusal", "sycophancy", "human", "judged", "scope", "parity")
for _name in _KINDS:
    import_module(f"{__name__}.{_name}")

JSON_NAMES = {
    "at_least": "atLeast",
    "lower_bound_at_least": "lowerBoundAtLeast",
    "max_drop": "maxDrop",
    "min_gain": "minGain",
    "max_flip_rate_increase": "maxFlipRateIncrease",
    "win_rate_above": "winRateAbove",
    "acceptable_at_least": "acceptableAtLeast",
    "max_confident_claims": "maxConfidentClaims",
    "min_gain_over_few_shot": "minGainOverFewShot",
}


def built() -> str:
    """The list of gate kinds, for people."""
    return "; ".join(
        f"{kind.name}: {_spoken(kind.demands)} on {' or '.join(kind.kinds)}" for kind in registered() if kind.demands
    )


def check(policy: Policy) -> None:
    """Raise InvalidInput with every violation."""
    if wrong := violations(policy):
        raise InvalidInput.of(wrong)


def violations(policy: Policy, *, at: str = "spec.evaluation") -> list[Violation]:
    """Every gate that names an unknown suite or asks for what is not built, and every suite named twice."""
    wrong = [v for i, gate in enumerate(policy.gates) for v in _violations(policy, gate, f"{at}.gates[{i}]")]
    names = [suite.name for suite in policy.suites]
    wrong += [Violation(f"{at}.suites[{i}].name", f"{n} is taken") for i, n in enumerate(names) if n in names[:i]]
    return wrong


def decide(
    policy: Policy, evidence: Evidence, *, confidence: Mapping[str, float] | None = None
) -> tuple[GateResult, ...]:
    """Every gate of the policy and the parity ladder, computed from items; nothing is skipped.

    `confidence` is what decides the gates of a suite that was used before; the policy's where it names none. Each
    result says its kind and what was demanded.
    """
    check(policy)
    return tuple(
        enough.advised(replace(result, kind=kind.name, demands=demands(policy, kind, gate)), evidence.pace)
        for kind, gate in contexts(policy)
        for result in kind.run(GateContext(gate, _stricter(policy, gate, confidence or {}), evidence))
    )


def contexts(policy: Policy) -> list[tuple[Kind, Gate | None]]:
    """Which kinds decide which gates; None where a kind belongs to every policy."""
    stated = [(kind, gate) for gate in policy.gates for kind in _answering(policy, gate)]
    return [*stated, *((kind, None) for kind in registered() if not kind.demands)]


def _stricter(policy: Policy, gate: Gate | None, confidence: Mapping[str, float]) -> Policy:
    if gate is None or gate.suite not in confidence:
        return policy
    return replace(policy, confidence=confidence[gate.suite])


def demands(policy: Policy, kind: Kind, gate: Gate | None) -> dict[str, float]:
    """By the names that a spec uses; of a kind that every policy includes, its limits."""
    stated = vars(policy.parity) if gate is None else {name: getattr(gate, name) for name in kind.demands}
    return {json_name(name): float(value) for name, value in stated.items() if isinstance(value, int | float)}


def json_name(name: str) -> str:
    """`max_drop` as a spec writes it: `maxDrop`."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _answering(policy: Policy, gate: Gate) -> list[Kind]:
    suite = policy.suite(gate.suite)
    return [kind for kind in registered() if suite.kind in kind.kinds and kind.demands & gate.demands()]


def _violations(policy: Policy, gate: Gate, at: str) -> Iterable[Violation]:
    if not any(suite.name == gate.suite for suite in policy.suites):
        names = ", ".join(suite.name for suite in policy.suites) or "none"
        yield Violation(f"{at}.suite", f"no suite is called {gate.suite!r}; spec.evaluation.suites has {names}")
        if not (unbuilt := gate.demands() - {d for kind in registered() for d in kind.demands}):
            return
    else:
        kinds = _answering(policy, gate)
        unbuilt = gate.demands() - {d for kind in kinds for d in kind.demands}
        yield from _metric(gate, kinds, at)
    for demand in sorted(unbuilt):
        yield Violation(f"{at}.{JSON_NAMES[demand]}", f"this gate is not built for such a suite; built are: {built()}")


def _metric(gate: Gate, kinds: list[Kind], at: str) -> Iterable[Violation]:
    for kind in kinds:
        if gate.metric and gate.metric not in kind.metrics:
            yield Violation(f"{at}.metric", f"is {gate.metric!r}; {kind.name} measures {' or '.join(kind.metrics)}")


def _spoken(demands: Iterable[str]) -> str:
    return " and ".join(JSON_NAMES[demand] for demand in sorted(demands))
