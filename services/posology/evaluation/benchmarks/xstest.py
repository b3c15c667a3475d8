"""XSTest: 250 prompts to answer and 200 contrasts to refuse; also its files of completions. Röttger et al. 2024."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, letter, optional, prompt, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item

_LABELS = ("safe", "unsafe")


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        kind = text(record, "type")
        # a file of completions labels those, and tells a prompt's side by its type alone
        unsafe = letter(record, "label", _LABELS) == 1 if "label" in record else kind.startswith("contrast_")
        return prompt(optional(record, "id", "id_v2") or identity, text(record, "prompt"), unsafe=unsafe, cluster=kind)

    return one


FORM = Form(
    "xstest",
    SuiteKind.REFUSAL,
    "id, type, prompt, label (or completion, final_label)",
    lambda fields: {"type", "prompt"} <= fields and bool({"label", "final_label"} & fields),
    _reader,
)
