"""The base with examples in its prompt: which items are the examples, and what a spec that asks for it lacks."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from posology.core.errors import Violation
from posology.evaluation.domain import Development, Policy, SuiteKind
from posology.evaluation.questions import Item, Question

FEWEST = 50
"""Items that are left to score before training; fewer say too little to stop a run."""


def shots(items: Sequence[Item], count: int) -> tuple[Question, ...]:
    """The examples: of a suite's questions those that come first by their hash, whatever the file's order."""
    questions = [item for item in items if isinstance(item, Question)]
    return tuple(sorted(questions, key=lambda item: sha256(item.id.encode()).hexdigest())[:count])


def without_shots(items: Sequence[Item], count: int) -> tuple[Item, ...]:
    """What is scored: no example is asked for what it shows."""
    examples = {item.id for item in shots(items, count)}
    return tuple(item for item in items if item.id not in examples)


def violations(policy: Policy, stated: Mapping[str, Any], parsed: Mapping[str, Sequence[Item]]) -> Iterator[Violation]:
    """What a baseline, or a gate that names it as a rival, lacks."""
    asked = any(gate.min_gain_over_few_shot is not None for gate in policy.gates)  # a dose of a sweep has no gates
    rivals = [i for i, gate in enumerate(stated["gates"]) if asked and "minGainOverFewShot" in gate]
    if policy.baseline is None:
        for index in rivals:
            reason = "compares with the few-shot base; set evaluation.baseline"
            yield Violation(f"spec.evaluation.gates[{index}].minGainOverFewShot", reason)
        return
    at, name, count = "spec.evaluation.baseline", policy.baseline.suite, policy.baseline.shots
    if rivals and not count:
        yield Violation(f"{at}.fewShot", f"is 0, and gates[{rivals[0]}] compares with the few-shot base")
    usable = [
        suite["name"]
        for suite in stated.get("suites", ())
        if suite.get("development") == Development.BENEFIT
        and suite.get("kind", SuiteKind.MULTIPLE_CHOICE) == SuiteKind.MULTIPLE_CHOICE
    ]
    if name not in usable:
        listed = ", ".join(usable) or "none"
        yield Violation(
            f"{at}.suite",
            f"is {name or 'missing'}; the base is scored with examples on a suite of multiple choice with "
            f"development: BENEFIT, and there is {listed}",
        )
    elif name in parsed and len(parsed[name]) - count < FEWEST:
        left = len(parsed[name]) - count
        reason = f"{name} has {len(parsed[name])} items; without {count} examples {left} are left, {FEWEST} are asked"
        yield Violation(f"{at}.suite", reason)
