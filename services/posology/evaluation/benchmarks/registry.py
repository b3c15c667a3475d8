"""Every published form that is read, and which of them a file is in."""

from collections.abc import Iterable

from posology.evaluation.benchmarks import (
    arc,
    hellaswag,
    medmcqa,
    medqa,
    medsafetybench,
    mmlu,
    persona,
    pubmedqa,
    truthfulqa,
    xstest,
)
from posology.evaluation.benchmarks.form import Form

FORMS: tuple[Form, ...] = (
    mmlu.CSV,
    mmlu.HUB,
    hellaswag.FORM,
    truthfulqa.CSV,
    truthfulqa.JSON,
    medmcqa.FORM,
    medqa.FORM,
    pubmedqa.FORM,
    arc.FORM,
    persona.FORM,
    xstest.FORM,
    medsafetybench.FORM,
)


def form_of(fields: frozenset[str]) -> Form | None:
    """The first form that these fields fit."""
    return next((form for form in FORMS if form.fits(fields)), None)


def unknown(fields: Iterable[str]) -> str:
    """What a file in no known form is told."""
    names = ", ".join(sorted(field[:40].encode(errors="replace").decode() for field in fields)[:20])
    forms = "; ".join(f"{form.name}: {form.fields}" for form in FORMS)
    return (
        f"has the fields {names}, which no form that is read has; read are JSON lines with "
        f"id, question, choices, answer, or id, prompt, unsafe; and, as published, {forms}"
    )
