"""What only a second person may do, and how a service says for whom it acts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, unquote

from posology.core.errors import InvalidInput, PermissionDenied, Unauthenticated, Violation
from posology.core.rpc import context
from posology.core.rpc.context import Identity, Kind

USER_HEADER = "x-posology-user"
"""For whom a service calls; only a service may say so."""
DOOR_HEADER = "x-posology-door"
"""Which service that is."""
INSTALLATION = "installation"
"""Subject of the installation's own token."""
NOBODY = frozenset({"", "anonymous", INSTALLATION})
"""What stands where a run's submitter is not known."""


def on_behalf(identity: Identity, metadata: Mapping[str, str | bytes]) -> Identity:
    """The identity that acts: the caller itself, or the user for whom a service says that it calls.

    Such a user needs no right of their own for what the service does, and can't decide through it what people decide.
    """
    user, door = unquote(str(metadata.get(USER_HEADER, ""))), str(metadata.get(DOOR_HEADER, ""))
    if not (user or door):
        return identity
    if identity.kind is Kind.USER:
        raise PermissionDenied(
            f"{identity.subject} may not speak for others; leave out {USER_HEADER} and {DOOR_HEADER}"
        )
    return replace(identity, subject=user or identity.subject, door=door or "service")


def enter(identity: Identity) -> None:
    """Serve this call for `identity`; what it makes others do is done for the same user."""
    context.caller.set(identity)
    if identity.subject not in NOBODY:
        context.acting_for.set(identity.subject)


def act_for(submitter: str) -> None:
    """From here on this task works for the submitter of something; for nobody in particular if that is not known."""
    context.acting_for.set("" if submitter in NOBODY else submitter)


def headers(door: str) -> Iterator[tuple[str, str]]:
    """What a service called `door` tells another one about whom it calls for."""
    if door:
        yield DOOR_HEADER, door
        if user := context.acting_for.get():
            yield USER_HEADER, quote(user)


def named(identity: Identity) -> Identity:
    """The identity of a user, unless it has a name that means something else here."""
    if identity.subject in NOBODY:
        raise Unauthenticated(f"{identity.subject!r} is no name for a user")
    return identity


def own_name(requested: str, field: str) -> str:
    """Under which name the caller acts: a user under their own only; where nobody is told apart, as `given`."""
    caller = context.caller.get()
    if caller.kind is Kind.USER:
        if requested not in ("", caller.subject):
            raise PermissionDenied(f"{field}: you are {caller.subject} and can't act as {requested}; leave it out")
        return caller.subject
    if not requested:
        raise InvalidInput.of([Violation(field, "say who this is: everybody has the same token here")])
    return requested


def same_person(one: str, other: str) -> bool:
    """Whether two subjects name one user: identity providers write an address now with capitals, now without."""
    return one.casefold() == other.casefold()


def check_second_person(submitter: str, doing: str) -> None:
    """Refuse the caller what somebody other than the submitter must do: `doing`, as in "approve this run".

    An installation that tells nobody apart has one user, who does both.
    """
    caller = context.caller.get()
    if caller.kind is Kind.OWNER and INSTALLATION in (caller.subject, submitter):
        return
    if caller.kind is Kind.SERVICE or caller.door:
        raise PermissionDenied(f"only people {doing}: call with a token of your own, not with the installation's")
    if submitter in NOBODY:
        raise PermissionDenied(
            f"nobody can {doing}: who submitted it is not known, so it can't be somebody else; submit it again with a "
            f"token of your own, or with the annotation posology.dev/submitted-by"
        )
    if same_person(caller.subject, submitter):
        raise PermissionDenied(f"{submitter} submitted it, so somebody else must {doing}")
