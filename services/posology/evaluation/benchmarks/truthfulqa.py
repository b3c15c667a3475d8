"""TruthfulQA as mc1: the best answer against all incorrect ones. Lin et al. 2022. CSV, or the JSON of mc1_targets."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, optional, question, spread, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item


def _from_csv(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        stem, best = text(record, "Question"), text(record, "Best Answer")
        wrong = [part.strip() for part in text(record, "Incorrect Answers").split(";") if part.strip()]
        choices, answer = spread(stem, best, list(dict.fromkeys(wrong)))
        return question(identity, stem, choices, answer, cluster=optional(record, "Category"))

    return one


def _from_json(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        stem, targets = text(record, "question"), _targets(record.get("mc1_targets"))
        right = [choice for choice, is_right in targets if is_right]
        if len(right) != 1:
            raise ValueError(f"mc1_targets marks {len(right)} right answers; it must be one")
        choices, answer = spread(stem, right[0], [choice for choice, is_right in targets if not is_right])
        return question(identity, stem, choices, answer)

    return one


def _targets(targets: object) -> list[tuple[str, bool]]:
    """[(option, is it right)] of `{option: 0 or 1}`, or of the hub's `{choices: [...], labels: [...]}`."""
    if isinstance(targets, dict) and isinstance(choices := targets.get("choices"), list):
        labels = targets.get("labels")
        pairs = (
            list(zip(choices, labels, strict=False)) if isinstance(labels, list) and len(labels) == len(choices) else []
        )
    else:
        pairs = list(targets.items()) if isinstance(targets, dict) else []
    if not pairs or not all(isinstance(choice, str) and label in (0, 1) for choice, label in pairs):
        raise ValueError("mc1_targets must give 0 or 1 for each option")
    return [(choice, label == 1) for choice, label in pairs]


CSV = Form(
    "truthfulqa",
    SuiteKind.MULTIPLE_CHOICE,
    "Question, Best Answer, Incorrect Answers",
    lambda fields: {"Question", "Best Answer", "Incorrect Answers"} <= fields,
    _from_csv,
)
JSON = Form(
    "truthfulqa (mc)",
    SuiteKind.MULTIPLE_CHOICE,
    "question, mc1_targets",
    lambda fields: {"question", "mc1_targets"} <= fields,
    _from_json,
)
