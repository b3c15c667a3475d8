"""Carries the signed release policy of a custom resource to where services and engines read it.

The signature is the gate: a resource counts only as it was signed, by a key that the installation knows already. Who
may write resources can choose among what was signed for this installation, and nothing else.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posology.core import revocation
from posology.core.canonical import canonical_json
from posology.core.controllers import ControlLoop
from posology.core.errors import InvalidInput, NotFound, PosologyError
from posology.core.kube import Kube, Resource
from posology.core.release import document
from posology.core.release.document import FILE, KEY, NoPolicy
from posology.core.revocation import RevocationsUnreadable, parse_revoked
from posology.core.signing import PublicKey
from posology.operator import convert, domain
from posology.operator.deny_list import CONFIG_MAPS

log = logging.getLogger("posology.operator")
POLICIES = Resource("posology.dev/v1alpha1", "releasepolicies")
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is to be said of a resource; `envelope` is what to carry, empty where nothing is."""

    reason: str
    message: str
    envelope: str = ""
    digest: str = ""
    key: str = ""


class ReleasePolicies:
    """The only writer of the policy in the ConfigMap of public keys, while there are resources; without any, what the
    chart or somebody else put there stays."""

    def __init__(self, kube: Kube, *, places: tuple[str, ...], keys: str, seconds: float) -> None:
        """`keys` is the ConfigMap with the installation's public keys in each of `places`; the first is where the
        installation is, and the only one whose resources and keys count."""
        self._kube = kube
        self._namespace = places[0]
        self._places = places
        self._keys = keys
        self._seconds = seconds

    async def run(self) -> None:
        """Look until cancelled; nothing that is away for a while ends the operator."""
        await ControlLoop("release-policy", self.reconcile_once, interval=self._seconds, survives=PosologyError).run()

    async def reconcile_once(self) -> None:
        """One round."""
        try:
            resources = [one async for one in self._kube.every(POLICIES, self._namespace)]
        except NotFound:
            return  # the definition is not installed
        if not resources:
            return
        stored = (await self._kube.read(CONFIG_MAPS, self._namespace, self._keys)).get("data") or {}
        findings = [judged(resource, stored) for resource in resources]
        good = [finding for finding in findings if finding.envelope]
        if len(good) > 1:
            names = ", ".join(one["metadata"]["name"] for one in resources)
            text = f"{len(good)} policies are signed ({names}), and one counts; delete all but one. What counted stays"
            findings = [Finding("Several", text) if finding.envelope else finding for finding in findings]
        elif good:
            await self._carry(good[0])
        for resource, finding in zip(resources, findings, strict=True):
            await self._tell(resource, finding)

    async def _carry(self, finding: Finding) -> None:
        """See that every namespace with engines has this policy; one without the ConfigMap gets it from the chart."""
        for place in self._places:
            try:
                stored = (await self._kube.read(CONFIG_MAPS, place, self._keys)).get("data") or {}
            except NotFound:
                continue
            if stored.get(FILE) != finding.envelope:
                await self._kube.merge(CONFIG_MAPS, place, self._keys, {"data": {FILE: finding.envelope}})
                log.info("release policy", extra={"namespace": place, "digest": finding.digest, "key": finding.key})

    async def _tell(self, resource: Object, finding: Finding) -> None:
        ready = bool(finding.envelope)
        held = domain.kstatus(finding.reason, finding.message, ready=ready, stalled=not ready)
        status = {
            "message": finding.message,
            "digest": finding.digest,
            "signedBy": finding.key,
            **convert.conditions(resource, held),
        }
        before = resource.get("status") or {}
        if any(before.get(key) != value for key, value in status.items()):
            name = resource["metadata"]["name"]
            await self._kube.merge(POLICIES, self._namespace, name, {"status": status}, part="status")


def judged(resource: Object, stored: Mapping[str, str]) -> Finding:
    """Whether a resource is a policy that was signed for this installation; `stored` is the data of the ConfigMap with
    its public keys, and the ids of revoked ones."""
    name = str(resource["metadata"]["name"])
    envelope = resource.get("signature")
    if not envelope:
        return Finding(
            "NotSigned",
            f"{name} is not signed, so it does not count; sign it: posology policy sign FILE --manifest FILE",
        )
    try:
        policy = document.verified(envelope, _keys(stored))
    except (NoPolicy, RevocationsUnreadable, InvalidInput) as error:
        return Finding("SignatureInvalid", error.message)
    try:
        digest = document.digest_of(name, document.checked(resource.get("spec") or {}))
    except InvalidInput as error:
        return Finding("InvalidSpec", error.message)
    if digest != policy.digest:
        return Finding(
            "Altered", f"what was signed is the policy {policy.name} ({policy.digest}), and this is {name} ({digest})"
        )
    text = canonical_json(envelope).decode()
    signer = str(json.loads(text)["signatures"][0]["keyid"])
    return Finding("InForce", f"{name} counts, as it was signed by {signer[:16]}", text, digest, signer)


def _keys(stored: Mapping[str, str]) -> list[PublicKey]:
    """Keys that may sign a policy here, without those that were revoked."""
    revoked = parse_revoked(stored.get(revocation.FILE, "").encode(), origin=revocation.FILE)
    pems = (pem for file, pem in sorted(stored.items()) if file.startswith(KEY) and file.endswith(".pub"))
    return [key for key in map(PublicKey.from_pem, pems) if key.id not in revoked]
