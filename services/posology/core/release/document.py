"""The policy as a document: YAML that people write, the JSON that is signed, and the domain's types."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from posology.core import schema, signing
from posology.core.canonical import canonical_digest
from posology.core.errors import FailedPrecondition, InvalidInput, Violation
from posology.core.release.domain import (
    Override,
    ReleasePolicy,
    RequiredGate,
    RequiredReview,
    RequiredSuite,
    Requirements,
    Root,
)
from posology.v1alpha1 import evaluation_pb2, release_pb2

DEVELOPMENT = "development"
"""Name of the policy for trying things out; all that it releases is marked with it."""
API_VERSION, KIND = "posology.dev/v1alpha1", "ReleasePolicy"
PREDICATE_TYPE = "https://posology.dev/release-policy/v1alpha1"
FILE = "release-policy.dsse.json"
"""Name of the signed policy in an installation's data directory, and in the ConfigMap of a cluster."""
KEY = "release-policy"
"""Name of the key that signs it: `release-policy.key`, `release-policy.pub`."""
_NOT_DEMANDS = frozenset({"suite", "metric", "queries", "sample", "raters"})


class NoPolicy(FailedPrecondition):
    """The installation has no release policy that can be believed, so nothing is released."""


def parse(text: str, *, origin: str) -> tuple[str, dict[str, Any]]:
    """Name and spec (JSON mapping, defaults written) of a policy's YAML; InvalidInput with everything that is wrong."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"{origin} is not YAML: {error}") from error
    if not isinstance(document, Mapping):
        raise InvalidInput(f"{origin}: a policy is a mapping with apiVersion, kind, metadata and spec")
    wrong = [
        Violation(key, "is no field of a policy")
        for key in set(document) - {"apiVersion", "kind", "metadata", "spec", "signature", "status"}
    ]
    if document.get("apiVersion") != API_VERSION:
        wrong.append(Violation("apiVersion", f"must be {API_VERSION}"))
    if document.get("kind") != KIND:
        wrong.append(Violation("kind", f"must be {KIND}"))
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        wrong.append(Violation("metadata.name", "must be a text"))
    if wrong:
        raise InvalidInput.of(wrong)
    return str(name), checked(document.get("spec") or {})


def checked(spec: object) -> dict[str, Any]:
    """The spec with its defaults; InvalidInput lists everything that is wrong."""
    message = schema.parse(release_pb2.ReleasePolicySpec, spec)
    schema.apply_defaults(message)
    schema.validate(message, at="spec")
    mapping = schema.to_mapping(message)
    if wrong := _wrong_demands(mapping):
        raise InvalidInput.of(wrong)
    return mapping


def _wrong_demands(spec: Mapping[str, Any]) -> list[Violation]:
    known = {f.json_name for f in evaluation_pb2.Gate.DESCRIPTOR.fields if f.name not in _NOT_DEMANDS}
    known |= {f.json_name for f in evaluation_pb2.Parity.DESCRIPTOR.fields}
    wrong = []
    places = [("spec.default", spec.get("default", {}))]
    places += [
        (f"spec.overrides[{i}].requirements", o["requirements"]) for i, o in enumerate(spec.get("overrides", ()))
    ]
    for at, requirements in places:
        gates = [(f"{at}.gates[{i}]", gate) for i, gate in enumerate(requirements.get("gates", ()))]
        for i, suite in enumerate(requirements.get("suites", ())):
            gates += [(f"{at}.suites[{i}].gates[{j}]", gate) for j, gate in enumerate(suite.get("gates", ()))]
        for place, gate in gates:
            for name in sorted(set(gate.get("demands", {})) - known):
                wrong.append(
                    Violation(f"{place}.demands.{name}", f"is no demand; there are {', '.join(sorted(known))}")
                )
    return wrong


def sign(name: str, spec: Mapping[str, Any], signer: signing.Signer) -> signing.Envelope:
    """The signed policy."""
    predicate = {"name": name, "spec": dict(spec)}
    subjects = {name: canonical_digest(predicate)}
    return signer.sign(signing.statement(PREDICATE_TYPE, subjects, predicate))


def load(path: Path, keys: Sequence[Path], *, revoked: frozenset[str] = frozenset()) -> ReleasePolicy:
    """The policy signed in `path`, read anew; NoPolicy says why there is none to be believed."""
    try:
        envelope = json.loads(path.read_text())
    except FileNotFoundError:
        raise NoPolicy(
            f"this installation has no release policy ({path} is not there), so nothing is released; "
            "sign one with `posology policy sign`"
        ) from None
    except (OSError, ValueError) as error:
        raise NoPolicy(f"the release policy {path} can't be read ({error}), so nothing is released") from error
    trusted = [signing.PublicKey.load(key) for key in keys]
    return verified(envelope, [key for key in trusted if key.id not in revoked])


def verified(envelope: Mapping[str, Any], keys: Sequence[signing.PublicKey]) -> ReleasePolicy:
    """The policy in an envelope that one of `keys` signed; NoPolicy otherwise."""
    try:
        predicate = signing.verify(envelope, keys, predicate_type=PREDICATE_TYPE)["predicate"]
        return policy_of(str(predicate["name"]), checked(predicate["spec"]))
    except (signing.SignatureInvalid, InvalidInput) as error:
        raise NoPolicy(f"the release policy can't be believed, so nothing is released: {error.message}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise NoPolicy(f"the release policy lacks {error!r}, so nothing is released") from error


def manifest(name: str, spec: Mapping[str, Any], envelope: signing.Envelope) -> dict[str, Any]:
    """The custom resource that carries a signed policy."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": dict(spec),
        "signature": envelope,
    }


def digest_of(name: str, spec: Mapping[str, Any]) -> str:
    """By what a policy of a checked spec is withdrawn."""
    return canonical_digest({"name": name, "spec": dict(spec)})


def policy_of(name: str, spec: Mapping[str, Any]) -> ReleasePolicy:
    """The domain's policy of a checked spec."""
    return ReleasePolicy(
        name,
        _requirements(spec["default"], name) if "default" in spec else None,
        tuple(
            Override(_requirements(one["requirements"], name), one.get("namespace", ""), one.get("modelName", ""))
            for one in spec.get("overrides", ())
        ),
        digest_of(name, spec),
    )


def _requirements(spec: Mapping[str, Any], policy: str) -> Requirements:
    roots = spec["roots"]
    return Requirements(
        suites=tuple(_suite(one) for one in spec.get("suites", ())),
        gates=tuple(_gate(one) for one in spec.get("gates", ())),
        confidence=spec["confidence"],
        tries=spec.get("tries", 0),
        reviews=tuple(_review(one) for one in spec.get("reviews", ())),
        roots=tuple(Root(one.get("name", ""), frozenset(one["weightFiles"])) for one in roots.get("bases", ())),
        any_base=roots.get("anyBase", False),
        classifier=policy == DEVELOPMENT,
    )


def _suite(spec: Mapping[str, Any]) -> RequiredSuite:
    return RequiredSuite(
        tuple(_gate(one) for one in spec["gates"]),
        spec.get("digest", ""),
        spec.get("name", ""),
        spec["kind"],
        spec.get("scoring", ""),
        spec.get("minTokens", 0),
    )


def _gate(spec: Mapping[str, Any]) -> RequiredGate:
    return RequiredGate(spec["kind"], dict(spec.get("demands", {})), spec.get("minItems", 0))


def _review(spec: Mapping[str, Any]) -> RequiredReview:
    return RequiredReview(
        spec["maxErrorRate"],
        spec["of"],
        tuple(spec.get("reviewerKinds", ())),
        spec["reviewers"],
        spec["confidence"],
        spec.get("minRated", 0),
        spec.get("tries", 0),
    )


def keys_in(folder: Path, named: Sequence[Path], role: str) -> tuple[Path, ...]:
    """The public keys that settings name, or those of a role in the keys folder."""
    return tuple(named) or tuple(sorted(folder.glob(f"{role}*.pub")))


def development() -> str:
    """The YAML of the policy `development`, which ships with the package; examples/policy.yaml is the same file."""
    return files("posology.core.release").joinpath("development.yaml").read_text(encoding="utf-8")
