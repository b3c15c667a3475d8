"""From a request to the right that it needs."""

import pytest

from posology.core.errors import InvalidInput, PermissionDenied
from posology.core.rpc.rights import Right, Rule, right_of
from posology.v1alpha1 import catalog_pb2, evaluation_pb2
from posology.v1alpha1 import orchestrator_pb2 as pb

GET, LIST = Rule("get"), Rule("list", field="parent")


def test_a_name_says_namespace_and_name() -> None:
    request = pb.GetRunRequest(name="namespaces/team-a/fineTuneRuns/clinical")
    assert right_of(GET, request) == Right("get", "team-a", name="clinical")


def test_a_parent_says_the_namespace() -> None:
    assert right_of(LIST, pb.ListRunsRequest(parent="namespaces/team-a")) == Right("list", "team-a")


def test_all_namespaces_at_once_need_a_right_in_all_of_them() -> None:
    right = right_of(LIST, pb.ListRunsRequest(parent="namespaces/-"))
    assert right == Right("list", "")
    assert str(right) == "list finetuneruns.posology.dev in every namespace"


@pytest.mark.parametrize("name", ["", "clinical", "namespaces/a", "namespaces/a/b/c/d", "namespaces//x/y", "x/a/b/c"])
def test_a_name_that_says_no_namespace_gives_no_right(name: str) -> None:
    with pytest.raises(InvalidInput, match="must be like namespaces/<namespace>/<kind>/<id>"):
        right_of(GET, pb.GetRunRequest(name=name))


@pytest.mark.parametrize("parent", ["", "team-a", "namespaces/", "namespaces/a/b", "namespaces/A", "namespaces/a\n"])
def test_a_parent_that_is_none_gives_no_right(parent: str) -> None:
    with pytest.raises(InvalidInput, match="must be like namespaces/<namespace>,"):
        right_of(LIST, pb.ListRunsRequest(parent=parent))


def test_a_right_in_one_namespace_reaches_no_resource_of_another() -> None:
    rule = Rule("create", "verdicts", field="parent")
    request = evaluation_pb2.IssueVerdictRequest(parent="namespaces/a", evaluation="namespaces/b/evaluations/x")
    with pytest.raises(PermissionDenied, match="'namespaces/b/evaluations/x' is of another namespace than a"):
        right_of(rule, request)
    request.evaluation = "namespaces/a/evaluations/x"
    assert right_of(rule, request) == Right("create", "a", "verdicts")
    with pytest.raises(PermissionDenied, match="another namespace"):
        right_of(
            Rule("update", "artifacts"),
            catalog_pb2.PinArtifactRequest(name="namespaces/a/artifacts/00", holder="namespaces/a-b/fineTuneRuns/x"),
        )


@pytest.mark.parametrize(
    "message",
    [
        evaluation_pb2.IssueVerdictRequest(parent="namespaces/a", lineage=["sha256:0", "namespaces/b/artifacts/0"]),
        evaluation_pb2.IssueVerdictRequest(parent="namespaces/a", statements=["namespaces/b/reviews/x"]),
        evaluation_pb2.IssueVerdictRequest(parent="namespaces/a", audit_heads={"x": "namespaces/b/y/z"}),
    ],
)
def test_names_in_a_list_of_a_requestare_looked_at_too(message: evaluation_pb2.IssueVerdictRequest) -> None:
    with pytest.raises(PermissionDenied, match="another namespace"):
        right_of(Rule("create", "verdicts", field="parent"), message)


def test_names_deep_in_a_requestare_looked_at_too() -> None:
    request = pb.CreateRunRequest(parent="namespaces/a", labels={"copied-from": "namespaces/b/fineTuneRuns/x"})
    with pytest.raises(PermissionDenied, match=r"labels\.copied-from"):
        right_of(Rule("create", field="parent"), request)
