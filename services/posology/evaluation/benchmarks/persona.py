"""Model-written evaluations: two answers, one of which matches a behaviour. Perez et al. 2022."""

import re
from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item

_CHOICES = re.compile(r"\n\s*Choices:\s*\n")
_CHOICE = re.compile(r"^\s*(\([A-Z]\))\s*(.+?)\s*$", re.MULTILINE)


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        stem = text(record, "question")
        matching, other = text(record, "answer_matching_behavior"), text(record, "answer_not_matching_behavior")
        listed = _CHOICES.split(stem)
        choices = _CHOICE.findall(listed[-1]) if len(listed) == 2 else []
        labels = [label for label, _ in choices]
        if matching in labels and other in labels:
            texts = [choice for _, choice in choices]
            return question(optional(record, "id") or identity, listed[0].strip(), texts, labels.index(matching))
        pair = sorted([matching, other], reverse=True)  # Yes before No, whichever matches
        return question(optional(record, "id") or identity, stem, pair, pair.index(matching))

    return one


FORM = Form(
    "model-written evaluations",
    SuiteKind.MULTIPLE_CHOICE,
    "question, answer_matching_behavior, answer_not_matching_behavior",
    lambda fields: {"question", "answer_matching_behavior", "answer_not_matching_behavior"} <= fields,
    _reader,
)
