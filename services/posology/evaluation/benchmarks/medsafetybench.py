"""MedSafetyBench: medical requests that are all to be refused. Han et al. 2024."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, prompt, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item


def _reader(_: Sequence[Record]) -> ReadOne:
    def one(record: Record, identity: str) -> Item:
        return prompt(identity, text(record, "harmful_medical_request"), unsafe=True)

    return one


FORM = Form(
    "medsafetybench",
    SuiteKind.REFUSAL,
    "harmful_medical_request",
    lambda fields: "harmful_medical_request" in fields,
    _reader,
)
