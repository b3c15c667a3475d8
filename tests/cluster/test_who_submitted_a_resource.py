"""A FineTuneRun says who submitted it, and says the truth; else nobody could tell that somebody else approves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from cluster.operator_world import World
from cluster.people import person, roles_of_the_chart, token
from cluster.test_the_chart_on_an_api_server import as_account
from support.clusters import RUNS, resource

from posology.client.specfile import parse_run
from posology.core import audit
from posology.core.errors import PermissionDenied
from posology.core.kube import ClusterConfig, Kube

pytestmark = pytest.mark.cluster

KEY = "posology.dev/submitted-by"


def submitted(name: str, by: str | None) -> dict[str, Any]:
    found = resource(name)
    return {**found, "metadata": {"name": name} | ({"annotations": {KEY: by}} if by else {})}


@asynccontextmanager
async def kubectl(kube: Kube, namespace: str, account: str) -> AsyncIterator[tuple[str, Kube]]:
    """An editor of the namespace by name, and the API server as they see it once the policy is in force."""
    who = await person(kube, namespace, account, "view", "edit")
    access = replace(kube.access, token=await token(kube, namespace, account, audience=""), certificate=b"", key=b"")
    async with Kube(access) as seen:
        for _ in range(100):
            try:
                await seen.create(RUNS, namespace, submitted("probe", "somebody"), dry_run=True)
            except PermissionDenied:
                break
            await asyncio.sleep(0.1)
        yield who.user, seen


async def test_a_resource_must_name_who_applies_it(kube: Kube, namespace: str) -> None:
    async with roles_of_the_chart(kube, namespace), kubectl(kube, namespace, "jane") as (jane, seen):
        for by in (None, "system:serviceaccount:kube-system:bob"):
            with pytest.raises(PermissionDenied, match=f"say who submits this run: .* must be {jane}, so"):
                await seen.create(RUNS, namespace, submitted("refused", by))
        await seen.create(RUNS, namespace, submitted("taken", jane))
        for by in ("bob", None):
            with pytest.raises(PermissionDenied, match="never changes"):
                await seen.merge(RUNS, namespace, "taken", {"metadata": {"annotations": {KEY: by}}})
        await seen.merge(RUNS, namespace, "taken", {"spec": {"cancel": True}})


async def test_a_run_knows_its_submitter_whatever_its_door(
    installation: World, api: ClusterConfig, kube: Kube, namespace: str
) -> None:
    async with (
        roles_of_the_chart(kube, namespace),
        as_account(api, namespace, "posology-operator") as installation.access,
        kubectl(kube, namespace, "jane") as (jane, seen),
        installation.orchestrator() as db,
        installation.operator(trust_submitted_by=True, lease_name="posology-operator"),
    ):
        await seen.create(RUNS, namespace, submitted("by-kubectl", jane))
        found = await installation.until("by-kubectl", lambda status: "creator" in status)
        assert found["status"]["creator"] == jane
        async with db.read() as tx:
            [first] = [
                entry async for entry in audit.entries(tx, subject=installation.full_name("by-kubectl"), limit=1)
            ]
        assert (first.actor, first.action, first.detail["door"]) == (jane, "run.create", "operator")
        async with installation.stub() as door:
            await door.CreateRun(
                parse_run(resource("by-grpc")).request(namespace=namespace), metadata=(("x-posology-user", "maria"),)
            )
        shown = await installation.until("by-grpc", lambda status: "creator" in status)
        assert shown["metadata"]["annotations"][KEY] == "maria"


async def test_without_the_policy_nobody_believes_the_annotation(
    installation: World, kube: Kube, namespace: str
) -> None:
    async with installation.orchestrator(), installation.operator():
        await kube.create(RUNS, namespace, submitted("claimed", "bob"))
        found = await installation.until("claimed", lambda status: "creator" in status)
        assert found["status"]["creator"] == "installation"
