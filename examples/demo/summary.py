"""What the demo found, as values: `summary.json`, and the tables at the end."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from examples.demo.follow import seconds, stage
from posology.client import Client
from posology.core.jobs.convert import struct_from_proto
from posology.v1alpha1 import curation_pb2, evaluation_pb2, training_pb2
from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

Values = dict[str, Any]
SUITE = "open-book"


async def summarise(client: Client, run: FineTuneRun) -> Values:
    """Everything that `summary.json` says of one run; what the run never reached is absent or empty."""
    verdict = await client.verdict_of(run)
    return {
        "run": run.name,
        "phase": FineTuneRun.Phase.Name(run.phase),
        "dataset": stage(run, "review-data").artifact or stage(run, "curate").artifact,
        "pairs": await _pairs(client, run),
        "losses": {name: await _losses(client, run, name) for name in ("sft", "dpo") if stage(run, name).resource},
        "mcq": await _choices(client, run),
        "gates": [_gate(found) for found in verdict.gates] if verdict else [],
        "verdict": Verdict.Outcome.Name(verdict.outcome) if verdict else "",
        "seconds": seconds(run),
    }


async def _pairs(client: Client, run: FineTuneRun) -> Values:
    request = curation_pb2.GetDatasetRequest(name=stage(run, "curate").resource)
    return struct_from_proto((await client.curation.GetDataset(request)).status.summary)


async def _losses(client: Client, run: FineTuneRun, name: str) -> Values:
    request = training_pb2.GetTrainingJobRequest(name=stage(run, name).resource)
    found = struct_from_proto((await client.training.GetTrainingJob(request)).status.summary)
    kept = ("steps", "train_loss", "eval_loss", "preference_accuracy", "tokens_per_second")
    return {key: found[key] for key in kept if key in found}


async def _choices(client: Client, run: FineTuneRun) -> Values:
    """Accuracy of base and tuned model on the open-book suite, each with its two-sided 95% interval and n."""
    name = stage(run, "evaluate").resource
    if not name:
        return {}
    found = await client.evaluation.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=name))
    suites: Values = struct_from_proto(found.status.summary).get("suites", {})
    return dict(suites.get(SUITE, {}))


def _gate(found: GateResult) -> Values:
    return {
        "suite": found.suite,
        "metric": found.metric,
        "outcome": Verdict.Outcome.Name(found.outcome),
        "n": found.n,
        "estimate": round(found.estimate, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "margin": found.margin,
        "method": found.method,
        "explanation": found.explanation,
    }


def stage_table(title: str, found: Values) -> Table:
    """Stages with their times."""
    table = Table(title=f"{title}: stages", title_justify="left")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for name, spent in found["seconds"].items():
        table.add_row(name, f"{spent:.1f}")
    if "everything" not in found["seconds"]:
        table.add_row("everything", f"{sum(found['seconds'].values()):.1f}", style="bold")
    return table


def gate_table(title: str, found: Values) -> Table:
    """Gates with their outcome and one sentence each."""
    table = Table(title=f"{title}: {found['verdict'] or 'no verdict'}", title_justify="left")
    for column in ("gate", "outcome", "n", "what was found"):
        table.add_column(column, justify="right" if column == "n" else "left")
    for gate in found["gates"]:
        colour = "green" if gate["outcome"] == "PASS" else "red"
        table.add_row(
            f"{gate['suite']} {gate['metric']}", f"[{colour}]{gate['outcome']}[/]", str(gate["n"]), gate["explanation"]
        )
    return table


def show(console: Console, title: str, found: Values) -> None:
    """Both tables, and the accuracy before and after."""
    console.print(stage_table(title, found))
    console.print(gate_table(title, found))
    for model in ("base", "tuned"):
        if one := found["mcq"].get(model):
            interval = f"{one['low']:.1%} to {one['high']:.1%}"
            console.print(f"{SUITE}, {model}: {one['accuracy']:.1%} right ({interval}), n={one['n']}")
