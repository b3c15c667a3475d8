"""Protobuf <-> domain; the only file that knows both."""

from collections.abc import Mapping
from typing import Any

from posology.core import names
from posology.core.errors import InvalidInput, Violation
from posology.core.times import to_timestamp
from posology.serving.domain import Autoscaling, Deployment, DeploymentRequest, Plan, Rollout
from posology.serving.routing import Way, Ways
from posology.v1alpha1 import engine_pb2
from posology.v1alpha1 import serving_pb2 as pb

_ENGINE = (
    "dtype",
    "max_model_len",
    "enforce_eager",
    "seed",
    "generation_config",
    "gpu_memory_utilization",
    "max_num_seqs",
    "quantization",
)
"""Fields of the contract's engine configuration; the engine package calls them the same."""


def request_from_proto(request: pb.CreateDeploymentRequest) -> DeploymentRequest:
    return DeploymentRequest(
        namespace=names.namespace_of_parent(request.parent),
        id=request.deployment_id,
        model=request.model,
        verdict=request.verdict,
        plan=plan_from_proto(request.spec, fallback=request.run.rpartition("/")[2] or request.deployment_id),
        engine=engine_from_proto(request.engine) if request.HasField("engine") else None,
        run=request.run,
        request_id=request.request_id,
    )


def plan_from_proto(spec: pb.ServingSpec, *, fallback: str) -> Plan:
    """`fallback` names the model where the spec does not."""
    return Plan(
        model_name=spec.model_name or fallback,
        replicas=spec.replicas if spec.HasField("replicas") else 1,
        gpus=spec.gpus,
        rollout=Rollout.MANUAL if spec.rollout == pb.ServingSpec.MANUAL else Rollout.AUTO,
        canary=_canary(tuple(spec.canary.steps)) if spec.HasField("canary") else (),
        autoscaling=_autoscaling(spec.autoscaling) if spec.HasField("autoscaling") else None,
    )


def _autoscaling(asked: pb.Autoscaling) -> Autoscaling:
    return Autoscaling(
        most=asked.max_replicas,
        target=asked.target_queue if asked.HasField("target_queue") else 5,
        down_seconds=asked.scale_down_seconds if asked.HasField("scale_down_seconds") else 300,
    )


def _canary(steps: tuple[int, ...]) -> tuple[int, ...]:
    steps = steps or (5, 25, 100)
    if list(steps) != sorted(set(steps)) or steps[-1] != 100:
        raise InvalidInput.of([Violation("spec.canary.steps", "must rise and end at 100, like 5, 25, 100")])
    return steps


def engine_from_proto(engine: engine_pb2.EngineConfig) -> dict[str, Any]:
    """What the caller insists on: only the fields that are set."""
    return {field.name: value for field, value in engine.ListFields() if field.name in _ENGINE}


def engine_to_proto(engine: Mapping[str, Any]) -> engine_pb2.EngineConfig:
    return engine_pb2.EngineConfig(**{name: engine[name] for name in _ENGINE if name in engine})


def deployment_to_proto(deployment: Deployment, *, ready: int) -> pb.Deployment:
    return pb.Deployment(
        name=deployment.name,
        model=deployment.model,
        verdict=deployment.verdict,
        model_name=deployment.plan.model_name,
        spec=_plan_to_proto(deployment.plan),
        engine=engine_to_proto(deployment.engine),
        state=pb.Deployment.State.Value(str(deployment.state)),
        reason=deployment.reason,
        ready_replicas=ready,
        traffic_percent=deployment.traffic,
        run=deployment.run,
        create_time=to_timestamp(deployment.created_at),
        ready_time=to_timestamp(deployment.ready_at),
        wanted_replicas=deployment.wanted,
        policy=deployment.policy,
    )


def _plan_to_proto(plan: Plan) -> pb.ServingSpec:
    return pb.ServingSpec(
        replicas=plan.replicas,
        gpus=plan.gpus,
        canary=pb.Canary(steps=plan.canary) if plan.canary else None,
        rollout=pb.ServingSpec.Rollout.Value(str(plan.rollout)),
        model_name=plan.model_name,
        autoscaling=_autoscaling_to_proto(plan.autoscaling) if plan.autoscaling else None,
    )


def _autoscaling_to_proto(rule: Autoscaling) -> pb.Autoscaling:
    return pb.Autoscaling(max_replicas=rule.most, target_queue=rule.target, scale_down_seconds=rule.down_seconds)


def routes_to_proto(ways: Ways) -> pb.RouteTable:
    return pb.RouteTable(version=ways.version, routes=map(_route, ways.ways))


def _route(way: Way) -> pb.Route:
    deployment = way.deployment
    return pb.Route(
        model_name=deployment.plan.model_name,
        deployment=deployment.name,
        agents=way.agents,
        token=deployment.token,
        traffic_percent=deployment.traffic,
        model=deployment.model,
        verdict=deployment.verdict,
        run=deployment.run,
        dataset=deployment.dataset,
        max_model_len=deployment.max_model_len,
        create_time=to_timestamp(deployment.created_at),
        policy=deployment.policy,
    )
