"""Artifacts between protobuf and the domain."""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from posology.catalog.domain import Artifact, Withdrawal
from posology.core import names
from posology.core.attestations.deny_list import normal_digest
from posology.core.errors import InvalidInput, Violation
from posology.core.times import to_timestamp
from posology.v1alpha1 import catalog_pb2 as pb

_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def name_from_proto(request: pb.CreateArtifactRequest) -> tuple[str, str]:
    """Namespace and digest of what is to be registered; InvalidInput names a digest that is none."""
    digest = request.artifact.digest
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput.of([Violation("artifact.digest", f"{digest!r} is not like sha256:<64 hex digits>")])
    return names.namespace_of_parent(request.parent), digest


def check_claims(claimed: pb.Artifact, artifact: Artifact) -> None:
    """InvalidInput for everything that a request says otherwise than the manifest; what it leaves out is no claim."""
    parameters = json_format.MessageToDict(claimed.parameters)
    claims = {
        "kind": (claimed.kind, artifact.kind),
        "size_bytes": (claimed.size_bytes, artifact.size_bytes),
        "producer": (claimed.producer, artifact.producer),
        "parents": (sorted(set(claimed.parents)), sorted(artifact.parents)),
        "parameters": (parameters, _as_struct(artifact.parameters)),
    }
    wrong = [
        Violation(f"artifact.{field}", f"is {claim!r}; the manifest of {artifact.digest} says {fact!r}")
        for field, (claim, fact) in claims.items()
        if claim and claim != fact
    ]
    if wrong:
        raise InvalidInput.of(wrong)


def _as_struct(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they come back from a protobuf Struct, whose numbers are all floats."""
    struct = pb.Artifact().parameters
    struct.update(dict(parameters))
    return json_format.MessageToDict(struct)


def artifact_to_proto(artifact: Artifact) -> pb.Artifact:
    """An artifact as its resource."""
    message = pb.Artifact(
        name=artifact.name,
        digest=artifact.digest,
        kind=artifact.kind,
        size_bytes=artifact.size_bytes,
        parents=artifact.parents,
        producer=artifact.producer,
        pins=artifact.pins,
        quarantine_reason=artifact.quarantine_reason,
    )
    message.parameters.update(dict(artifact.parameters))
    if artifact.created:
        message.create_time.CopyFrom(to_timestamp(artifact.created))
    return message


def split_name(name: str) -> tuple[str, str]:
    """`namespaces/{ns}/artifacts/{hex}` -> (ns, digest)."""
    prefix, _, digest = name.rpartition("/")
    hexadecimal = digest.lower().removeprefix("sha256:")
    parts = names.parse(f"{prefix}/{hexadecimal}", "artifacts")
    if not _HEX.fullmatch(parts.id):
        raise InvalidInput.of([Violation("name", f"{name!r} is not like namespaces/default/artifacts/<64 hex digits>")])
    return parts.namespace, f"sha256:{parts.id}"


def digest_from_text(text: str, *, field: str) -> str:
    """`sha256:<hex>` of a digest in either case, with or without its prefix; InvalidInput names `field`."""
    try:
        return normal_digest(text)
    except ValueError as error:
        raise InvalidInput.of([Violation(field, str(error))]) from None


def withdrawal_to_proto(withdrawal: Withdrawal) -> pb.Withdrawal:
    """A withdrawal as services read it."""
    return pb.Withdrawal(
        number=withdrawal.number,
        digest=withdrawal.digest,
        kind=withdrawal.kind,
        reason=withdrawal.reason,
        create_time=to_timestamp(withdrawal.created),
        namespace=withdrawal.namespace,
    )
