"""verdict: what the evaluation proves, signed; anything but PASS ends the run."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.core.errors import Internal, Retryable
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.people import KIND as HUMAN
from posology.v1alpha1 import audit_pb2, evaluation_pb2
from posology.v1alpha1.evaluation_pb2 import Verdict as VerdictMessage

_SIGNED_STAGES = ("review-data", "review-preferences", "sft", "dpo", "merge", "labels", "human")
_LINEAGE = (
    "base-model",
    "curate",
    "corrections",
    "general",
    "review-data",
    "preferences",
    "review-preferences",
    "sft",
    "dpo",
    "merge",
    "evaluate",
)
_SECONDS = 5.0
"""That a service gets to say how its chain ends."""
_REGRESSION = ("regression", "refusal", "sycophancy")
"""Kinds of gate that compare with the base."""


class Verdict:
    """Evaluation recomputes every gate from its items and signs."""

    def __init__(self, clients: Clients) -> None:
        self._evaluation = clients.evaluation
        self._audits = clients.audits

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Never reused: every verdict is a use of the holdout and is counted."""
        return None

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the verdict; it comes at once."""
        evaluate = run.stage("evaluate")
        statements = [s.details.get("statement", "") for s in run.stages if s.stage in _SIGNED_STAGES]
        request = evaluation_pb2.IssueVerdictRequest(
            parent=run.parent,
            verdict_id=resource_id(run, stage),
            evaluation=evaluate.resource if evaluate else "",
            statements=[s for s in statements if s],
            lineage=[digest for name in _LINEAGE if (digest := run.artifact(name))],
            request_id=request_id(run, stage),
            doses_tried=sweep.details["tried"] if (sweep := run.stage("sweep")) else 0,
            audit_chains=await self._chains(),
        )
        return _observed(await self._evaluation.IssueVerdict(request))

    async def _chains(self) -> list[audit_pb2.AuditHead]:
        """The end of every other chain now; the verdict anchors them. Raises Unavailable while a service is away.

        The gateway's holds no evidence about weights and may be out of reach: without it the verdict is signed too.
        """
        heads: list[audit_pb2.AuditHead] = []
        for service, stub in self._audits.items():
            try:
                request = audit_pb2.ListAuditHeadsRequest(parent="namespaces/-")
                heads += (await stub.ListAuditHeads(request, timeout=_SECONDS)).heads
            except Retryable:
                if service != "gateway":
                    raise
            except Internal:  # a service of an earlier version; verify will say that its chain is not anchored
                continue
        return [head for head in heads if head.service != "evaluation"]  # which writes down its own as it signs

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """Read the verdict again."""
        found = await self._evaluation.GetVerdict(evaluation_pb2.GetVerdictRequest(name=stage.resource))
        return _observed(found)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """A verdict takes no time."""


def _observed(verdict: VerdictMessage) -> Observation:
    gates = [schema.to_mapping(gate) for gate in verdict.gates]
    details: dict[str, Any] = {"gates": gates, "outcome": VerdictMessage.Outcome.Name(verdict.outcome)}
    if verdict.outcome == VerdictMessage.PASS:
        said = f"PASS: all {len(gates)} gates are shown to hold"
        return Observation(State.SUCCEEDED, said, verdict.artifact, verdict.name, details=details)
    failed = [gate for gate in verdict.gates if gate.outcome != VerdictMessage.PASS]
    said = f"{details['outcome']}: " + "; ".join(f"{gate.suite}: {gate.explanation}" for gate in failed)
    # A lower dose answers what is shown to be lost, and nothing else: not too few items, not a harness at fault.
    # People who were never asked say nothing of it either.
    details["onlyRegression"] = verdict.outcome == VerdictMessage.FAIL and all(
        gate.outcome == VerdictMessage.FAIL and gate.kind in _REGRESSION
        for gate in failed
        if gate.kind != HUMAN or gate.n
    )
    error = Failure("NotReleased", said)
    return Observation(State.FAILED, said, verdict.artifact, verdict.name, error=error, details=details)
