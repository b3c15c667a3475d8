"""ARC: three to five options by label (letters or digits) and `answerKey`. Clark et al. 2018."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, letter, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        stem = record.get("question")
        nested = stem if isinstance(stem, dict) else {"stem": stem, "choices": record.get("choices")}
        labels, texts = _choices(nested.get("choices"))
        return question(
            optional(record, "id") or identity, text(nested, "stem"), texts, letter(record, "answerKey", labels)
        )

    return one


def _choices(choices: object) -> tuple[list[str], list[object]]:
    """Labels and texts of `[{label, text}, ...]`, or of the hub's `{label: [...], text: [...]}`."""
    if isinstance(choices, dict):
        labels, texts = choices.get("label"), choices.get("text")
    elif isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices):
        labels, texts = [c.get("label") for c in choices], [c.get("text") for c in choices]
    else:
        labels, texts = None, None
    if not isinstance(labels, list) or not isinstance(texts, list) or len(set(map(str, labels))) != len(texts):
        raise ValueError("choices must give a text for each label")
    return [str(label) for label in labels], texts


FORM = Form(
    "arc", SuiteKind.MULTIPLE_CHOICE, "question, choices, answerKey", lambda f: {"question", "answerKey"} <= f, _reader
)
