"""Artifacts between protobuf and the domain."""

import re

from google.protobuf import json_format

from posology.catalog.domain import Artifact, Withdrawal
from posology.core import names
from posology.core.errors import InvalidInput, Violation
from posology.core.times import to_timestamp
from posology.v1alpha1 import catalog_pb2 as pb

_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def from_request(request: pb.CreateArtifactRequest) -> Artifact:
    """What is to be registered; InvalidInput names a digest that is none."""
    message = request.artifact
    wrong = [
        Violation(f"artifact.{field}", f"{digest!r} is not like sha256:<64 hex digits>")
        for field, digest in [("digest", message.digest), *(("parents", p) for p in message.parents)]
        if not _DIGEST.fullmatch(digest)
    ]
    if not message.kind:
        wrong.append(Violation("artifact.kind", "must be set"))
    if wrong:
        raise InvalidInput.of(wrong)
    return Artifact(
        namespace=names.namespace_of_parent(request.parent),
        digest=message.digest,
        kind=message.kind,
        size_bytes=message.size_bytes,
        parents=tuple(message.parents),
        producer=message.producer,
        parameters=json_format.MessageToDict(message.parameters),
    )


def to_proto(artifact: Artifact) -> pb.Artifact:
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
    parts = names.parse(f"{prefix}/{digest.removeprefix('sha256:')}", "artifacts")
    if not _HEX.fullmatch(parts.id):
        raise InvalidInput.of([Violation("name", f"{name!r} is not like namespaces/default/artifacts/<64 hex digits>")])
    return parts.namespace, f"sha256:{parts.id}"


def withdrawal_to_proto(withdrawal: Withdrawal) -> pb.Withdrawal:
    """A withdrawal as services read it."""
    return pb.Withdrawal(
        number=withdrawal.number,
        digest=withdrawal.digest,
        kind=withdrawal.kind,
        reason=withdrawal.reason,
        create_time=to_timestamp(withdrawal.created),
    )
