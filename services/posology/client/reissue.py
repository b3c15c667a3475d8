"""Verdicts that are to outlive the key that signed them: issued again on the same scores, with the key of now."""

import asyncio
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from posology.client import envelopes
from posology.client.client import Client
from posology.core.attestations.verdict import PREDICATE_TYPE
from posology.core.errors import FailedPrecondition, Internal, NotFound, PermissionDenied, PosologyError, Retryable
from posology.core.rpc import context
from posology.v1alpha1 import audit_pb2, evaluation_pb2, serving_pb2
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.serving_pb2 import Deployment

_OVER = (Deployment.STOPPED, Deployment.DRAINING)
_SECONDS = 5.0
"""That a service gets to say how its chain ends."""
_MOST = 50
"""Letters of an earlier name that a new one keeps; 63 are allowed."""


@dataclass(frozen=True)
class Reissued:
    """What came of one verdict: digests of the two, the deployments that rest on the old one, and their successors."""

    name: str
    outcome: str
    before: str
    verdict: str
    signer: str
    """Id of the key that signed the new one."""
    deployments: tuple[str, ...]
    successors: tuple[str, ...] = ()


async def named(client: Client, target: str) -> list[Verdict]:
    """The newest verdict of a run, on weights, or with this digest or name; NotFound."""
    if "/verdicts/" in target:
        return [await client.verdict(target)]
    async for verdict in client.each_verdict():
        run = str(_predicate(verdict).get("run", ""))
        if target in (verdict.artifact, verdict.model, verdict.name.rpartition("/")[2], run, run.rpartition("/")[2]):
            return [verdict]
    raise NotFound(f"no verdict in {client.names.parent} is of the run, on the weights or of the name {target!r}")


async def signed_with(client: Client, key: str, *, everywhere: bool = False) -> list[Verdict]:
    """Verdicts of a key, by its id or its first 8 digits or more, on which a deployment of their namespace rests;
    `everywhere`: in every namespace."""
    start = key.lower().removeprefix("sha256:")
    resting = {one.verdict for one in await live(client, everywhere=everywhere)}
    return [
        verdict
        async for verdict in client.each_verdict(everywhere=everywhere)
        if verdict.artifact in resting
        and any(len(start) >= 8 and signer.startswith(start) for signer in envelopes.signers(verdict.envelope))
    ]


async def issue_again(client: Client, verdict: Verdict) -> Reissued:
    """A verdict on the same evaluation, which carries the same statements, lineage and run.

    Scores are those that are stored; gates and outcome are computed anew, under the policy of now. It counts as no
    further try, since that is counted by evaluation.
    """
    predicate = _predicate(verdict)
    parent = verdict.name.partition("/verdicts/")[0]
    request = evaluation_pb2.IssueVerdictRequest(
        parent=parent,
        verdict_id=_another(verdict.name),
        evaluation=verdict.evaluation,
        statements=list(_statements(predicate)),
        lineage=[digest for digests in predicate.get("lineage", {}).values() for digest in digests],
        doses_tried=int(predicate.get("dosesTried", 0)),
        audit_chains=await _chains(client),
    )
    before = context.run_id.set(str(predicate.get("run", "")))
    try:
        issued = await _issue(client, request)
    finally:
        context.run_id.reset(before)
    everywhere = parent != client.names.parent
    resting = tuple(one.name for one in await _live_in(client, parent, everywhere) if one.verdict == verdict.artifact)
    outcome = Verdict.Outcome.Name(issued.outcome)
    (signer, *_) = envelopes.signers(issued.envelope)
    return Reissued(issued.name, outcome, verdict.artifact, issued.artifact, signer, resting)


async def redeploy(client: Client, deployment: str, *, verdict: str = "") -> Deployment:
    """A successor of a deployment, as it is, under this verdict or the newest on its weights; it takes over."""
    known = await client.serving.GetDeployment(
        serving_pb2.GetDeploymentRequest(name=client.names.deployment(deployment))
    )
    if known.verdict == verdict:
        raise FailedPrecondition(f"{known.name} rests on this verdict already")
    successor = f"{known.name.rpartition('/')[0]}/{_another(known.name)}"
    return await client.deploy(known.model, name=successor, verdict=verdict, spec=known.spec)


async def live(client: Client, *, everywhere: bool = False) -> list[Deployment]:
    """Deployments of the namespace, or of all, that serve or are to serve, newest first."""
    return [one for one in await client.deployments(everywhere=everywhere) if one.state not in _OVER]


async def _live_in(client: Client, parent: str, everywhere: bool) -> list[Deployment]:
    """Those of one namespace; `everywhere`: it may be another than the client's."""
    return [one for one in await live(client, everywhere=everywhere) if one.name.startswith(f"{parent}/")]


def newest(deployments: Iterable[Deployment]) -> list[Deployment]:
    """Of each model name of a namespace the one that came last, which is the one to succeed."""
    latest: dict[tuple[str, str], Deployment] = {}
    for one in deployments:
        latest.setdefault((one.name.partition("/deployments/")[0], one.model_name), one)
    return list(latest.values())


async def _issue(client: Client, request: evaluation_pb2.IssueVerdictRequest) -> Verdict:
    try:
        return await client.evaluation.IssueVerdict(request)
    except PermissionDenied:
        if not request.audit_chains:
            raise
    request.ClearField("audit_chains")  # a user's word on chains does not count; evaluation anchors its own
    return await client.evaluation.IssueVerdict(request)


async def _chains(client: Client) -> list[audit_pb2.AuditHead]:
    """The end of every other service's chain now, as a run's verdict anchors them; none for whoever may not see them.

    Raises Unavailable while a service is away; the gateway's chain holds no evidence about weights.
    """
    heads: list[audit_pb2.AuditHead] = []
    for service, stub in client.audits.items():
        if not _known(client, service):
            continue
        try:
            request = audit_pb2.ListAuditHeadsRequest(parent="namespaces/-")
            heads += (await stub.ListAuditHeads(request, timeout=_SECONDS)).heads
        except PermissionDenied:
            return []
        except Retryable:
            if service != "gateway":
                raise
        except (
            Internal,
            FailedPrecondition,
        ):  # of an earlier version, or nowhere known: verify says it is not anchored
            continue
    return [head for head in heads if head.service != "evaluation"]


def _known(client: Client, service: str) -> bool:
    """Whether anybody said where it is."""
    try:
        return bool(client.installation.address(service))
    except PosologyError:
        return False


def _statements(predicate: Mapping[str, Any]) -> Iterable[str]:
    """Reviews and provenance; verdicts on models in between are evaluation's to add, the newest of each."""
    for one in predicate.get("statements", ()):
        if envelopes.payload(one["envelope"]).get("predicateType") != PREDICATE_TYPE:
            yield json.dumps(one["envelope"])


def _predicate(verdict: Verdict) -> Mapping[str, Any]:
    predicate: Mapping[str, Any] = envelopes.payload(verdict.envelope)["predicate"]
    return predicate


def _another(name: str) -> str:
    """A new name that begins like an earlier one."""
    return f"{name.rpartition('/')[2][:_MOST].rstrip('-')}-{secrets.token_hex(3)}"


async def reissue(client: Client, verdicts: list[Verdict], *, deploy: bool) -> list[Reissued]:
    """Each issued again; with `deploy` whatever rests on the old one gets a successor, if the new one is a PASS."""
    done = []
    for verdict in verdicts:
        issued = await issue_again(client, verdict)
        if deploy and issued.outcome == "PASS":
            parent = issued.name.partition("/verdicts/")[0]
            running = await _live_in(client, parent, parent != client.names.parent)
            resting = [one for one in newest(running) if one.name in issued.deployments]
            made = await asyncio.gather(*(redeploy(client, one.name, verdict=issued.verdict) for one in resting))
            issued = replace(issued, successors=tuple(one.name for one in made))
        done.append(issued)
    return done
