"""Development items: what a suite that chooses among doses must be, and its scores as a dose of the window."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posology.core.artifacts import ArtifactStore
from posology.core.errors import InvalidInput, Violation
from posology.core.jobs.domain import Job
from posology.evaluation import items
from posology.evaluation.domain import Answer, Choice, Development, Paired, Suite, SuiteKind
from posology.evaluation.gates.refusal import answered, one_side, score, withheld
from posology.evaluation.pairs import pair, problem
from posology.evaluation.suites import Item
from posology.evaluation.window import Dose

INTENSITY = "intensity.json"
"""Of a development evaluation's artifact: `mean_kl` (nats per token), `tokens`, `prompts`."""
_MOST_NAMED = 3


@dataclass(frozen=True)
class ComparedDose:
    """One dose of a request: its evaluation, or why there is none."""

    number: int
    label: str
    evaluation: str = ""
    stopped: str = ""


def violations(
    stated: Sequence[Mapping[str, Any]], parsed: Mapping[str, Sequence[Item]], gated: Sequence[Mapping[str, Any]]
) -> Iterator[Violation]:
    """What is wrong with the suites of a spec (JSON mapping), some of which choose and some of which gate.

    The holdout proves something about a dose only while nothing of it chose that dose.
    """
    choosing = {suite["name"] for suite in stated if "development" in suite}
    for index, gate in enumerate(gated):
        if gate["suite"] in choosing:
            yield Violation(
                f"spec.evaluation.gates[{index}].suite",
                f"{gate['suite']} holds development items, which choose a dose; gate on another suite",
            )
    holdout = {_form(item): name for name, found in parsed.items() if name not in choosing for item in found}
    for index, suite in enumerate(stated):
        at = f"spec.evaluation.suites[{index}]"
        if suite["name"] not in choosing:
            continue
        if suite["development"] == Development.BENEFIT and suite.get("kind") == SuiteKind.REFUSAL:
            yield Violation(f"{at}.development", "is BENEFIT on a refusal suite; a benefit is measured on questions")
        kind = SuiteKind(suite.get("kind", SuiteKind.MULTIPLE_CHOICE))
        if not (kind.questions or kind is SuiteKind.REFUSAL):
            reason = f"is set on a suite of kind {kind.value}; doses are chosen by questions and refusals alone"
            yield Violation(f"{at}.development", reason)
        shared = [item for item in parsed.get(suite["name"], ()) if _form(item) in holdout]
        if shared:
            named = ", ".join(f"{item.id} ({holdout[_form(item)]})" for item in shared[:_MOST_NAMED])
            yield Violation(
                f"{at}.uri",
                f"{len(shared)} of its items stand in a suite that gates: {named}; the holdout may not choose the dose "
                "that it then proves, so take them out of one of the two",
            )


def dose_of(compared: ComparedDose, suites: Sequence[Suite], artifacts: ArtifactStore, job: Job) -> Dose:
    """The stored scores of a dose; items that prove nothing leave it without scores, with the reason. Blocking."""
    with artifacts.open(job.artifact, items.ITEMS) as stored:
        lines = items.read_lines(stored.read())
    with artifacts.open(job.artifact, INTENSITY) as stored:
        intensity = json.loads(stored.read())["mean_kl"]
    benefit: list[Paired] = []
    effects: dict[str, tuple[Paired, ...]] = {}
    for suite in suites:
        for name, pairs in _pairs(suite, [line for line in lines if line["suite"] == suite.name]):
            if isinstance(pairs, str):
                return Dose(compared.number, compared.label, stopped=f"{name} proves nothing: {pairs}")
            if suite.development is Development.BENEFIT:
                benefit += [Paired(f"{name}/{p.id}", f"{name}/{p.cluster}", p.base, p.tuned) for p in pairs]
            else:
                effects[name] = pairs
    return Dose(compared.number, compared.label, intensity, tuple(benefit), effects)


def check_comparable(jobs: Mapping[int, Job]) -> None:
    """InvalidInput unless all are development evaluations of one base on the same items."""
    wrong = []
    first: dict[str, Any] | None = None
    for index, job in jobs.items():
        spec = job.spec["spec"]
        if not spec.get("development"):
            wrong.append(Violation(f"doses[{index}].evaluation", f"{job.name} is no development evaluation"))
            continue
        about = {"base": spec["baseModel"], "suites": job.spec["digests"]}
        first = first or about
        if about != first:
            wrong.append(
                Violation(f"doses[{index}].evaluation", f"{job.name} has another base or other items than the first")
            )
    if wrong:
        raise InvalidInput.of(wrong)


def _pairs(suite: Suite, lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[Paired, ...] | str]]:
    """What is compared of a suite, by name; a text says why it cannot be."""
    if suite.kind.questions:
        choices: dict[str, list[Choice]] = {}
        for line in lines:
            choices.setdefault(line["model"], []).append(items.choice(line))
        yield suite.name, problem(choices) or pair(choices, lambda choice: choice.correct)
        return
    answers: dict[str, list[Answer]] = {}
    for line in lines:
        answers.setdefault(line["model"], []).append(items.answer(line))
    if reason := problem(answers):
        yield suite.name, reason
        return
    for side, unsafe, wanted in (("unsafe-compliance", True, withheld), ("safe-refusal", False, answered)):
        scored = score(one_side(answers, unsafe=unsafe), wanted)
        yield f"{suite.name}/{side}", tuple(scored.pairs) or "none of its answers could be scored"


def _form(item: Item) -> str:
    """The form in which two items are the same question."""
    return " ".join(item.prompt.casefold().split())
