"""What the definitions of all custom resources have in common."""

from collections.abc import Sequence

from charts.generate.schema import Schema

GROUP, VERSION = "posology.dev", "v1alpha1"
TEXT: Schema = {"type": "string"}
GENERATION: Schema = {"type": "integer", "format": "int64"}
TIME: Schema = {"type": "string", "format": "date-time"}


def definition(
    kind: str, plural: str, *, columns: Sequence[Schema], resource: Schema, short_names: Sequence[str] = ()
) -> Schema:
    """The CustomResourceDefinition of a namespaced kind, with its status apart; Helm keeps it when it uninstalls."""
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": resource},
    }
    short = {"shortNames": list(short_names)} if short_names else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {**names, **short, "categories": ["posology"]},
            "versions": [version],
        },
    }


def conditions(types: str) -> Schema:
    """The list of conditions in a status; `types` says which there are."""
    condition = {
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {**TEXT, "description": types},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "observedGeneration": GENERATION,
            "lastTransitionTime": TIME,
            "reason": TEXT,
            "message": TEXT,
        },
    }
    return {
        "type": "array",
        "description": "What holds, with since when and why.",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
