"""Looking into DSSE envelopes without believing them; `verify` is for believing."""

import base64
import json
from collections.abc import Mapping
from typing import Any

Envelope = Mapping[str, Any]


def opened(envelope: str | Envelope) -> Envelope:
    """The envelope as JSON."""
    parsed: Envelope = json.loads(envelope) if isinstance(envelope, str) else envelope
    return parsed


def payload(envelope: str | Envelope) -> dict[str, Any]:
    """The statement inside, NOT verified."""
    statement: dict[str, Any] = json.loads(base64.b64decode(opened(envelope)["payload"]))
    return statement


def signers(envelope: str | Envelope) -> list[str]:
    """The key ids that it names."""
    return [signature["keyid"] for signature in opened(envelope)["signatures"]]


def subjects(statement: Mapping[str, Any]) -> dict[str, str]:
    """Name to digest (`sha256:<hex>`) of what a statement speaks of."""
    return {one["name"]: "sha256:" + one["digest"]["sha256"] for one in statement["subject"]}
