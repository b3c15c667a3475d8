"""The stage graph: what a spec asks for, and what each stage waits for."""

from collections.abc import Callable
from dataclasses import dataclass

from posology.orchestrator.domain import Spec, Stage

MAX_ATTEMPTS = 3
"""Attempts of a stage whose failures are worth a retry."""


@dataclass(frozen=True)
class Node:
    """One stage: when it is wanted, and which stages must be done first (those that are left out don't count)."""

    stage: str
    needs: Callable[[Spec], tuple[str, ...]]
    wanted: Callable[[Spec], bool] = lambda spec: True


def _always(*names: str) -> Callable[[Spec], tuple[str, ...]]:
    return lambda spec: names


def _sft_needs(spec: Spec) -> tuple[str, ...]:
    needs = ("base-model", "curate", "corrections", "general", "preflight", "baseline", "sweep")
    return needs if _at_once(spec) else (*needs, "review-data")


def _sweep_needs(spec: Spec) -> tuple[str, ...]:
    needs = ("base-model", "curate", "corrections", "general", "preflight", "baseline")
    return needs if _at_once(spec) else (*needs, "review-data")


def _at_once(spec: Spec) -> bool:
    return spec.get("startTraining") == "IMMEDIATELY"


def _is_no_dose(spec: Spec) -> bool:
    """A dose of a sweep ends with the scores that choose: the holdout is not for it."""
    return "doseOf" not in spec


def _people_are_asked(spec: Spec) -> bool:
    return _is_no_dose(spec) and any(
        "acceptableAtLeast" in gate for gate in spec.get("evaluation", {}).get("gates", ())
    )


def _answers_are_labelled(spec: Spec) -> bool:
    return _is_no_dose(spec) and any(gate.get("judged") for gate in spec.get("evaluation", {}).get("gates", ()))


def _is_compared_with_examples(spec: Spec) -> bool:
    return _is_no_dose(spec) and "baseline" in spec.get("evaluation", {})


GRAPH: tuple[Node, ...] = (
    Node("plan", _always()),
    Node("base-model", _always("plan")),
    Node("curate", _always("plan")),
    Node("corrections", _always("curate"), lambda spec: bool(spec["curation"].get("corrections"))),
    # Of their own, so that another share of them changes neither the data set nor its review.
    Node("general", _always("plan"), lambda spec: "general" in spec["curation"]),
    Node("preferences", _always("curate", "corrections"), lambda spec: "preferences" in spec["curation"]),
    # Before an expert reads a line: whatever training would refuse is refused here.
    Node("preflight", _always("base-model", "curate", "corrections", "general", "preferences")),
    # Nor does one read for a run that examples in the prompt make needless.
    Node("baseline", _always("base-model", "preflight"), _is_compared_with_examples),
    Node(
        "review-data",
        _always("curate", "corrections", "preflight", "baseline"),
        lambda spec: "review" in spec["curation"],
    ),
    Node(
        "review-preferences",
        _always("preferences", "preflight", "baseline"),
        lambda spec: "review" in spec["curation"].get("preferences", {}),
    ),
    Node("sweep", _sweep_needs, lambda spec: "sweep" in spec),
    Node("sft", _sft_needs),
    Node("dpo", _always("sft", "preferences", "review-preferences"), lambda spec: "dpo" in spec["training"]),
    Node("merge", _always("sft", "dpo")),
    Node("evaluate", _always("merge")),
    Node("labels", _always("evaluate"), _answers_are_labelled),
    Node("human", _always("evaluate", "labels"), _people_are_asked),
    Node("verdict", _always("evaluate", "labels", "human", "review-data", "review-preferences"), _is_no_dose),
    Node("deploy", _always("verdict"), lambda spec: "serving" in spec),
)


def stages_of(spec: Spec, graph: tuple[Node, ...] = GRAPH) -> tuple[Stage, ...]:
    """The stages that a spec asks for, waiting, in order."""
    return tuple(Stage(node.stage, position) for position, node in enumerate(graph) if node.wanted(spec))


def needs_of(stage: str, spec: Spec, graph: tuple[Node, ...] = GRAPH) -> tuple[str, ...]:
    """What must be done before `stage` may start."""
    return next(node.needs(spec) for node in graph if node.stage == stage)


def behind(stage: str, spec: Spec, graph: tuple[Node, ...] = GRAPH) -> frozenset[str]:
    """`stage` and every stage that needs it, directly or not."""
    reached = {stage}
    for node in graph:  # in order: what a stage needs stands before it
        if reached.intersection(node.needs(spec)):
            reached.add(node.stage)
    return frozenset(reached)
