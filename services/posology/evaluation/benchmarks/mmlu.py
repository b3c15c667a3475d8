"""MMLU: CSV without a header (question, four options, letter), or the hub's JSON lines. Hendrycks et al. 2021."""

import re
from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, letter, number, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item

_LETTERS = ("A", "B", "C", "D")
_PASSAGE = re.compile(r"This question refers to the following information\.\s*(.{1,200})", re.DOTALL)


def _from_csv(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        stem = text(record, "question")
        passage = _PASSAGE.match(stem)
        return question(
            identity,
            stem,
            [record.get(column) for column in _LETTERS],
            letter(record, "answer", _LETTERS),
            cluster=passage[1] if passage else "",
        )

    return one


def _from_hub(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        choices = record.get("choices")
        if not isinstance(choices, list):
            raise ValueError("choices must be a list")
        return question(
            identity, text(record, "question"), choices, number(record, "answer"), cluster=optional(record, "subject")
        )

    return one


CSV = Form(
    "mmlu",
    SuiteKind.MULTIPLE_CHOICE,
    "question, A, B, C, D, answer (the header may be missing)",
    lambda fields: {"question", *_LETTERS, "answer"} <= fields,
    _from_csv,
)
HUB = Form(
    "mmlu (hub)",
    SuiteKind.MULTIPLE_CHOICE,
    "question, subject, choices, answer",
    lambda fields: {"question", "subject", "choices", "answer"} <= fields and "id" not in fields,
    _from_hub,
)
