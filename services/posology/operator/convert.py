"""Runs between protobuf and custom resources."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from posology.client.specfile import API_VERSION, KIND, parse_run
from posology.core import names, schema
from posology.core.kube import Resource
from posology.core.times import rfc3339, utc_now
from posology.operator import domain
from posology.v1alpha1 import orchestrator_pb2 as pb

RUNS = Resource(API_VERSION, "finetuneruns")

_SWITCHES = ("cancel", "suspend")
"""Keys of a resource's spec that the run's spec does not have."""
_LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def name_of(resource: domain.Object) -> str:
    """The full name of the run that a resource stands for."""
    metadata = resource["metadata"]
    return f"namespaces/{metadata['namespace']}/fineTuneRuns/{metadata['name']}"


def claim_of(resource: domain.Object) -> domain.Claim:
    """Which run a resource may show and cancel."""
    metadata = resource["metadata"]
    noted = (resource.get("status") or {}).get("uid") or (metadata.get("annotations") or {}).get(domain.RUN_UID, "")
    return domain.Claim(name_of(resource), metadata["uid"], noted)


def place_of(run: pb.FineTuneRun) -> tuple[str, str]:
    """Namespace and name of the resource that stands for a run."""
    parts = names.parse(run.name, "fineTuneRuns")
    return parts.namespace, parts.id


def request_from(resource: domain.Object) -> pb.CreateRunRequest:
    """The request that a resource makes: the same for the same UID and generation, whoever sends it how often.

    InvalidInput lists everything that is wrong with the spec, as `posology validate` does.
    """
    metadata = resource["metadata"]
    spec = {key: value for key, value in (resource.get("spec") or {}).items() if key not in _SWITCHES}
    frame = {"name": metadata["name"], "namespace": metadata["namespace"], "labels": metadata.get("labels") or {}}
    file = parse_run({"apiVersion": API_VERSION, "kind": KIND, "metadata": frame, "spec": spec})
    request = file.request(request_id=f"{metadata['uid']}-{metadata['generation']}")
    request.labels[domain.RESOURCE_UID] = metadata["uid"]
    return request


def submitter_of(resource: domain.Object) -> str:
    """Who says to have submitted it; empty if nobody does."""
    return str((resource["metadata"].get("annotations") or {}).get(domain.SUBMITTED_BY, ""))


def resource_from(run: pb.FineTuneRun) -> dict[str, Any]:
    """The resource that shows a run which came through another door."""
    namespace, name = place_of(run)
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": _labels(run.labels),
        "annotations": {domain.RUN_UID: run.uid, domain.SUBMITTED_BY: run.creator},
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": schema.to_mapping(run.spec)}


def status_from(run: pb.FineTuneRun, resource: domain.Object, *, at: datetime | None = None) -> dict[str, Any]:
    """The status of a resource whose run stands like this."""
    shown = schema.to_mapping(run)
    stages = shown.get("stages", [])
    phase = shown.get("phase", "PENDING")
    status = {
        "phase": domain.camel(phase),
        "message": run.message,
        "stage": domain.current_stage(stages),
        "queue": domain.queue_of(shown.get("spec", {}), stages),
        "verdict": domain.verdict_of(stages),
        "run": run.name,
        "uid": run.uid,
        "creator": run.creator,
        "specSha256": run.spec_sha256,
        "startTime": shown.get("createTime"),
        "stages": stages,
        "links": domain.links_of(stages),
        **({"endTime": shown["endTime"]} if "endTime" in shown else {}),
    }
    return {**status, **conditions(resource, domain.conditions_of(phase, run.message), at=at)}


def refusal(resource: domain.Object, phase: str, held: tuple[domain.Condition, ...]) -> dict[str, Any]:
    """The status of a resource that has no run."""
    admitted = next(condition for condition in held if condition.type == "Admitted")
    return {"phase": phase, "message": admitted.message, **conditions(resource, held)}


def conditions(
    resource: domain.Object, held: tuple[domain.Condition, ...], *, at: datetime | None = None
) -> dict[str, Any]:
    """The part of a status that says what holds, for which generation."""
    before = (resource.get("status") or {}).get("conditions") or ()
    generation = resource["metadata"].get("generation", 1)
    now = rfc3339(at or utc_now())
    merged = domain.merged(before, held, generation=generation, at=now)
    return {"observedGeneration": generation, "conditions": merged}


def is_ended(run: pb.FineTuneRun) -> bool:
    """Whether nothing will happen to it any more."""
    return pb.FineTuneRun.Phase.Name(run.phase) in domain.ENDED


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those that Kubernetes can hold."""
    return {k: v for k, v in labels.items() if _LABEL_KEY.fullmatch(k) and _LABEL_VALUE.fullmatch(v)}
