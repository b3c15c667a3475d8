"""The custom resource ReleasePolicy: the document that is signed, its signature, and what the operator says of both."""

from collections.abc import Mapping

from charts.generate import custom_resource
from charts.generate.custom_resource import GENERATION, TEXT
from charts.generate.schema import Schema, Schemas

from posology.v1alpha1 import release_pb2 as contract

KIND, PLURAL = "ReleasePolicy", "releasepolicies"
_SPEC = contract.ReleasePolicySpec.DESCRIPTOR
_COLUMNS: list[Schema] = [
    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"},
    {"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].reason"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Digest", "type": "string", "jsonPath": ".status.digest", "priority": 1},
    {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
]
_SIGNATURE: Schema = {
    "type": "object",
    "description": "The DSSE envelope that `posology policy sign --manifest` puts here; without it nothing is obeyed.",
    "required": ["payload", "payloadType", "signatures"],
    "properties": {
        "payload": {**TEXT, "maxLength": 1_000_000},
        "payloadType": {**TEXT, "maxLength": 256},
        "signatures": {
            "type": "array",
            "maxItems": 8,
            "items": {
                "type": "object",
                "required": ["keyid", "sig"],
                "properties": {"keyid": {**TEXT, "maxLength": 128}, "sig": {**TEXT, "maxLength": 1024}},
            },
        },
    },
}


def definition(comments: Mapping[str, str]) -> Schema:
    """The CustomResourceDefinition."""
    return custom_resource.definition(KIND, PLURAL, columns=_COLUMNS, resource=_resource(comments))


def _resource(comments: Mapping[str, str]) -> Schema:
    status: Schema = {
        "type": "object",
        "description": "Written by the operator.",
        "properties": {
            "observedGeneration": GENERATION,
            "digest": {**TEXT, "description": "Of what was signed; by it a policy is withdrawn."},
            "signedBy": {**TEXT, "description": "Id of the key that signed it."},
            "message": {**TEXT, "description": "One sentence that says what is going on."},
            "conditions": custom_resource.conditions("Ready, Reconciling or Stalled, in the words of kstatus."),
        },
    }
    return {
        "type": "object",
        "description": f"{comments[_SPEC.full_name]} It counts in the namespace of the installation only, and only as "
        "it was signed.",
        "required": ["spec"],
        "properties": {
            "apiVersion": TEXT,
            "kind": TEXT,
            "metadata": {"type": "object"},
            "spec": {"description": comments[_SPEC.full_name], **Schemas(comments).message(_SPEC)},
            "signature": _SIGNATURE,
            "status": status,
        },
    }
