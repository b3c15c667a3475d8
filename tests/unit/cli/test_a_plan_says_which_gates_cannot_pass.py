"""A plan carries what the evaluation service says of the gates, and does without where that may not be asked."""

from types import SimpleNamespace
from typing import Any

import pytest

from posology.client import Client
from posology.core.errors import PermissionDenied, Unavailable
from posology.v1alpha1 import evaluation_pb2, orchestrator_pb2, training_pb2


def client(answer: evaluation_pb2.EvaluationJob | Exception) -> Any:
    """What of a client a plan needs; its evaluation service gives `answer`."""

    async def create(request: evaluation_pb2.CreateEvaluationRequest) -> evaluation_pb2.EvaluationJob:
        assert request.validate_only
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def plan(_: Any) -> training_pb2.TrainingPlan:
        return training_pb2.TrainingPlan(warnings=["of training"])

    fake = SimpleNamespace(
        names=SimpleNamespace(parent="namespaces/n"),
        evaluation=SimpleNamespace(CreateEvaluation=create),
        training=SimpleNamespace(PlanTraining=plan),
    )
    fake._evaluation_of = lambda spec, name: Client._evaluation_of(fake, spec, name)  # type: ignore[arg-type]
    return fake


async def warnings(answer: evaluation_pb2.EvaluationJob | Exception) -> list[str]:
    spec = orchestrator_pb2.FineTuneRunSpec()
    return list((await Client._plan(client(answer), spec, "run")).warnings)


async def test_what_gates_cannot_show_stands_behind_what_training_warns_of() -> None:
    job = evaluation_pb2.EvaluationJob(warnings=["mcq cannot pass"])
    assert await warnings(job) == ["of training", "evaluation: mcq cannot pass"]


async def test_who_may_not_ask_gets_a_plan_all_the_same_and_is_told() -> None:
    told = await warnings(PermissionDenied("you may not create jobs"))
    assert told == ["of training", "evaluation: which gates can pass was not asked: you may not create jobs"]


async def test_a_service_that_is_away_is_no_plan_without_warnings() -> None:
    with pytest.raises(Unavailable):
        await warnings(Unavailable("evaluation is away"))
