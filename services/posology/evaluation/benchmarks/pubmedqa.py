"""PubMedQA: an abstract, a question, and yes, no or maybe. Jin et al. 2019. The authors' JSON, or the hub's lines."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, letter, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item

_ANSWERS = ("yes", "no", "maybe")


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        field = "QUESTION" if "QUESTION" in record else "question"
        contexts = record.get("CONTEXTS", record.get("context"))
        if isinstance(contexts, dict):
            contexts = contexts.get("contexts")
        if not isinstance(contexts, list) or not all(isinstance(part, str) for part in contexts):
            raise ValueError("CONTEXTS must be a list of texts")
        return question(
            optional(record, "id", "pubid") or identity,
            text(record, field),
            _ANSWERS,
            letter(record, "final_decision", _ANSWERS),
            context=text({"CONTEXTS": "\n".join(contexts)}, "CONTEXTS"),
        )

    return one


FORM = Form(
    "pubmedqa",
    SuiteKind.MULTIPLE_CHOICE,
    "QUESTION, CONTEXTS, final_decision (or question, context, final_decision)",
    lambda fields: {"QUESTION", "CONTEXTS"} <= fields or {"question", "context", "final_decision"} <= fields,
    _reader,
)
