"""What stands in the way of asking people: gates that a machine finds not to hold."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from posology.orchestrator.domain import Run
from posology.v1alpha1 import evaluation_pb2, evaluation_pb2_grpc
from posology.v1alpha1.evaluation_pb2 import Verdict

KIND = "human"
"""Kind of the gate that people decide."""


async def open_gates(
    evaluation: evaluation_pb2_grpc.EvaluationAsyncStub, run: Run, *, statements: tuple[str, ...] = ()
) -> list[str]:
    """Gates that do not hold, but those of people and those that wait for their labels.

    Asking for a verdict without signing it uses no suite.
    """
    evaluate = run.stage("evaluate")
    request = evaluation_pb2.IssueVerdictRequest(
        parent=run.parent,
        evaluation=evaluate.resource if evaluate else "",
        statements=statements,
        validate_only=True,
    )
    verdict = await evaluation.IssueVerdict(request)
    missing = [gate for gate in verdict.gates if gate.outcome != Verdict.PASS and not _waits(gate)]
    return [f"{gate.suite} is {Verdict.Outcome.Name(gate.outcome)}" for gate in missing]


def _waits(gate: evaluation_pb2.GateResult) -> bool:
    return gate.kind == KIND or ("waitsForLabels" in gate.details and bool(gate.details["waitsForLabels"]))
