"""Demonstration 7: without the verb approve nobody approves, and a namespace does not see another's runs.

The orchestrator asks a real API server, as an account that may ask and nothing else.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cluster.operator_world import World
from cluster.people import (
    Person,
    forget_reviewing_service,
    grant_group,
    person,
    reviewing_service,
    roles_of_the_chart,
)
from support.clusters import new_namespace, resource
from support.identity_provider import identity_provider

from posology.client.specfile import parse_run
from posology.core import audit
from posology.core.errors import PermissionDenied, Unauthenticated, Unavailable
from posology.core.kube import Kube
from posology.core.store import Database
from posology.v1alpha1 import orchestrator_pb2 as pb

pytestmark = pytest.mark.cluster

EDITOR, APPROVER, REVIEWER = ("view", "edit"), ("approver",), ("reviewer",)
"""Roles of the chart."""


@pytest.fixture
async def guarded(
    installation: World, kube: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """An orchestrator whose users are the cluster's; its database, to read the audit trail."""
    monkeypatch.setenv("KUBECONFIG", str(await reviewing_service(kube, namespace, tmp_path)))
    async with roles_of_the_chart(kube, namespace), installation.orchestrator(authentication="kubernetes") as db:
        yield db
    await forget_reviewing_service(kube, namespace)


async def submit(world: World, who: Person, name: str, *, namespace: str = "") -> pb.FineTuneRun:
    world.driver.pause_at.add("deploy")
    document = resource(name, serving={"replicas": 1, "rollout": "MANUAL"})
    async with world.stub(who.token) as door:
        made: pb.FineTuneRun = await door.CreateRun(parse_run(document).request(namespace=namespace or world.namespace))
        return made


async def decide(world: World, who: Person, run: str, *, approved: bool = True) -> pb.FineTuneRun:
    async with world.stub(who.token) as door:
        request = pb.DecideApprovalRequest(name=world.full_name(run), stage="deploy", approved=approved)
        decided: pb.FineTuneRun = await door.DecideApproval(request)
        return decided


async def test_without_the_verb_approve_nobody_approves(
    guarded: Database, installation: World, kube: Kube, namespace: str
) -> None:
    jane = await person(kube, namespace, "jane", *EDITOR)
    bob = await person(kube, namespace, "bob", *APPROVER)
    assert (await submit(installation, jane, "clinical")).creator == jane.user
    with pytest.raises(
        PermissionDenied, match=f"jane may not approve finetuneruns.posology.dev in namespace {namespace}"
    ):
        await decide(installation, jane, "clinical")
    await decide(installation, bob, "clinical")
    async with guarded.read() as tx:
        told = {(e.actor, e.action) async for e in audit.entries(tx, subject=installation.full_name("clinical"))}
    assert {(jane.user, "run.create"), (bob.user, "run.decide")} <= told


async def test_who_submitted_a_run_does_not_approve_it_with_any_right(
    guarded: Database, installation: World, kube: Kube, namespace: str
) -> None:
    jane = await person(kube, namespace, "jane", *EDITOR, *APPROVER)
    await submit(installation, jane, "own")
    with pytest.raises(PermissionDenied, match="jane submitted it, so somebody else must approve"):
        await decide(installation, jane, "own")
    with pytest.raises(PermissionDenied, match="only people approve"):
        await decide(installation, Person("", ""), "own")


async def test_a_namespace_does_not_see_another_s_runs(
    guarded: Database, installation: World, kube: Kube, namespace: str
) -> None:
    async with new_namespace(kube) as other, roles_of_the_chart(kube, other):
        jane, eve = await person(kube, namespace, "jane", *EDITOR), await person(kube, other, "eve", *EDITOR)
        run = await submit(installation, jane, "clinical")
        await submit(installation, eve, "hers", namespace=other)
        async with installation.stub(eve.token) as door:
            listed = await door.ListRuns(pb.ListRunsRequest(parent=f"namespaces/{other}"))
            assert [found.name for found in listed.runs] == [f"namespaces/{other}/fineTuneRuns/hers"]
            for refused in (
                door.GetRun(pb.GetRunRequest(name=run.name)),
                door.ListRuns(pb.ListRunsRequest(parent=f"namespaces/{namespace}")),
                door.ListRuns(pb.ListRunsRequest(parent="namespaces/-")),
                door.CancelRun(pb.CancelRunRequest(name=run.name)),
            ):
                with pytest.raises(PermissionDenied, match=f"system:serviceaccount:{other}:eve may not"):
                    await refused
            with pytest.raises(PermissionDenied, match="eve may not watch"):
                async for _ in door.WatchRun(pb.WatchRunRequest(name=run.name)):
                    pass


async def test_a_token_must_be_made_for_this_installation(
    guarded: Database, installation: World, kube: Kube, namespace: str
) -> None:
    jane = await person(kube, namespace, "jane", audience="")
    for token in (jane.token, "made-up"):
        with pytest.raises(Unauthenticated, match="kubectl create token <service account> --audience posology"):
            await submit(installation, Person("", token), "never")


async def test_nobody_is_let_in_while_the_api_server_is_away(
    installation: World, kube: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane = await person(kube, namespace, "jane", *EDITOR)
    config = await reviewing_service(kube, namespace, tmp_path)
    config.write_text(config.read_text().replace(kube.access.server, "https://127.0.0.1:1"))
    monkeypatch.setenv("KUBECONFIG", str(config))
    async with installation.orchestrator(authentication="kubernetes"):
        with pytest.raises(Unavailable, match=r"can't be checked now: the Kubernetes API at .* does not answer"):
            await submit(installation, jane, "never")
    await forget_reviewing_service(kube, namespace)


async def test_groups_of_a_provider_have_the_rights_that_the_cluster_gives_them(
    installation: World, kube: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(await reviewing_service(kube, namespace, tmp_path)))
    with identity_provider(tmp_path / "provider") as provider:
        given = {"authentication": "oidc", "oidc_issuer": provider.issuer, "oidc_ca_file": provider.authority}
        async with roles_of_the_chart(kube, namespace), installation.orchestrator(**given):
            for role in EDITOR:
                await grant_group(kube, namespace, "team-a", role)
            await grant_group(kube, namespace, "releasing", "approver")
            jane = Person("jane", provider.token(sub="jane", groups=["team-a"]))
            bob = Person("bob", provider.token(sub="bob", groups=["releasing"]))
            assert (await submit(installation, jane, "clinical")).creator == "jane"
            with pytest.raises(PermissionDenied, match="jane may not approve"):
                await decide(installation, jane, "clinical")
            with pytest.raises(PermissionDenied, match="bob may not create"):
                await submit(installation, bob, "another")
            await decide(installation, bob, "clinical")
    await forget_reviewing_service(kube, namespace)
