"""MedMCQA: four options and `cop`, 1 to 4 in the authors' files and 0 to 3 on the hub. Pal et al. 2022."""

from collections.abc import Sequence

from posology.evaluation.benchmarks.form import Form, ReadOne, Record, number, optional, question, text
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item

_OPTIONS = ("opa", "opb", "opc", "opd")


def _reader(records: Sequence[Record]) -> ReadOne:
    first = _first(records)

    def one(record: Record, identity: str) -> Item:
        return question(
            optional(record, "id") or identity,
            text(record, "question"),
            [record.get(option) for option in _OPTIONS],
            number(record, "cop") - first,
            cluster=optional(record, "subject_name"),
        )

    return one


def _first(records: Sequence[Record]) -> int:
    """0 or 1: how the file counts. A guess would give every item a wrong answer."""
    counted = {str(record.get("cop")) for record in records}
    if {"0", "4"} <= counted:
        raise ValueError("cop is 0 in one record and 4 in another: whether it counts from 0 or from 1 cannot be told")
    if "0" in counted:
        return 0
    if "4" in counted or not counted & {"1", "2", "3"}:
        return 1
    raise ValueError("cop is never 0 and never 4: whether it counts from 0 or from 1 cannot be told; take more records")


FORM = Form(
    "medmcqa",
    SuiteKind.MULTIPLE_CHOICE,
    "question, opa, opb, opc, opd, cop",
    lambda fields: {"question", *_OPTIONS} <= fields,
    _reader,
)
