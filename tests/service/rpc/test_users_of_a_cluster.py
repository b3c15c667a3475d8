"""Users of a cluster call a service: who they are and what they may do is the cluster's answer."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.review_server import ReviewServer, review_server
from support.rpc_example import settings

from posology.core.errors import InvalidInput, PermissionDenied, Unauthenticated, Unavailable
from posology.core.kube import Kube
from posology.core.rpc import context, server
from posology.core.rpc.auth import TokenFile, read_token
from posology.core.rpc.authentication import Callers, ServicesAndUsers
from posology.core.rpc.client import channel
from posology.core.rpc.cluster import AccessReviews, TokenReviews
from posology.core.rpc.context import Kind
from posology.core.rpc.impersonation import check_second_person
from posology.orchestrator.rights import RIGHTS
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1 import orchestrator_pb2_grpc

JANE = {"username": "jane", "groups": ["team-a"], "uid": "7", "extra": {"scopes": ["all"]}}
RUN = "namespaces/a/fineTuneRuns/x"


class Told(orchestrator_pb2_grpc.OrchestratorServicer):
    """Says who called."""

    async def GetRun(self, request: Any, _: Any) -> pb.FineTuneRun:
        return pb.FineTuneRun(name=request.name, creator=context.caller.get().subject)

    async def ListRuns(self, request: Any, _: Any) -> pb.ListRunsResponse:
        return pb.ListRunsResponse(next_page_token=request.parent)

    async def DecideApproval(self, request: Any, _: Any) -> pb.FineTuneRun:
        check_second_person(request.comment, "approve this run")
        return pb.FineTuneRun(name=request.name)

    async def WatchRun(self, request: Any, _: Any) -> AsyncIterator[pb.RunEvent]:
        yield pb.RunEvent(reason=context.caller.get().subject)


@pytest.fixture
def cluster() -> Iterator[ReviewServer]:
    with review_server() as found:
        found.users["janes-token"] = JANE
        yield found


@asynccontextmanager
async def door(folder: Path, cluster: ReviewServer, token: str, **headers: str) -> AsyncIterator[Any]:
    """A stub of a service that asks this cluster; `headers` go with every call."""
    given = settings(folder)
    async with Kube(cluster.access) as kube:
        users = ServicesAndUsers(TokenFile(given.token_file, Kind.SERVICE), TokenReviews(kube, audience="posology"))
        serving = server.Server(
            name="told",
            settings=given,
            add=lambda s: orchestrator_pb2_grpc.add_OrchestratorServicer_to_server(Told(), s),  # type: ignore[abstract]
            service_names=(),
            rights=RIGHTS,
            callers=Callers(users, AccessReviews(kube)),
        )
        async with (
            server.running(serving) as address,
            channel(address, token=token or read_token(given.token_file)) as c,
        ):
            yield orchestrator_pb2_grpc.OrchestratorStub(c)


async def test_a_user_does_what_the_cluster_allows_and_nothing_else(tmp_path: Path, cluster: ReviewServer) -> None:
    cluster.rights["jane"] = {"get/a", "list/a", "watch/a"}
    async with door(tmp_path, cluster, "janes-token") as stub:
        assert (await stub.GetRun(pb.GetRunRequest(name=RUN))).creator == "jane"
        assert (await stub.ListRuns(pb.ListRunsRequest(parent="namespaces/a"))).next_page_token
        assert [e.reason async for e in stub.WatchRun(pb.WatchRunRequest(name=RUN))] == ["jane"]
        with pytest.raises(PermissionDenied, match=r"jane may not get finetuneruns.posology.dev in namespace b"):
            await stub.GetRun(pb.GetRunRequest(name="namespaces/b/fineTuneRuns/x"))
        with pytest.raises(PermissionDenied, match="in every namespace"):
            await stub.ListRuns(pb.ListRunsRequest(parent="namespaces/-"))
        with pytest.raises(PermissionDenied, match="jane may not approve"):
            await stub.DecideApproval(pb.DecideApprovalRequest(name=RUN, stage="deploy", approved=True))
        with pytest.raises(PermissionDenied, match="in namespace b"):
            [e async for e in stub.WatchRun(pb.WatchRunRequest(name="namespaces/b/fineTuneRuns/x"))]
        with pytest.raises(InvalidInput, match="must be like"):
            await stub.GetRun(pb.GetRunRequest(name="x"))
    asked = next(spec for spec in cluster.asked if "resourceAttributes" in spec)
    assert (asked["user"], asked["groups"], asked["uid"]) == ("jane", ["team-a"], "7")
    assert asked["extra"] == {"scopes": ["all"]}
    assert asked["resourceAttributes"] == {
        "group": "posology.dev", "resource": "finetuneruns", "verb": "get", "namespace": "a", "name": "x",
    }  # fmt: skip


async def test_many_calls_cost_one_question_of_each_kind(tmp_path: Path, cluster: ReviewServer) -> None:
    cluster.rights["jane"] = {"get/a"}
    async with door(tmp_path, cluster, "janes-token") as stub:
        for _ in range(20):
            await stub.GetRun(pb.GetRunRequest(name=RUN))
    assert len(cluster.asked) == 2


async def test_a_refusal_is_remembered_too(tmp_path: Path, cluster: ReviewServer) -> None:
    async with door(tmp_path, cluster, "a-wrong-token") as stub:
        for _ in range(5):
            with pytest.raises(Unauthenticated, match=r"token has expired.*kubectl create token"):
                await stub.GetRun(pb.GetRunRequest(name=RUN))
    assert len(cluster.asked) == 1


async def test_a_token_for_somebody_else_is_refused(tmp_path: Path, cluster: ReviewServer) -> None:
    cluster.audiences = ["https://kubernetes.default.svc"]
    async with door(tmp_path, cluster, "janes-token") as stub:
        with pytest.raises(Unauthenticated, match="was not made for 'posology'"):
            await stub.GetRun(pb.GetRunRequest(name=RUN))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_nobody_is_let_in_while_the_cluster_does_not_answer(
    tmp_path: Path, cluster: ReviewServer, status: int
) -> None:
    cluster.rights["jane"] = {"get/a"}
    cluster.status = status
    async with door(tmp_path, cluster, "janes-token") as stub:
        with pytest.raises(Unavailable, match="who you are can't be checked now: not now"):
            await stub.GetRun(pb.GetRunRequest(name=RUN))
        cluster.status = 201
        assert (await stub.GetRun(pb.GetRunRequest(name=RUN))).creator == "jane", "an outage is not remembered"
        cluster.status = status
        with pytest.raises(Unavailable, match="whether jane may do this can't be checked now"):
            await stub.GetRun(pb.GetRunRequest(name="namespaces/a/fineTuneRuns/another"))


async def test_services_go_on_without_the_cluster_and_decide_nothing_for_people(
    tmp_path: Path, cluster: ReviewServer
) -> None:
    cluster.status = 503
    async with door(tmp_path, cluster, "") as stub:
        assert (await stub.GetRun(pb.GetRunRequest(name=RUN))).creator == "installation"
        request = pb.DecideApprovalRequest(name=RUN, stage="deploy", approved=True, comment="jane")
        for headers in ((), (("x-posology-user", "bob"), ("x-posology-door", "operator"))):
            with pytest.raises(PermissionDenied, match="only people approve this run"):
                await stub.DecideApproval(request, metadata=headers)
        spoken = await stub.GetRun(pb.GetRunRequest(name=RUN), metadata=(("x-posology-user", "j%C3%BCrgen"),))
        assert spoken.creator == "jürgen"


@pytest.mark.parametrize("header", ["x-posology-user", "x-posology-door"])
async def test_a_user_can_t_pretend_to_be_another_one(tmp_path: Path, cluster: ReviewServer, header: str) -> None:
    cluster.rights["jane"] = {"get/a"}
    async with door(tmp_path, cluster, "janes-token") as stub:
        with pytest.raises(PermissionDenied, match="jane may not speak for others"):
            await stub.GetRun(pb.GetRunRequest(name=RUN), metadata=((header, "bob"),))


async def test_a_user_can_t_be_called_like_the_installation(tmp_path: Path, cluster: ReviewServer) -> None:
    cluster.users["sly"] = {"username": "installation"}
    async with door(tmp_path, cluster, "sly") as stub:
        with pytest.raises(Unauthenticated, match="is no name for a user"):
            await stub.GetRun(pb.GetRunRequest(name=RUN))


@pytest.mark.parametrize(
    ("submitter", "said"), [("jane", "jane submitted it, so somebody else must"), ("installation", "is not known")]
)
async def test_an_approver_is_not_the_submitter(
    tmp_path: Path, cluster: ReviewServer, submitter: str, said: str
) -> None:
    cluster.rights["jane"] = {"approve/a"}
    async with door(tmp_path, cluster, "janes-token") as stub:
        with pytest.raises(PermissionDenied, match=said):
            await stub.DecideApproval(pb.DecideApprovalRequest(name=RUN, stage="deploy", comment=submitter))
        await stub.DecideApproval(pb.DecideApprovalRequest(name=RUN, stage="deploy", comment="bob"))
