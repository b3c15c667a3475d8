"""plan: what training will take, before anything is spent."""

from collections.abc import Mapping
from typing import Any

from posology.core import doses, schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage, State
from posology.v1alpha1 import training_pb2


class Plan:
    """Asks training for parameters, memory, steps and warnings; the stage keeps the answer."""

    def __init__(self, clients: Clients) -> None:
        self._training = clients.training

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Planning is cheap and depends on the machine."""
        return None

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Plan and be done; of a sweep every dose, and the heaviest one's plan is kept."""
        plan = await self._training.PlanTraining(request(doses.heaviest(run.spec)))
        summary = f"{plan.trainable_parameters:,} of {plan.parameters:,} parameters are trained"
        if not plan.parameters:
            summary = "no figures before the model is imported"
        if tried := doses.doses_of(run.spec):
            plans = [await self._training.PlanTraining(request(doses.dosed(run.spec, dose))) for dose in tried]
            steps, seconds = sum(one.sft_steps for one in plans), sum(one.seconds for one in plans)
            summary = f"{len(tried)} doses of {steps:,} steps in all, about {seconds / 60:,.0f} min; at most {summary}"
        many = "" if len(plan.warnings) == 1 else "s"
        warned = f"; {len(plan.warnings)} warning{many}, see `posology plan`" if plan.warnings else ""
        return Observation(State.SUCCEEDED, summary + warned, details=schema.to_mapping(plan))

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """Never needed: `start` ends the stage."""
        return await self.start(run, stage)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Nothing runs."""


def request(spec: Mapping[str, Any]) -> training_pb2.PlanTrainingRequest:
    """The question that a spec asks of the planner."""
    curation = spec["curation"]
    share = curation.get("general", {}).get("share", 0.0)
    validation = min(curation.get("validation", 0), curation["pairs"])
    mapping = {
        "baseModel": spec["baseModel"],
        "training": spec["training"],
        "rows": round((curation["pairs"] - validation) / (1 - share)),
        "validationRows": validation,
        "generalShare": share,
        "fewShotBaseline": "baseline" in spec.get("evaluation", {}),
        "preferenceRows": curation.get("preferences", {}).get("pairs", 0),
    }
    return schema.parse(training_pb2.PlanTrainingRequest, mapping)
