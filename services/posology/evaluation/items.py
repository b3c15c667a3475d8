"""Evidence as it is stored: one JSON line per item and model, `parity.json`, `engine.json`, `probes.json`.

Workers write what models did (scores, texts); what it means (right, refused, passed) is computed from it by
the control process each time, so a worker cannot claim an outcome.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from posology.core.errors import DataCorrupt
from posology.evaluation.domain import (
    BASE,
    FEW_SHOT,
    TUNED,
    Answer,
    Choice,
    Evidence,
    ExactCheck,
    MergeProof,
    ParityStep,
    Policy,
    PromptParity,
    SuiteKind,
    TensorMerge,
)
from posology.evaluation.facts import holds

ITEMS, PARITY, ENGINE, PROBES = "items.jsonl", "parity.json", "engine.json", "probes.json"
PACE = "pace.json"
"""Seconds an item and model, by suite; evaluations of before 0.2 have none."""


def line(suite: str, model: str, item: Choice | Answer) -> dict[str, Any]:
    """One item of one model as JSON; a score that is no number is null, for JSON has no NaN."""
    if isinstance(item, Choice):
        fields = {"answer": item.answer, "scores": [_number(score) for score in item.scores]}
        fields |= {"after": [_number(score) for score in item.after]} if item.after else {}
    else:
        fields = {"unsafe": item.unsafe, "text": item.text, "finished": item.finished}
        fields |= {"facts": [list(fact) for fact in item.facts]} if item.facts else {}
        fields |= {"doses": list(item.doses)} if item.doses else {}
    return {"suite": suite, "model": model, "id": item.id, "cluster": item.cluster, **fields}


def write(lines: Iterable[Mapping[str, Any]]) -> str:
    """JSON lines, as one text."""
    return "".join(texts(lines))


def texts(lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """JSON lines, one after the other."""
    return (json.dumps(each, ensure_ascii=False, allow_nan=False) + "\n" for each in lines)


def read_lines(content: bytes) -> list[dict[str, Any]]:
    """Every line of `items.jsonl`."""
    return [json.loads(text) for text in content.decode().split("\n") if text]


def evidence(
    lines: Iterable[Mapping[str, Any]], parity: Mapping[str, Any] | list[Mapping[str, Any]], policy: Policy
) -> Evidence:
    """What gates compute from; DataCorrupt for lines of a suite or model that the policy does not have."""
    kinds = {suite.name: suite.kind for suite in policy.suites}
    choices: dict[str, dict[str, list[Choice]]] = {}
    answers: dict[str, dict[str, list[Answer]]] = {}
    for stored in lines:
        suite, model = stored["suite"], stored["model"]
        if suite not in kinds or model not in (BASE, TUNED, FEW_SHOT):
            raise DataCorrupt(f"{ITEMS} has items of {suite!r} by {model!r}, which this evaluation does not have")
        if kinds[suite].questions or kinds[suite] is SuiteKind.LM_EVAL:
            choices.setdefault(suite, {}).setdefault(model, []).append(choice(stored))
        elif kinds[suite] is SuiteKind.FACTS:
            choices.setdefault(suite, {}).setdefault(model, []).append(_held(answer(stored)))
        else:
            answers.setdefault(suite, {}).setdefault(model, []).append(answer(stored))
    steps, merge, exact = parity_from_json(parity)
    return Evidence(choices, answers, steps, merge, exact)


def choice(stored: Mapping[str, Any]) -> Choice:
    """A multiple-choice line."""
    scores, after = tuple(stored["scores"]), tuple(stored.get("after", ()))
    return Choice(stored["id"], stored["cluster"], stored["answer"], scores, after)


def answer(stored: Mapping[str, Any]) -> Answer:
    """A line of a refusal suite."""
    facts = tuple((str(value), bool(negated)) for value, negated in stored.get("facts", ()))
    rest = (facts, tuple(stored.get("doses", ())))
    return Answer(stored["id"], stored["cluster"], stored["unsafe"], stored["text"], stored["finished"], *rest)


def _held(stored: Answer) -> Choice:
    """An open answer as a choice between right and wrong, so that the gates of choices decide it."""
    return Choice(stored.id, stored.cluster, 0, (0.0, -1.0) if holds(stored.text, stored.facts) else (-1.0, 0.0))


def parity_json(
    steps: Iterable[ParityStep], merge: MergeProof | None = None, exact: Iterable[ExactCheck] = ()
) -> dict[str, Any]:
    """`parity.json`: the steps of the chain, the merge on the weights, and what must be equal exactly."""
    return {
        "steps": [_finite(asdict(step)) for step in steps],
        "merge": None if merge is None else _finite(asdict(merge)),
        "exact": [asdict(check) for check in exact],
    }


def parity_from_json(
    stored: Mapping[str, Any] | list[Mapping[str, Any]],
) -> tuple[tuple[ParityStep, ...], MergeProof | None, tuple[ExactCheck, ...]]:
    """The inverse of `parity_json`; a list is what was stored before there were controls."""
    if isinstance(stored, list):
        stored = {"steps": stored}
    steps = tuple(
        ParityStep(**{**step, "prompts": tuple(PromptParity(**one) for one in step.get("prompts", ()))})
        for step in stored["steps"]
    )
    merge = None
    if proof := stored.get("merge"):
        merge = MergeProof(tuple(TensorMerge(**one) for one in proof["tensors"]), tuple(proof["changed"]))
    return steps, merge, tuple(ExactCheck(**check) for check in stored.get("exact", ()))


def _finite(value: Any) -> Any:
    """`value` with null for every float that is no number, for JSON has no NaN."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return _number(value) if isinstance(value, float) else value


def _number(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
