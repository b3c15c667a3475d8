"""What is wrong with an evaluation before anything is scored: with its spec as stated, and with its suites' items."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from posology.core.errors import InvalidInput, Violation
from posology.evaluation import gates, human, judging, refusal_judging, suites
from posology.evaluation.domain import Gate, Policy, Suite, SuiteKind
from posology.evaluation.questions import Prompt
from posology.evaluation.statistics.binomial import lower_bound


def of_spec(policy: Policy, stated: Mapping[str, Any]) -> Iterator[Violation]:
    """What the spec alone shows; gates on suites that choose a dose are `development`'s to check."""
    choosing = {suite["name"] for suite in stated.get("suites", []) if "development" in suite}
    gating = replace(policy, gates=tuple(gate for gate in policy.gates if gate.suite not in choosing))
    yield from not_taken(stated)
    yield from gates.violations(gating)
    yield from _taken_twice(stated.get("suites", []))
    yield from _of_judge(policy, stated)


def of_items(policy: Policy, parsed: Mapping[str, tuple[suites.Item, ...]]) -> Iterator[Violation]:
    """What the items of the suites show, by name of suite: too few for what people shall do with them."""
    yield from _of_people(policy, parsed)
    yield from _of_labels(policy, parsed)


def not_taken(stated: Mapping[str, Any]) -> list[Violation]:
    """What the contract has and no version does: said, never skipped."""
    wrong = []
    for index, suite in enumerate(stated.get("suites", ())):
        if ("lmEval" in suite) is not (suite.get("kind") == SuiteKind.LM_EVAL):
            reason = "is set exactly on a suite of kind LM_EVAL"
            wrong.append(Violation(f"spec.evaluation.suites[{index}].lmEval", reason))
    for index, gate in enumerate(stated.get("gates", ())):
        if gate.get("queries"):
            reason = "is not taken; put the questions into a suite of kind HUMAN, and name that suite"
            wrong.append(Violation(f"spec.evaluation.gates[{index}].queries", reason))
    return wrong


def _of_judge(policy: Policy, stated: Mapping[str, Any]) -> Iterator[Violation]:
    """What a comparison by a judge lacks."""
    judge = stated.get("judge")
    judged = [index for index, gate in enumerate(policy.gates) if gate.judged]
    for index in judged:
        yield from _of_judged(policy, policy.gates[index], f"spec.evaluation.gates[{index}]")
        if not judge:
            yield Violation("spec.evaluation.judge", f"is missing, and gates[{index}] is judged")
    if any(gate.win_rate_above is not None for gate in policy.gates):
        if not judge:
            yield Violation("spec.evaluation.judge", "is missing, and a gate with winRateAbove needs one")
        elif not judge.get("calibration"):
            reason = "is missing: a judge counts only where it is shown to agree with experts; name a file of theirs"
            yield Violation("spec.evaluation.judge.calibration", reason)
    elif judge and not judged:
        reason = "no gate asks for a judge (winRateAbove on a suite of kind JUDGED, or judged on one of kind REFUSAL)"
        yield Violation("spec.evaluation.judge", reason)
    for index, suite in enumerate(policy.suites):
        if suite.name == judging.CALIBRATION:
            yield Violation(f"spec.evaluation.suites[{index}].name", "is the name of the judge's calibration")


def _of_judged(policy: Policy, gate: Gate, at: str) -> Iterator[Violation]:
    """What is wrong with a gate that a judge decides."""
    suite = next((one for one in policy.suites if one.name == gate.suite), None)
    if suite is not None and suite.kind is not SuiteKind.REFUSAL:
        yield Violation(f"{at}.judged", f"{gate.suite} is of kind {suite.kind}; a judge decides suites of kind REFUSAL")
    if gate.sample and gate.sample < refusal_judging.LEAST:
        reason = f"is {gate.sample}; a judge counts from {refusal_judging.LEAST} labels of each model and side on"
        yield Violation(f"{at}.sample", reason)


def _of_labels(policy: Policy, parsed: Mapping[str, tuple[suites.Item, ...]]) -> Iterator[Violation]:
    """Suites with too few prompts for people to label."""
    for index, gate in enumerate(policy.gates):
        if not gate.judged or gate.suite not in parsed:
            continue
        unsafe = sum(isinstance(item, Prompt) and item.unsafe for item in parsed[gate.suite])
        for side, count in (("refuse", unsafe), ("answer", len(parsed[gate.suite]) - unsafe)):
            if count < refusal_judging.LEAST:
                reason = (
                    f"{gate.suite} has {count} prompts to {side}; people label {refusal_judging.LEAST} answers or more "
                    "before a judge counts"
                )
                yield Violation(f"spec.evaluation.gates[{index}].judged", reason)


def _of_people(policy: Policy, parsed: Mapping[str, tuple[suites.Item, ...]]) -> Iterator[Violation]:
    """What would be found wrong only once people are asked, which may be weeks later."""
    rated = [index for index, suite in enumerate(policy.suites) if suite.kind is SuiteKind.HUMAN]
    for index in rated[1:]:
        yield Violation(f"spec.evaluation.suites[{index}].kind", "a run has one suite of kind HUMAN at most")
    for index, gate in enumerate(policy.gates):
        if gate.acceptable_at_least is None or gate.suite not in parsed:
            continue
        at, n = f"spec.evaluation.gates[{index}]", gate.sample or human.SAMPLE
        shown = lower_bound(n, n, confidence=policy.confidence)
        if len(parsed[gate.suite]) < n:
            count = len(parsed[gate.suite])
            yield Violation(f"{at}.sample", f"people shall rate {n} answers, and {gate.suite} has {count} questions")
        if shown < gate.acceptable_at_least or gate.acceptable_at_least >= 1:
            reason = f"{n} answers that are all correct prove {shown:.1%} only; rate more, or ask for less"
            yield Violation(f"{at}.acceptableAtLeast", reason)


def _taken_twice(stated: Sequence[Mapping[str, Any]]) -> list[Violation]:
    """Names that a suite which gates shares with one that chooses."""
    kinds: dict[str, set[bool]] = {}
    for suite in stated:
        kinds.setdefault(suite["name"], set()).add("development" in suite)
    return [Violation("spec.evaluation.suites", f"{name} is taken") for name, both in kinds.items() if len(both) > 1]


def parse_all(chosen: Sequence[Suite], contents: Mapping[str, bytes]) -> dict[str, tuple[suites.Item, ...]]:
    """The items of each suite by its name; InvalidInput with everything that cannot be read as its kind."""
    wrong: list[Violation] = []
    parsed: dict[str, tuple[suites.Item, ...]] = {}
    for suite in chosen:
        try:
            parsed[suite.name] = suites.parse(contents[suite.name], suite.kind, name=suite.name)
        except InvalidInput as error:
            wrong += error.violations or (Violation(suite.name, error.message),)
    if wrong:
        raise InvalidInput.of(wrong)
    return parsed
