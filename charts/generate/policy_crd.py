"""The custom resource ReleasePolicy: the document that is signed, its signature, and what the operator says of both."""

from collections.abc import Mapping

from charts.generate.crd import GROUP, VERSION
from charts.generate.schema import Schema, Schemas

from posology.v1alpha1 import release_pb2 as contract

KIND, PLURAL = "ReleasePolicy", "releasepolicies"
_TEXT: Schema = {"type": "string"}
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
        "payload": {**_TEXT, "maxLength": 1_000_000},
        "payloadType": {**_TEXT, "maxLength": 256},
        "signatures": {
            "type": "array",
            "maxItems": 8,
            "items": {
                "type": "object",
                "required": ["keyid", "sig"],
                "properties": {"keyid": {**_TEXT, "maxLength": 128}, "sig": {**_TEXT, "maxLength": 1024}},
            },
        },
    },
}
_CONDITION: Schema = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": {**_TEXT, "description": "Ready, Reconciling or Stalled, in the words of kstatus."},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "observedGeneration": {"type": "integer", "format": "int64"},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "reason": _TEXT,
        "message": _TEXT,
    },
}


def definition(comments: Mapping[str, str]) -> Schema:
    """The CustomResourceDefinition."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _COLUMNS,
        "schema": {"openAPIV3Schema": _resource(comments)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "categories": ["posology"],
            },
            "versions": [version],
        },
    }


def _resource(comments: Mapping[str, str]) -> Schema:
    status: Schema = {
        "type": "object",
        "description": "Written by the operator.",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "digest": {**_TEXT, "description": "Of what was signed; by it a policy is withdrawn."},
            "signedBy": {**_TEXT, "description": "Id of the key that signed it."},
            "message": {**_TEXT, "description": "One sentence that says what is going on."},
            "conditions": {
                "type": "array", "description": "What holds, with since when and why.", "items": _CONDITION,
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            },
        },
    }  # fmt: skip
    return {
        "type": "object",
        "description": f"{comments[_SPEC.full_name]} It counts in the namespace of the installation only, and only as "
        "it was signed.",
        "required": ["spec"],
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": {"type": "object"},
            "spec": {"description": comments[_SPEC.full_name], **Schemas(comments).message(_SPEC)},
            "signature": _SIGNATURE,
            "status": status,
        },
    }
