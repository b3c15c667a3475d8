"""preflight: everything that training would meet, looked at before an expert reads or a GPU is taken."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from posology.core import schema
from posology.core.doses import heaviest
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage, State
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.curate import data_of
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import training_pb2


class Preflight:
    """Training looks at the rows as curation made them; reviewed rows are the same ones, or fewer."""

    def __init__(self, clients: Clients) -> None:
        self._training = clients.training

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Base, rows and the whole recipe, the machine included: memory is part of what is looked at."""
        return job(run)

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the look."""
        request = training_pb2.CreateTrainingJobRequest(
            parent=run.parent,
            training_job_id=resource_id(run, stage),
            spec=schema.parse(training_pb2.TrainingJobSpec, job(run)),
            request_id=request_id(run, stage),
        )
        return _observed(await self._training.CreateTrainingJob(request))

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the look stands."""
        return _observed(await self._training.GetTrainingJob(training_pb2.GetTrainingJobRequest(name=stage.resource)))

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._training.CancelTrainingJob(training_pb2.CancelTrainingJobRequest(name=stage.resource))


def job(run: Run) -> dict[str, Any]:
    """The TrainingJobSpec in its JSON mapping."""
    spec = heaviest(run.spec)  # before a sweep, what fits the heaviest dose fits each
    curation = spec["curation"]
    suites = spec["evaluation"].get("suites", [])
    by_letter = [s["name"] for s in suites if s.get("kind") == "MULTIPLE_CHOICE" and s.get("scoring") == "LETTER"]
    task = {
        "dataset": data_of(run),
        "training": spec["training"],
        "validationRows": curation.get("validation", 0),
        "generalShare": curation.get("general", {}).get("share", 0.0),
        "letterSuites": by_letter,
    }
    if general := run.artifact("general"):
        task["general"] = general
    if preferences := run.artifact("preferences"):
        task["preferences"] = preferences
    return {"baseModel": run.artifact("base-model"), "preflight": task}


def _observed(message: training_pb2.TrainingJob) -> Observation:
    observation = observed(message.name, message.status)
    if observation.state is not State.SUCCEEDED:
        return observation
    summary = schema.to_mapping(message.status.summary)
    return replace(observation, reason=_sentence(summary), details={"preflight": summary})


def _sentence(summary: Mapping[str, Any]) -> str:
    """Counts after the hold-out, lengths, memory; notes last."""
    asked = int(summary["validation_rows_asked_for"])
    validation = int(summary["validation_rows"])
    wanted = f" ({asked} were asked for)" if asked and asked != validation else ""
    sentence = (
        f"{int(summary['training_rows']):,} training rows, {validation:,} validation rows{wanted}, "
        f"longest {int(summary['longest_row']):,} tokens; about {int(summary['memory_mib']):,} MiB"
    )
    notes = summary.get("notes", [])
    return f"{sentence}; {len(notes)} note{'s' if len(notes) > 1 else ''}: {notes[0]}" if notes else sentence
