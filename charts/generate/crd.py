"""The custom resource FineTuneRun: its spec is the contract's, its status tells what `kubectl describe` should."""

from collections.abc import Mapping

from charts.generate import custom_resource
from charts.generate.schema import Schema, Schemas

from posology.v1alpha1 import orchestrator_pb2 as contract

KIND, PLURAL = "FineTuneRun", "finetuneruns"

_SWITCHES: dict[str, Schema] = {
    "cancel": {
        "type": "boolean",
        "description": "Stop the run and what it started; a deployment stays. One way: once true, it stays true.",
    },
    "suspend": {
        "type": "boolean",
        "description": "Check the spec, but don't submit it until this is false or gone. One way: a run that was "
        "submitted can't be suspended again.",
    },
}
_ONE_WAY: list[Schema] = [
    {
        "rule": "!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)",
        "message": "a cancelled run stays cancelled; submit a new one under another name",
        "fieldPath": ".cancel",
    },
    {
        "rule": "!(has(self.suspend) && self.suspend) || (has(oldSelf.suspend) && oldSelf.suspend)",
        "message": "was submitted already and can't be suspended again; set cancel to stop it",
        "fieldPath": ".suspend",
    },
]
_NAME: Schema = {
    "rule": "self.metadata.name.matches('^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')",
    "message": "metadata.name must be at most 63 lower-case letters, digits and hyphens, and start with a letter",
}
_COLUMNS: list[Schema] = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Stage", "type": "string", "jsonPath": ".status.stage"},
    {"name": "Queue", "type": "string", "jsonPath": ".status.queue"},
    {"name": "Verdict", "type": "string", "jsonPath": ".status.verdict"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Model", "type": "string", "jsonPath": ".spec.baseModel.uri", "priority": 1},
    {"name": "Submitter", "type": "string", "jsonPath": ".status.creator", "priority": 1},
    {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
]


def definition(comments: Mapping[str, str]) -> Schema:
    """The CustomResourceDefinition."""
    resource = _resource(comments)
    return custom_resource.definition(KIND, PLURAL, columns=_COLUMNS, resource=resource, short_names=["ftr"])


def _resource(comments: Mapping[str, str]) -> Schema:
    return {
        "type": "object",
        "description": f"{comments[contract.FineTuneRun.DESCRIPTOR.full_name]} {comments[_SPEC.full_name]}",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _spec(comments),
            "status": _status(comments),
        },
        "x-kubernetes-validations": [_NAME],
    }


_SPEC = contract.FineTuneRunSpec.DESCRIPTOR


def _spec(comments: Mapping[str, str]) -> Schema:
    found = Schemas(comments).message(_SPEC)
    fixed = [_immutable(field.json_name) for field in sorted(_SPEC.fields, key=lambda field: field.number)]
    rules = [*found.pop("x-kubernetes-validations"), *fixed, *_ONE_WAY]
    told = f"{comments[_SPEC.full_name]} It can't change, except that `suspend` ends and `cancel` begins."
    return {
        "description": told,
        **found,
        "properties": {**found["properties"], **_SWITCHES},
        "x-kubernetes-validations": rules,
    }


def _immutable(name: str) -> Schema:
    there, before = f"has(self.{name})", f"has(oldSelf.{name})"
    return {
        "rule": f"{there} == {before} && (!{there} || self.{name} == oldSelf.{name})",
        "message": "can't change; submit a new run under another name",
        "fieldPath": f".{name}",
    }


def _status(comments: Mapping[str, str]) -> Schema:
    stage = Schemas(comments, bounded=False).message(contract.Stage.DESCRIPTOR)
    text = {"type": "string"}
    time = {"type": "string", "format": "date-time"}
    properties = {
        "observedGeneration": {
            "type": "integer", "format": "int64", "description": "Generation of the spec that this status is about.",
        },
        "phase": {**text, "description": "Where the run stands, in a word."},
        "message": {**text, "description": "One sentence that says what is going on."},
        "stage": {**text, "description": "The stage that is at work, or that the run waits for or ended with."},
        "queue": {**text, "description": "The Kueue queue, and what it decided: Queued, Admitted or Preempted."},
        "verdict": {**text, "description": "PASS, FAIL, INSUFFICIENT_EVIDENCE or INVALID, once there is a verdict."},
        "run": {**text, "description": "The run's name in the API: `namespaces/{ns}/fineTuneRuns/{id}`."},
        "uid": {**text, "description": "The run's own uid, unique for ever."},
        "creator": {**text, "description": "Who submitted it."},
        "specSha256": {**text, "description": "sha256 of the spec with its defaults written out, hex."},
        "startTime": {**time, "description": "When it was submitted."},
        "endTime": {**time, "description": "When it ended."},
        "stages": {
            "type": "array", "description": "Every stage that the spec asks for, in order.", "items": stage,
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["stage"],
        },
        "links": {
            "type": "object", "additionalProperties": text,
            "description": "What the run made: dataset, adapter, model, evaluation, verdict (digests), deployment.",
        },
        "conditions": custom_resource.conditions(
            "Accepted, Admitted, Running, ReviewPending, Succeeded or Failed; Ready, "
            "Reconciling and Stalled say the same in the words of kstatus."
        ),
    }  # fmt: skip
    stage["required"] = ["stage"]
    return {"type": "object", "description": "Written by the operator.", "properties": properties}
