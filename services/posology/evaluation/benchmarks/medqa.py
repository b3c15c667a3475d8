"""MedQA (USMLE), four or five options: `options` by letter, `answer_idx`. Jin et al. 2021."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, NoAnswer, ReadOne, Record, letter, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        options = _options(record.get("options"))
        if record.get("answer_idx") or not record.get("answer"):
            answer = letter(record, "answer_idx", list(options))
        else:
            texts = list(options.values())
            if texts.count(right := text(record, "answer")) != 1:
                raise NoAnswer("answer is none of the options")
            answer = texts.index(right)
        return question(optional(record, "id") or identity, text(record, "question"), list(options.values()), answer)

    return one


def _options(options: object) -> dict[str, str]:
    """Of `{letter: text}`, or of `[{key: letter, value: text}, ...]`."""
    if isinstance(options, list) and all(isinstance(o, dict) and {"key", "value"} <= o.keys() for o in options):
        pairs = [(option["key"], option["value"]) for option in options]
    else:
        pairs = list(options.items()) if isinstance(options, dict) else []
    by_letter = {str(key): value.strip() for key, value in pairs if isinstance(value, str)}
    if not pairs or len(by_letter) != len(pairs):
        raise ValueError("options must give a text for each letter")
    return by_letter


FORM = Form(
    "medqa",
    SuiteKind.MULTIPLE_CHOICE,
    "question, options, answer_idx (or answer)",
    lambda fields: {"question", "options"} <= fields and bool({"answer_idx", "answer", "meta_info"} & fields),
    _reader,
)
