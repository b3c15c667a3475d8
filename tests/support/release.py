"""A release policy for tests, and the parts of a verdict that meet it."""

from pathlib import Path
from typing import Any

from posology.core.attestations.deny_list import DeniedDigest
from posology.core.canonical import canonical_json
from posology.core.release import document
from posology.core.release.deny_list import DenyList
from posology.core.release.domain import ReleasePolicy
from posology.core.signing import Signer

SUITE = "sha256:" + "5" * 64
ROOT, TUNED = "b" * 64, "a" * 64
"""Weight files of the root and of what was tuned."""


def policy_spec(**requirements: Any) -> dict[str, Any]:
    """A policy that asks for an accuracy and a parity of any base that no run made."""
    default = {
        "roots": {"anyBase": True},
        "suites": [
            {
                "name": "mcq",
                "digest": SUITE,
                "gates": [{"kind": "accuracy", "demands": {"atLeast": 0.6}, "minItems": 100}],
            }
        ],
        "gates": [{"kind": "parity", "demands": {"maxKl": 0.01}}],
        **requirements,
    }
    return document.checked({"default": default})


def policy(**requirements: Any) -> ReleasePolicy:
    """The same as the domain has it."""
    return document.policy_of("tests", policy_spec(**requirements))


def install(root: Path, *, name: str = "tests", **requirements: Any) -> None:
    """Sign it in a data directory."""
    signer = Signer.load_or_create(root / "keys" / f"{document.KEY}.key")
    (root / document.FILE).write_bytes(canonical_json(document.sign(name, policy_spec(**requirements), signer)))


def deny_list(*entries: DeniedDigest, number: int = 1) -> DenyList:
    """A verified list with these entries."""
    return DenyList("here", number, "", {entry.digest: entry for entry in entries})


def gate(kind: str = "accuracy", suite: str = "mcq", **fields: Any) -> dict[str, Any]:
    """A gate of a verdict that holds."""
    demands = {
        "accuracy": {"atLeast": 0.6},
        "gain": {"minGain": 0.25},
        "regression": {"maxDrop": 0.1},
        "refusal": {"maxDrop": 0.1},
        "parity": {"maxKl": 0.01, "minAgreement": 0.95},
    }[kind]
    return {
        "suite": suite,
        "metric": kind,
        "kind": kind,
        "outcome": "PASS",
        "n": 200,
        "confidence": 0.95,
        "demands": demands,
        "explanation": "shown",
        **fields,
    }


def proven(model_name: str = "labels", namespace: str = "default", **fields: Any) -> dict[str, Any]:
    """The JSON of a predicate that meets this policy, and the default of the development policy."""
    return {
        "outcome": "PASS",
        "namespace": namespace,
        "modelName": model_name,
        "weightFiles": [TUNED],
        "base": {"artifact": "sha256:" + "e" * 64, "weightFiles": [ROOT], "madeHere": False, "lineage": "ROOT"},
        "policy": {"suites": [{"name": "mcq"}, {"name": "safety", "kind": "REFUSAL"}]},
        "suites": {"mcq": SUITE, "safety": SUITE},
        "tries": {name: {"number": 1, "confidence": 0.95, "note": "try 1"} for name in ("mcq", "safety")},
        "gates": [gate(), gate("gain"), gate("regression"), gate("refusal", "safety"), gate("parity", "parity")],
        **fields,
    }
