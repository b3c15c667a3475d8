"""Where users are told apart, whoever had weights evaluated releases them by no call of their own."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from posology.core.errors import InvalidInput, PermissionDenied
from posology.core.rpc import context
from posology.core.rpc.context import Identity, Kind
from posology.orchestrator.servicer import _check_decidable
from posology.orchestrator.stages.deploy import needs_approval
from posology.serving.deployments import check_releaser
from posology.serving.domain import DeploymentRequest, Plan

REQUEST = DeploymentRequest("default", "first", "sha256:" + "a" * 64, "", Plan("labels"))


@pytest.fixture(autouse=True)
def _nobody_called_before_or_after() -> Iterator[None]:
    before = context.caller.get()
    yield
    context.caller.set(before)


@pytest.mark.parametrize("submitter", ["jane", "", "anonymous", "installation"])
def test_a_user_does_not_deploy_what_she_or_somebody_unknown_submitted(submitter: str) -> None:
    context.caller.set(Identity("jane"))
    with pytest.raises(PermissionDenied):
        check_releaser(submitter, REQUEST)


@pytest.mark.parametrize(
    "caller", [Identity("bob"), Identity("installation", kind=Kind.OWNER), Identity("installation", kind=Kind.SERVICE)]
)
def test_another_user_and_an_installation_that_tells_nobody_apart_do(caller: Identity) -> None:
    context.caller.set(caller)
    check_releaser("jane", REQUEST)


def run(rollout: str) -> Any:
    phase = SimpleNamespace(ended=False)
    return SimpleNamespace(spec={"serving": {"rollout": rollout}}, approvals={}, name="r", phase=phase)


@pytest.mark.parametrize("rollout", ["AUTO", "MANUAL"])
def test_an_automatic_rollout_waits_for_a_second_person_where_users_are_known(rollout: str) -> None:
    assert needs_approval(run(rollout), users_are_known=True)
    _check_decidable(run(rollout), "deploy", users_are_known=True)


def test_an_automatic_rollout_of_the_one_user_waits_for_nobody() -> None:
    assert not needs_approval(run("AUTO"), users_are_known=False)
    with pytest.raises(InvalidInput):
        _check_decidable(run("AUTO"), "deploy", users_are_known=False)


def test_a_release_is_named_in_the_refusal() -> None:
    context.caller.set(Identity("jane"))
    other = replace(REQUEST, plan=Plan("other"))
    with pytest.raises(PermissionDenied, match=r"release sha256:a+ as other"):
        check_releaser("jane", other)
