"""HellaSwag: a beginning and four endings. Zellers et al. 2019. Laid out as lm-evaluation-harness does."""

import re
from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, number, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        endings = record.get("endings")
        if not isinstance(endings, list) or not all(isinstance(ending, str) for ending in endings):
            raise ValueError("endings must be a list of texts")
        return question(
            optional(record, "ind") or identity,
            _clean(text(record, "ctx")),
            [_clean(ending) for ending in endings],
            number(record, "label"),
            cluster=optional(record, "source_id"),
        )

    return one


def _clean(passage: str) -> str:
    """Without WikiHow's marks: `[title]` ends a sentence, other brackets go."""
    return re.sub(r" {2,}", " ", re.sub(r"\[[^\]\n]{0,40}\]", "", passage.replace(" [title]", ". "))).strip()


FORM = Form(
    "hellaswag",
    SuiteKind.MULTIPLE_CHOICE,
    "ctx, endings, label",
    lambda fields: {"ctx", "endings"} <= fields,
    _reader,
)
