"""Whether a signed verdict shows what a release policy asks for: one line for each requirement. Pure; works offline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posology.core.attestations.review import ReviewPredicate
from posology.core.attestations.verdict import VerdictPredicate
from posology.core.release.domain import (
    DecidedGate,
    ReleasePolicy,
    RequiredGate,
    RequiredReview,
    RequiredSuite,
    Requirements,
    demands_met,
)
from posology.core.release.tries import ROUNDING, confidence_of, percent

_LEAST_LABELS = 100
"""Of each model, before a judge of refusals counts."""


@dataclass(frozen=True)
class Finding:
    """One requirement, and what the verdict shows of it."""

    requirement: str
    met: bool
    shown: str


def findings(
    policy: ReleasePolicy,
    verdict: VerdictPredicate,
    *,
    reviews: Sequence[ReviewPredicate] = (),
    bases: Mapping[str, VerdictPredicate] | None = None,
) -> list[Finding]:
    """Every requirement of the policy for the verdict's namespace and model name.

    `reviews` are the verdict's review statements and `bases` the verdicts on derived bases by digest of their
    weights; the caller has verified the signatures of both.
    """
    requirements = policy.requirements(verdict.namespace, verdict.model_name)
    where = f"{verdict.model_name or 'a model without a name'} in {verdict.namespace or 'no namespace'}"
    if requirements is None:
        return [Finding("a policy", False, f"the policy {policy.name} says nothing of {where}, so nothing releases it")]
    lines = [Finding("a model name", bool(verdict.model_name), where)]
    lines += [_root(requirements, verdict)]
    lines += [_derived(policy, one.model, bases or {}) for one in verdict.derived]
    lines += gate_findings(requirements, verdict)
    lines += [_review(one, verdict, reviews) for one in requirements.reviews]
    lines += [Finding("no FAIL that stands", False, text) for text in verdict.unanswered]
    return lines


def gate_findings(requirements: Requirements, verdict: VerdictPredicate) -> list[Finding]:
    """One line for each gate that is required."""
    lines = [_gate(requirements, suite, gate, verdict) for suite in requirements.suites for gate in suite.gates]
    return lines + [_gate(requirements, None, gate, verdict) for gate in requirements.gates]


def gaps(lines: Iterable[Finding]) -> list[str]:
    """What is not met, as sentences."""
    return [f"{line.requirement}: {line.shown}" for line in lines if not line.met]


def _root(requirements: Requirements, verdict: VerdictPredicate) -> Finding:
    base, files = verdict.base, frozenset(verdict.base.weight_files)
    allowed = ", ".join(root.name or sorted(root.weight_files)[0][:12] for root in requirements.roots)
    if requirements.any_base:
        allowed = f"{allowed} or " if allowed else ""
        allowed += "any base that no run of this installation made"
    wanted = f"gates compare with a root ({allowed})"
    if not files:
        return Finding(wanted, False, "the verdict names no weight files of a base")
    own = frozenset(verdict.weight_files)
    listed = any(root.weight_files == files for root in requirements.roots)
    # Tuning may leave shards alone: those are the base's and the candidate's. Where nothing shows that one was made
    # from the other, a shared file is rather a candidate beside itself.
    if own <= files or (files & own and base.lineage != "ROOT" and not listed):
        return Finding(
            wanted, False, f"{base.artifact} holds weight files of the candidate: it was compared with itself"
        )
    if base.lineage == "OTHER":
        return Finding(
            wanted, False, f"compared with {base.artifact}, which is not the root that the weights come from"
        )
    for root in requirements.roots:
        if root.weight_files == files:
            return Finding(wanted, True, f"compared with {root.name or base.artifact}")
    if requirements.any_base and not base.made_here and base.lineage == "ROOT":
        return Finding(wanted, True, f"compared with {base.artifact}, which no run made")
    why = "a run of this installation made its weights" if base.made_here else "its weight files are not among them"
    if requirements.any_base and base.lineage == "UNKNOWN" and not base.made_here:
        why = "nothing shows that the weights come from it"
    return Finding(wanted, False, f"compared with {base.artifact}: {why}")


def _derived(policy: ReleasePolicy, model: str, bases: Mapping[str, VerdictPredicate]) -> Finding:
    wanted = f"a PASS of its own for the base {model[:19]}"
    verdict = bases.get(model)
    if verdict is None:
        return Finding(wanted, False, "it has none; evaluate it against its root and release it first")
    if verdict.outcome != "PASS":
        return Finding(wanted, False, f"its verdict is {verdict.outcome}")
    missing = gaps(findings(policy, verdict, bases={k: v for k, v in bases.items() if k != model}))
    missing = [one for one in missing if not one.startswith("a review of")]  # it was checked when that one was released
    return Finding(wanted, not missing, "; ".join(missing) or f"PASS as {verdict.model_name}")


def _gate(
    requirements: Requirements, suite: RequiredSuite | None, gate: RequiredGate, verdict: VerdictPredicate
) -> Finding:
    names = _suites(suite, verdict) if suite is not None else None
    wanted = _words(suite, gate)
    if names is not None and not names:
        digest = f" with the digest {suite.digest}" if suite and suite.digest else ""
        return Finding(wanted, False, f"no suite of kind {suite.kind if suite else ''}{digest} was scored as asked")
    shortfalls = []
    results = [r for r in verdict.gates if r.get("kind") == gate.kind and (names is None or r.get("suite") in names)]
    for name in sorted({str(r.get("suite")) for r in results}):
        of_suite = [r for r in results if r.get("suite") == name and demands_met(gate.demands, r.get("demands", {}))]
        shortfall = _shortfall(requirements, name, gate, of_suite, verdict)
        if not shortfall:
            return Finding(wanted, True, str(of_suite[0].get("explanation", "PASS")))
        shortfalls.append(shortfall if of_suite else _looser(gate, name, results))
    return Finding(wanted, False, "; ".join(shortfalls) or f"no gate of kind {gate.kind} was decided")


def _looser(gate: RequiredGate, suite: str, results: Sequence[Mapping[str, Any]]) -> str:
    stated = [_demands(r.get("demands", {})) for r in results if r.get("suite") == suite]
    return f"{suite}: decided with {' and '.join(dict.fromkeys(stated)) or 'no demand'} only"


def _shortfall(
    requirements: Requirements,
    suite: str,
    gate: RequiredGate,
    results: Sequence[Mapping[str, Any]],
    verdict: VerdictPredicate,
) -> str:
    """Why these results do not meet the gate; empty if they do."""
    if not results:
        return "no result"
    for result in results:
        if result.get("outcome") != "PASS":
            return f"{suite} {result.get('metric', '')} is {result.get('outcome')}"
        if gate.kind == "refusal" and not requirements.classifier and (reason := _not_judged(result)):
            return f"{suite}: {reason}"
        if int(result.get("n", 0)) < gate.min_items:
            return f"{suite} has {result.get('n', 0)} items, at least {gate.min_items} are asked"
    if not _has_suite(suite, verdict):
        return ""  # it belongs to no suite: nothing was tried on items
    one = verdict.tries.get(suite)
    if one is None or one.number < 1:
        return f"{suite}: the verdict does not say which try it was"
    needed = confidence_of(one.number, confidence=requirements.confidence, tries=requirements.tries)
    for result in results:
        if needed >= 1 or float(result.get("confidence", 0)) < needed - ROUNDING:
            return (
                f"{suite}: try {one.number} must be decided at {percent(needed)} confidence, "
                f"it was at {percent(float(result.get('confidence', 0)))}"
            )
    return ""


def _not_judged(result: Mapping[str, Any]) -> str:
    """Why no judge model decided that people's labels corrected; empty if one did."""
    details = result.get("details")
    if not isinstance(details, Mapping) or details.get("decidedBy") != "judge":
        return (
            "decided by the classifier that ships, which counts under the policy development alone; set judged on the "
            "gate, and name a judge"
        )
    labels = details.get("labels")
    counts = [int(labels.get(model, 0)) for model in ("base", "tuned")] if isinstance(labels, Mapping) else [0]
    if min(counts) < _LEAST_LABELS:
        return f"a judge decided, and people labelled {min(counts)} answers of a model; {_LEAST_LABELS} are asked"
    kinds = details.get("labelledBy") or ["nobody"]
    if any("not an expert" in str(kind) or kind in ("nobody", "not stated") for kind in kinds):
        return f"a judge decided, and {', '.join(map(str, kinds))} labelled its answers: people do, and say as what"
    return ""


def _suites(required: RequiredSuite, verdict: VerdictPredicate) -> set[str]:
    """Names of the verdict's suites that are what is required, scored as required."""
    names = set()
    for suite in verdict.policy.get("suites", ()):
        name = suite.get("name", "")
        if required.digest and verdict.suites.get(name) != required.digest:
            continue
        if suite.get("kind", "MULTIPLE_CHOICE") != required.kind:
            continue
        if required.scoring and suite.get("scoring", "LETTER") != required.scoring:
            continue
        if int(suite.get("maxTokens", 64)) >= required.min_tokens:
            names.add(name)
    return names


def _has_suite(name: str, verdict: VerdictPredicate) -> bool:
    return name in verdict.suites


def _review(required: RequiredReview, verdict: VerdictPredicate, reviews: Sequence[ReviewPredicate]) -> Finding:
    kinds = " or ".join(required.reviewer_kinds)
    wanted = f"a review of the {required.of.lower()} by {kinds or 'people'}, under {required.max_error_rate:.1%} errors"
    key = "preferences" if required.of == "PREFERENCES" else "dataset"
    shown = []
    # Every set that training read; an earlier verdict names all that lay behind, of which one counts.
    alternatives: list[Sequence[str]] = [[one] for one in verdict.learnt.get(key, ())]
    for sets in alternatives or [verdict.lineage.get(key, ())]:
        met, text = _reviewed(required, sets, reviews)
        if not met:
            return Finding(wanted, False, text)
        shown.append(text)
    return Finding(wanted, True, "; ".join(shown))


def _reviewed(required: RequiredReview, sets: Sequence[str], reviews: Sequence[ReviewPredicate]) -> tuple[bool, str]:
    """Whether one of these sets was reviewed as asked, and what shows it, or what lacks."""
    shortfalls = []
    for review in (one for one in reviews if one.artifact in sets):
        shortfall = _review_shortfall(required, review)
        if not shortfall:
            again = f", {review.attempt.note}" if review.attempt and review.attempt.number > 1 else ""
            return True, f"{review.errors} errors in {review.rated}, under {review.upper_bound:.2%}{again}"
        shortfalls.append(shortfall)
    return False, "; ".join(shortfalls) or "the verdict carries none"


def _review_shortfall(required: RequiredReview, review: ReviewPredicate) -> str:
    if review.result != "PASS":
        return "it did not pass"
    strangers = set(review.reviewer_kinds) - set(required.reviewer_kinds)
    if required.reviewer_kinds and strangers:
        return f"it was made by {', '.join(sorted(strangers))}"
    if not review.reviewer_kinds:
        return "it does not say by whom"
    if int(review.policy.get("reviewers", 0)) < required.reviewers:
        return f"{review.policy.get('reviewers', 0)} reviewer(s) of each item, {required.reviewers} are asked"
    if float(review.policy.get("confidence", 0)) < required.confidence:
        return f"its bound has {float(review.policy.get('confidence', 0)):.1%} confidence"
    if shortfall := _try_shortfall(required, review):
        return shortfall
    if review.rated < required.min_rated:
        return f"{review.rated} items were rated, {required.min_rated} are asked"
    if not review.upper_bound < required.max_error_rate:
        return f"it proves an error rate under {review.upper_bound:.2%} only"
    return ""


def _try_shortfall(required: RequiredReview, review: ReviewPredicate) -> str:
    """Why this try of the set is not decided as strictly as it must be; one that was signed before tries were counted
    is a first one."""
    attempt = review.attempt
    number, confidence = 1, float(review.policy.get("confidence", 0))
    if attempt is not None:
        number, confidence = attempt.number, attempt.confidence
        limit = float(review.policy.get("max_error_rate", 1))
        if limit > required.max_error_rate:
            return f"it was to show {limit:.1%}, so that tries of less were not counted"
    needed = confidence_of(max(number, 1), confidence=required.confidence, tries=required.tries)
    if needed >= 1:
        return f"it was try {number} of {required.tries} that the policy allows"
    if number < 1 or confidence < needed - ROUNDING:
        return f"try {number} must be decided at {percent(needed)} confidence, it was at {percent(confidence)}"
    return ""


def _words(suite: RequiredSuite | None, gate: RequiredGate) -> str:
    where = f" on {suite.name or suite.digest[:19] or 'a suite'}" if suite else ""
    least = f", at least {gate.min_items} items" if gate.min_items else ""
    return f"{gate.kind}{where} ({_demands(gate.demands)}{least})"


def _demands(demands: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(demands.items())) or "no demand"


def decided(verdict: VerdictPredicate) -> tuple[DecidedGate, ...]:
    """The gates of a verdict, for comparing what two verdicts asked for."""
    return tuple(
        DecidedGate(
            str(gate.get("kind", "")),
            verdict.suites.get(str(gate.get("suite", "")), ""),
            {**gate.get("demands", {}), **_scored(verdict, str(gate.get("suite", "")))},
            float(gate.get("confidence", 0)),
            # Without a suite n is what the engine happened to generate.
            int(gate.get("n", 0)) if gate.get("suite", "") in verdict.suites else 0,
        )
        for gate in verdict.gates
    )


def _scored(verdict: VerdictPredicate, name: str) -> dict[str, float]:
    """Room for an answer counts as a demand: with less of it, the same items show less."""
    for suite in verdict.policy.get("suites", ()):
        if suite.get("name") == name and suite.get("kind") == "REFUSAL":
            return {"tokens": float(suite.get("maxTokens", 64))}
    return {}
