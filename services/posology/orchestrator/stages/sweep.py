"""sweep: several doses as runs of their own, and the choice among them on development items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from posology.core import audit, doses, schema
from posology.core.errors import NotFound
from posology.core.store import Database
from posology.orchestrator import repository, sweeps
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Phase, Run, Stage, State
from posology.orchestrator.sweeps import Curve
from posology.v1alpha1 import evaluation_pb2, training_pb2


@dataclass(frozen=True)
class _Tried:
    """One dose, and its run once it has one."""

    number: int
    dose: doses.Dose
    run: Run | None

    @property
    def label(self) -> str:
        return doses.label(self.dose)

    @property
    def ended(self) -> bool:
        return self.run is not None and self.run.phase.ended

    @property
    def working(self) -> bool:
        return self.run is not None and not self.run.phase.ended

    def resource(self, stage_name: str) -> str:
        """What does the work of a stage of its run; empty before."""
        stage = self.run.stage(stage_name) if self.run else None
        return stage.resource if stage else ""

    @property
    def stopped(self) -> str:
        """Why it has no scores, for people; empty if it has some, or may get some."""
        if self.run is None or self.run.phase not in (Phase.FAILED, Phase.CANCELLED):
            return ""
        return self.run.cancel_reason or self.run.message


class Sweep:
    """Begins runs, stops those that cannot win, and asks evaluation what the others are worth."""

    def __init__(self, clients: Clients, db: Database | None) -> None:
        self._training = clients.training
        self._evaluation = clients.evaluation
        self._db = db

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Each dose's stages are reused by themselves; the choice among them costs nothing."""
        return None

    async def start(self, run: Run, stage: Stage) -> Observation:
        """The first doses."""
        return await self.observe(run, stage)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """Begin what may begin, stop what cannot win, and choose when all have ended."""
        tried = await self._tried(run)
        if run.spec["sweep"]["stopEarly"]:
            await self._stop_early(tried)
        if await self._begin(run, tried):
            tried = await self._tried(run)
        before = {one["number"]: one for one in stage.details.get("window", {}).get("doses", ())}
        shown = [await self._shown(one, before.get(one.number, {})) for one in tried]
        if all(one.ended for one in tried):
            return await self._choose(run, tried, shown)
        ended, busy = sum(one.ended for one in tried), [one for one in tried if one.working]
        at_work = "; ".join(f"{one.label}: {one.run.message}" for one in busy if one.run)
        return Observation(
            State.RUNNING,
            f"{ended} of {len(tried)} doses are done" + (f"; {at_work}" if at_work else ""),
            resource=busy[0].run.name if busy and busy[0].run else run.name,
            progress={"done": ended, "total": len(tried), "message": f"{ended} of {len(tried)} doses are done"},
            details={"window": {"doses": shown}},
        )

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop every dose."""
        for one in await self._tried(run):
            if one.working and one.run:
                await self._cancel(one.run, run.cancel_reason or f"{run.run_id} ended")

    # --- runs ------------------------------------------------------------------------------------------

    async def _tried(self, run: Run) -> list[_Tried]:
        tried = []
        async with self._database.read() as tx:
            for number, dose in enumerate(doses.doses_of(run.spec), 1):
                try:
                    child = await repository.get(tx, run.namespace, sweeps.run_id_of(run, number))
                    tried.append(_Tried(number, dose, child))
                except NotFound:
                    tried.append(_Tried(number, dose, None))
        return tried

    async def _begin(self, run: Run, tried: Sequence[_Tried]) -> bool:
        """Store the runs of the next doses; a repeated pass finds them."""
        free = run.spec["sweep"]["parallel"] - sum(one.working for one in tried)
        begun = [one for one in tried if one.run is None][: max(0, free)]
        for one in begun:
            child = sweeps.dose_run(run, one.number, one.dose, at=datetime.now(UTC))
            async with self._database.begin() as tx:
                stored = await repository.create(tx, child)
                detail = {"spec_sha256": stored.spec_sha256, "dose_of": run.name}
                await audit.append(tx, actor=run.creator, action="run.create", subject=stored.name, detail=detail)
        return bool(begun)

    async def _cancel(self, run: Run, reason: str) -> None:
        async with self._database.begin() as tx:
            await repository.request_cancel(tx, run, reason)

    @property
    def _database(self) -> Database:
        assert self._db is not None
        return self._db

    # --- early stopping --------------------------------------------------------------------------------

    async def _stop_early(self, tried: Sequence[_Tried]) -> None:
        for one in tried:
            training = one.run.stage("sft") if one.run else None
            if not (one.working and one.run and training and training.resource and training.state is State.RUNNING):
                continue
            if one.run.cancel_reason:
                continue
            gentler = {
                other.label: await self._curve(other)
                for other in tried
                if other.run and other.resource("sft") and sweeps.is_gentler(other.run.spec, one.run.spec)
            }
            if reason := sweeps.reason_to_stop(await self._curve(one), gentler):
                await self._cancel(one.run, f"stopped early: {reason}")

    async def _curve(self, one: _Tried) -> Curve:
        job = await self._job(one)
        total = job.status.progress.total or max((metric.step for metric in job.validation), default=1)
        return Curve(tuple((metric.step / max(total, 1), metric.values["eval_loss"]) for metric in job.validation))

    async def _job(self, one: _Tried) -> training_pb2.TrainingJob:
        request = training_pb2.GetTrainingJobRequest(name=one.resource("sft"), validation=True)
        return await self._training.GetTrainingJob(request)

    # --- the choice ------------------------------------------------------------------------------------

    async def _choose(self, run: Run, tried: Sequence[_Tried], shown: list[dict[str, Any]]) -> Observation:
        comparison = await self._evaluation.CompareDoses(_comparison_of(run, tried))
        sentence = comparison.sentence + _cost(shown, comparison.recommended)
        window = {"comparison": schema.to_mapping(comparison), "doses": shown, "sentence": sentence}
        if not comparison.recommended:
            failure = Failure("FailedPrecondition", f"{sentence}. {_WHAT_NOW}")
            return Observation(
                State.FAILED, failure.message, resource=run.name, error=failure, details={"window": window}
            )
        details = {
            "window": window,
            "chosen": dict(tried[comparison.recommended - 1].dose),
            "tried": len(tried),
        }
        return Observation(State.SUCCEEDED, sentence, resource=run.name, details=details)

    async def _shown(self, one: _Tried, before: Mapping[str, Any]) -> dict[str, Any]:
        """A TriedDose in its JSON mapping; of one that had ended `before` nothing is asked again."""
        if one.run is not None and one.ended and before.get("phase") == one.run.phase.value:
            return dict(before)
        shown: dict[str, Any] = {"number": one.number, "label": one.label, "dose": dict(one.dose)}
        if one.run is None:
            return shown
        shown |= {"run": one.run.name, "phase": one.run.phase.value, "reason": one.stopped}
        shown |= {"seconds": round(sweeps.own_seconds(one.run), 1), "evaluation": one.resource("evaluate")}
        if one.resource("sft"):
            losses = [metric.values["eval_loss"] for metric in (await self._job(one)).validation]
            shown |= {"validationLoss": min(losses)} if losses else {}
        return shown


def _comparison_of(run: Run, tried: Sequence[_Tried]) -> evaluation_pb2.CompareDosesRequest:
    asked = run.spec["sweep"]
    return evaluation_pb2.CompareDosesRequest(
        parent=run.parent,
        doses=[
            evaluation_pb2.ComparedDose(
                number=one.number,
                label=one.label,
                evaluation="" if one.stopped else one.resource("evaluate"),
                stopped=one.stopped[:4000],
            )
            for one in tried
        ],
        margin=asked["margin"],
        max_drop=asked["maxDrop"],
        min_gain=asked["minGain"],
        confidence=run.spec["evaluation"]["confidence"],
    )


_WHAT_NOW = "To go on with one of them, set its values in the recipe and leave the sweep out: its training is reused"


def _cost(shown: Sequence[Mapping[str, Any]], recommended: int) -> str:
    """What the sweep took, and the recommended dose of it."""
    total = sum(one.get("seconds", 0.0) for one in shown)
    own = shown[recommended - 1].get("seconds", 0.0) if recommended else 0.0
    part = f", {_duration(own)} of it for this one" if recommended else ""
    return f"; {len(shown)} doses took {_duration(total)} of work{part}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
