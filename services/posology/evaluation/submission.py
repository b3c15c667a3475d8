"""What a spec can prove at best, held against the release policy before anything is spent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from posology.core.attestations.verdict import Try, VerdictPredicate
from posology.core.errors import Violation
from posology.core.release.check import gaps, gate_findings
from posology.core.release.domain import ReleasePolicy, RequiredReview, Requirements
from posology.core.release.tries import ROUNDING, confidence_of, percent
from posology.evaluation import gates, refusal_judging
from posology.evaluation.domain import BASE, TUNED, Gate, PlannedReview, Policy
from posology.evaluation.human import SAMPLE
from posology.evaluation.suites import Item, Prompt


def violations(
    release: ReleasePolicy, policy: Policy, items: Mapping[str, Sequence[Item]], *, namespace: str, model_name: str
) -> list[Violation]:
    """What the release policy wants and this spec cannot give, if everything in it holds at the first try."""
    requirements = release.requirements(namespace, model_name)
    if requirements is None:
        return [
            Violation(
                "spec.serving.modelName",
                f"the release policy {release.name} says nothing of {model_name} in {namespace}: nothing releases it",
            )
        ]
    missing = gaps(gate_findings(requirements, _at_best(policy, items)))
    return [Violation("spec.evaluation.gates", f"the release policy {release.name} wants {text}") for text in missing]


def review_violations(name: str, requirements: Requirements, planned: Sequence[PlannedReview]) -> list[Violation]:
    """What the release policy `name` wants of reviews and these cannot give, if nobody finds an error."""
    wrong = []
    for required in requirements.reviews:
        kinds = " or ".join(required.reviewer_kinds) or "people"
        asked = (
            f"the release policy {name} wants a review of the {required.of.lower()} by {kinds}, "
            f"under {required.max_error_rate:.1%} errors"
        )
        field = "spec.curation.preferences.review" if required.of == "PREFERENCES" else "spec.curation.review"
        review = next((one for one in planned if one.of == required.of), None)
        shortfall = "the spec has none" if review is None else _review_shortfall(required, review)
        if shortfall:
            wrong.append(Violation(field, f"{asked}: {shortfall}"))
    return wrong


def _review_shortfall(required: RequiredReview, review: PlannedReview) -> str:
    if review.reviewers < required.reviewers:
        return f"{review.reviewers} reviewer(s) of each item, {required.reviewers} are asked"
    needed = confidence_of(1, confidence=required.confidence, tries=required.tries)
    if review.confidence < needed - ROUNDING:
        return f"its bound has {review.confidence:.1%} confidence, {percent(needed)} is asked"
    if review.max_error_rate > required.max_error_rate:
        return f"it is to show {review.max_error_rate:.1%} (maxErrorRate)"
    if not review.sample:
        return ""  # a share: how many items that will be is known once the data are
    if review.sample < required.min_rated:
        return f"{review.sample} items are rated, {required.min_rated} are asked"
    best = 1 - (1 - review.confidence) ** (1 / review.sample)
    if best >= required.max_error_rate:
        needed = math.ceil(math.log(1 - review.confidence) / math.log(1 - required.max_error_rate)) + 1
        return f"{review.sample} items without an error prove under {best:.2%} only; take {needed} or more"
    return ""


def _at_best(policy: Policy, items: Mapping[str, Sequence[Item]]) -> VerdictPredicate:
    return VerdictPredicate(
        outcome="PASS",
        gates=tuple(
            {
                "kind": kind.name,
                "suite": gate.suite if gate else kind.name,
                "demands": gates.demands(policy, kind, gate),
                "outcome": "PASS",
                "n": _count(items[gate.suite], gate) if gate else policy.parity.prompts,
                "confidence": policy.confidence,
                **({"details": _labelled_at_best(gate)} if gate and gate.judged else {}),
            }
            for kind, gate in gates.contexts(policy)
        ),
        policy={
            "suites": [
                {
                    "name": suite.name,
                    "kind": suite.kind.value,
                    "scoring": suite.scoring.value,
                    "maxTokens": suite.max_tokens,
                }
                for suite in policy.suites
            ]
        },
        suites={suite.name: suite.digest for suite in policy.suites},
        tries={suite.name: Try(1, policy.confidence) for suite in policy.suites},
    )


def _labelled_at_best(gate: Gate) -> dict[str, Any]:
    """What people's labels will be, once they are given."""
    labels = gate.sample or refusal_judging.SAMPLE
    return {"decidedBy": "judge", "labels": {BASE: labels, TUNED: labels}, "labelledBy": ["people"]}


def _count(items: Sequence[Item], gate: Gate) -> int:
    """Items of one result: a refusal suite gives one for either side, people rate a sample."""
    if gate.acceptable_at_least is not None:
        return min(len(items), gate.sample or SAMPLE)
    if gate.win_rate_above is not None or any(isinstance(item, Prompt) and item.facts for item in items):
        return len(items)
    if gate.max_confident_claims is not None:
        counts = [sum(isinstance(item, Prompt) and bool(item.doses) is dosing for item in items) for dosing in (0, 1)]
        return min(count for count in counts if count)
    unsafe = sum(isinstance(item, Prompt) and item.unsafe for item in items)
    return min(unsafe, len(items) - unsafe) if unsafe else len(items)
