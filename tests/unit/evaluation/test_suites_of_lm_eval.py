"""Suites of lm-evaluation-harness as the service sees them: rows, a task, and the gates of choices."""

import json
from pathlib import Path

import pytest

from posology.core import schema
from posology.core.errors import InvalidInput
from posology.evaluation import admission, convert, gates, items, regressions, suites
from posology.evaluation.domain import BASE, TUNED, Choice, Gate, LmEvalTask, Outcome, Policy, Suite, SuiteKind
from posology.v1alpha1 import evaluation_pb2

SUITE = Suite("arc", "d", SuiteKind.LM_EVAL, lm_eval=LmEvalTask("arc_easy"))
ROWS = "".join(json.dumps({"id": f"a{i}", "question": f"Which is {i}?", "answerKey": "B"}) + "\n" for i in range(120))
PARQUET = Path(__file__).resolve().parents[2] / "support" / "published" / "mmlu-hub.parquet"


def choices(right: int) -> list[Choice]:
    return [Choice(str(i), "", 0, (0.0, -1.0) if i < right else (-1.0, 0.0)) for i in range(120)]


def test_rows_of_any_form_are_counted_and_the_longest_text_stands_for_each() -> None:
    rows = suites.parse(ROWS.encode(), SuiteKind.LM_EVAL, name="arc")
    assert (len(rows), rows[3].id, rows[3].prompt) == (120, "3", "Which is 3?")
    assert len(suites.records(PARQUET.read_bytes(), "mmlu")) == 3
    assert suites.parse(b"a,b\n1,2\n", SuiteKind.LM_EVAL, name="csv")[0].prompt in ("1", "2")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[1, 2]", b'{"a": 1}\nnothing\n', b"\xff\xfe"])
def test_a_file_without_rows_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"s|UTF-8"):
        suites.parse(content, SuiteKind.LM_EVAL, name="s")


def test_the_gates_of_choices_decide() -> None:
    policy = Policy((SUITE,), (Gate("arc", at_least=0.5, lower_bound_at_least=0.5, max_drop=0.1, min_gain=0.1),))
    lines = [items.line("arc", m, c) for m, right in ((BASE, 60), (TUNED, 100)) for c in choices(right)]
    evidence = items.evidence(items.read_lines(items.write(lines).encode()), [], policy)
    results = {r.kind: r.outcome for r in gates.decide(policy, evidence) if r.suite == "arc"}
    assert results == dict.fromkeys(("accuracy", "regression", "gain"), Outcome.PASS)


def test_what_was_lost_is_shown_by_its_row() -> None:
    rows = suites.parse(ROWS.encode(), SuiteKind.LM_EVAL, name="arc")
    found = regressions.of_suite(SUITE, rows, choices(60), choices(50))
    assert (found["lost"], found["items"][0]["prompt"]) == (10, "Which is 50?")


@pytest.mark.parametrize(
    ("suite", "wrong"),
    [
        ({"kind": "LM_EVAL", "lmEval": {"task": "arc_easy"}}, False),
        ({"kind": "LM_EVAL"}, True),
        ({"lmEval": {"task": "arc_easy"}}, True),
        ({"kind": "REFUSAL", "lmEval": {"task": "arc_easy"}}, True),
        ({}, False),
    ],
)
def test_a_task_belongs_to_its_kind(suite: dict[str, object], wrong: bool) -> None:
    stated = {"suites": [{"name": "arc", "uri": "file:///a", **suite}], "gates": []}
    message = schema.parse(evaluation_pb2.EvaluationSpec, stated)
    schema.apply_defaults(message)
    assert bool(admission.not_taken(schema.to_mapping(message))) is wrong
    policy = convert.policy_from_spec({"evaluation": schema.to_mapping(message)}, {})
    assert (policy.suites[0].lm_eval is not None) is ("lmEval" in suite)
