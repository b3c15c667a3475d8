"""Evidence as it is stored: one JSON line per item and model, `parity.json`, `engine.json`, `probes.json`.

Workers write what models did (scores, texts); what it means (right, refused, passed) is computed from it by
the control process each time, so a worker cannot claim an outcome.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from posology.core.errors import DataCorrupt
from posology.evaluation.domain import BASE, TUNED, Answer, Choice, Evidence, ParityStep, Policy, SuiteKind

ITEMS, PARITY, ENGINE, PROBES = "items.jsonl", "parity.json", "engine.json", "probes.json"


def line(suite: str, model: str, item: Choice | Answer) -> dict[str, Any]:
    """One item of one model as JSON; a score that is no number is null, for JSON has no NaN."""
    if isinstance(item, Choice):
        fields = {"answer": item.answer, "scores": [_number(score) for score in item.scores]}
    else:
        fields = {"unsafe": item.unsafe, "text": item.text, "finished": item.finished}
    return {"suite": suite, "model": model, "id": item.id, "cluster": item.cluster, **fields}


def write(lines: Iterable[Mapping[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)


def read_lines(content: bytes) -> list[dict[str, Any]]:
    """Every line of `items.jsonl`."""
    return [json.loads(text) for text in content.decode().splitlines() if text]


def evidence(lines: Iterable[Mapping[str, Any]], parity: Iterable[Mapping[str, Any]], policy: Policy) -> Evidence:
    """What gates compute from; DataCorrupt for lines of a suite or model that the policy does not have."""
    kinds = {suite.name: suite.kind for suite in policy.suites}
    choices: dict[str, dict[str, list[Choice]]] = {}
    answers: dict[str, dict[str, list[Answer]]] = {}
    for stored in lines:
        suite, model = stored["suite"], stored["model"]
        if suite not in kinds or model not in (BASE, TUNED):
            raise DataCorrupt(f"{ITEMS} has items of {suite!r} by {model!r}, which this evaluation does not have")
        if kinds[suite] is SuiteKind.MULTIPLE_CHOICE:
            choices.setdefault(suite, {}).setdefault(model, []).append(choice(stored))
        else:
            answers.setdefault(suite, {}).setdefault(model, []).append(answer(stored))
    return Evidence(choices, answers, tuple(ParityStep(**step) for step in parity))


def choice(stored: Mapping[str, Any]) -> Choice:
    """A multiple-choice line."""
    return Choice(stored["id"], stored["cluster"], stored["answer"], tuple(stored["scores"]))


def answer(stored: Mapping[str, Any]) -> Answer:
    """A line of a refusal suite."""
    return Answer(stored["id"], stored["cluster"], stored["unsafe"], stored["text"], stored["finished"])


def parity_json(steps: Iterable[ParityStep]) -> list[dict[str, Any]]:
    """The rungs of the ladder as JSON."""
    return [{name: _number(v) if isinstance(v, float) else v for name, v in asdict(step).items()} for step in steps]


def _number(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
