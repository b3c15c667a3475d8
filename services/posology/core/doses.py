"""The doses of a sweep: what a spec asks for, what each is called, and the spec of one of them. Standard library only.

A spec is the JSON mapping of a FineTuneRunSpec with its defaults written.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from posology.core.errors import Violation

MOST = 64
Spec = Mapping[str, Any]
Dose = Mapping[str, Any]
"""The JSON mapping of the contract's Dose: only what it sets."""

_SHORT = {
    "rank": "rank",
    "learningRate": "rate",
    "epochs": "epochs",
    "maxSteps": "steps",
    "targetModules": "modules",
    "generalShare": "general share",
}
"""Every field of a dose, and what it is called in sentences, in this order."""


def doses_of(spec: Spec) -> list[Dose]:
    """The doses in the order of the list, or of the grid (the last field varies fastest); empty without a sweep."""
    sweep = spec.get("sweep", {})
    if listed := sweep.get("doses"):
        return [_tidy(dose) for dose in listed]
    fields = [field for field in _SHORT if sweep.get("grid", {}).get(field)]
    if not fields:
        return []
    values = [sweep["grid"][field] for field in fields]
    return [_tidy(dict(zip(fields, combination, strict=True))) for combination in itertools.product(*values)]


def label(dose: Dose) -> str:
    """`rank 8, rate 0.0002`."""
    parts = [f"{short} {_text(dose[field])}" for field, short in _SHORT.items() if field in dose]
    return ", ".join(parts) or "the recipe as it stands"


def dosed(spec: Spec, dose: Dose) -> dict[str, Any]:
    """The spec with the dose's values in its recipe, and without the sweep."""
    plain = {field: dose[field] for field in ("rank", "learningRate", "epochs", "maxSteps") if field in dose}
    sft = {**spec["training"]["sft"], **plain}
    if "epochs" in dose:
        sft.pop("maxSteps", None)
    if "targetModules" in dose:
        sft["targetModules"] = [name.strip() for name in dose["targetModules"].split(",")]
    one = {name: value for name, value in spec.items() if name != "sweep"}
    one["training"] = {**spec["training"], "sft": sft}
    if "generalShare" in dose:
        general = {**spec["curation"]["general"], "share": dose["generalShare"]}
        one["curation"] = {**spec["curation"], "general": general}
    return one


def heaviest(spec: Spec) -> dict[str, Any]:
    """The spec with the recipe that needs the most of a machine: what fits it, fits every dose.

    Of general rows it has the largest share, which holds those of every smaller one.
    """
    doses = doses_of(spec)
    if not doses:
        return dict(spec)
    numbers = ("rank", "generalShare")
    demand = {field: max(dose[field] for dose in doses if field in dose) for field in numbers if _any(doses, field)}
    if _any(doses, "targetModules"):
        sets = [dose["targetModules"] for dose in doses if "targetModules" in dose]
        demand["targetModules"] = max(sets, key=lambda one: (one.strip() == "all-linear", one.count(",")))
    return dosed(spec, demand)


def violations(spec: Spec) -> Iterator[Violation]:
    """What is wrong with a sweep that each of its values alone does not show; each names its field."""
    if "doseOf" in spec:
        yield Violation("spec.doseOf", "is written by the orchestrator on the runs of a sweep; leave it out")
    if "sweep" not in spec:
        return
    at = "spec.sweep.doses" if spec["sweep"].get("doses") else "spec.sweep.grid"
    doses = doses_of(spec)
    yield from _of_number(doses, at)
    yield from _of_recipe(spec, doses, at)
    yield from _of_suites(spec)


def _of_number(doses: list[Dose], at: str) -> Iterator[Violation]:
    if len(doses) < 2:
        yield Violation(at, f"gives {len(doses)} dose{'' if len(doses) == 1 else 's'}; a choice needs at least 2")
    if len(doses) > MOST:
        yield Violation(at, f"gives {len(doses)} doses; at most {MOST} are taken; name fewer values, or list them")
    for index, dose in enumerate(doses):
        if not dose:
            yield Violation(f"{at}[{index}]", f"sets nothing; a dose sets at least one of {', '.join(_SHORT)}")
        elif dose in doses[:index]:
            first = doses.index(dose)
            where = f"{at}[{index}]" if at.endswith("doses") else at
            yield Violation(where, f"{label(dose)} stands there twice (doses {first + 1} and {index + 1})")
    if at.endswith("grid") and any("epochs" in dose and "maxSteps" in dose for dose in doses):
        yield Violation(at, "must not vary both epochs and maxSteps")


def _of_recipe(spec: Spec, doses: list[Dose], at: str) -> Iterator[Violation]:
    if spec["training"]["sft"].get("method") == "FULL":
        for field in ("rank", "targetModules"):
            if _any(doses, field):
                yield Violation(f"{at}.{field}", "has no meaning with training.sft.method: FULL, which has no adapter")
    if _any(doses, "generalShare") and "general" not in spec["curation"]:
        yield Violation(f"{at}.generalShare", "needs curation.general.uri: where the general rows are taken from")


def _of_suites(spec: Spec) -> Iterator[Violation]:
    measured = {suite.get("development") for suite in spec["evaluation"].get("suites", [])}
    for kind, purpose in (
        ("BENEFIT", "what a dose is to gain"),
        ("SIDE_EFFECT", "what it may cost, and the prompts over which its intensity is measured"),
    ):
        if kind not in measured:
            yield Violation(
                "spec.evaluation.suites",
                f"a sweep needs a suite with development: {kind} ({purpose}), of items that no gate uses",
            )


def _tidy(dose: Dose) -> Dose:
    if "targetModules" not in dose:
        return dict(dose)
    return {**dose, "targetModules": ",".join(name.strip() for name in dose["targetModules"].split(","))}


def _any(doses: list[Dose], field: str) -> bool:
    return any(field in dose for dose in doses)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
