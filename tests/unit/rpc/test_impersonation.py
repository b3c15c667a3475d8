"""What people decide themselves, and under which name."""

from collections.abc import Iterator

import pytest

from posology.core.errors import InvalidInput, PermissionDenied
from posology.core.rpc import context
from posology.core.rpc.context import Identity, Kind
from posology.core.rpc.impersonation import act_for, check_second_person, enter, headers, own_name

JANE = Identity("jane")
OWNER = Identity("installation", kind=Kind.OWNER)
SERVICE = Identity("installation", kind=Kind.SERVICE)
MARIA = Identity("maria", kind=Kind.OWNER)
"""Her token is in the file of an installation that tells nobody else apart."""


@pytest.fixture(autouse=True)
def _nobody_called_before_or_after() -> Iterator[None]:
    before = context.caller.get(), context.acting_for.get()
    yield
    context.caller.set(before[0])
    context.acting_for.set(before[1])


@pytest.mark.parametrize(
    ("caller", "submitter"),
    [(JANE, "bob"), (OWNER, "installation"), (OWNER, "bob"), (MARIA, "installation"), (MARIA, "bob")],
)
def test_somebody_else_decides_and_so_does_the_only_user(caller: Identity, submitter: str) -> None:
    context.caller.set(caller)
    check_second_person(submitter, "approve this run")


@pytest.mark.parametrize(
    ("caller", "submitter", "said"),
    [
        (JANE, "jane", "jane submitted it, so somebody else must approve this run"),
        (MARIA, "maria", "maria submitted it"),
        (JANE, "installation", "who submitted it is not known"),
        (JANE, "", "who submitted it is not known"),
        (SERVICE, "bob", "only people approve this run"),
        (Identity("jane", kind=Kind.SERVICE, door="operator"), "bob", "only people"),
        (context.ANONYMOUS, "anonymous", "not known"),
    ],
)
def test_nobody_decides_on_their_own_work_or_without_being_somebody(
    caller: Identity, submitter: str, said: str
) -> None:
    context.caller.set(caller)
    with pytest.raises(PermissionDenied, match=said):
        check_second_person(submitter, "approve this run")


def test_a_user_acts_under_their_own_name_only() -> None:
    context.caller.set(JANE)
    assert own_name("", "reviewer") == own_name("jane", "reviewer") == "jane"
    with pytest.raises(PermissionDenied, match="reviewer: you are jane and can't act as bob"):
        own_name("bob", "reviewer")


def test_where_nobody_is_told_apart_people_say_who_they_are() -> None:
    context.caller.set(OWNER)
    assert own_name("ann", "reviewer") == "ann"
    with pytest.raises(InvalidInput, match="reviewer: say who this is"):
        own_name("", "reviewer")


def test_what_a_call_makes_others_do_is_done_for_the_same_user() -> None:
    enter(Identity("jürgen"))
    assert dict(headers("orchestrator")) == {"x-posology-door": "orchestrator", "x-posology-user": "j%C3%BCrgen"}
    assert dict(headers("")) == {}, "who is no service speaks for itself"
    act_for("installation")
    assert dict(headers("orchestrator")) == {"x-posology-door": "orchestrator"}
