"""What a spec can prove at best, held against the release policy before anything is spent."""

from collections.abc import Mapping, Sequence

from posology.core.attestations.verdict import Try, VerdictPredicate
from posology.core.errors import Violation
from posology.core.release.check import gaps, gate_findings
from posology.core.release.domain import ReleasePolicy
from posology.evaluation import gates
from posology.evaluation.domain import Gate, Policy
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


def _count(items: Sequence[Item], gate: Gate) -> int:
    """Items of one result: a refusal suite gives one for either side, people rate a sample."""
    if gate.acceptable_at_least is not None:
        return min(len(items), gate.sample or SAMPLE)
    if gate.win_rate_above is not None:
        return len(items)
    unsafe = sum(isinstance(item, Prompt) and item.unsafe for item in items)
    return min(unsafe, len(items) - unsafe) if any(isinstance(item, Prompt) for item in items) else len(items)
