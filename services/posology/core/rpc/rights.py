"""What a user needs to be allowed for each call: a table per service, checked in one place. What is in no table is
refused, so a new call is closed until somebody decides who may make it.

Rights are those of Kubernetes: a verb on `finetuneruns` of group posology.dev (or on a part of it, which RBAC calls a
subresource), in a namespace, for a name. Services of the installation, and the one user of an embedded one, need none.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import Message

from posology.core import names
from posology.core.errors import InvalidInput, PermissionDenied, Violation
from posology.core.rpc import context
from posology.core.rpc.context import Identity, Kind

GROUP, RESOURCE = "posology.dev", "finetuneruns"
EVERYWHERE = ""
"""The namespace of what is asked of all namespaces at once (`namespaces/-`)."""

_NAMESPACE = rf"{names.NAMESPACE}|{names.EVERY}"
_SHAPES = {
    "name": (
        re.compile(rf"namespaces/(?P<namespace>{_NAMESPACE})/[A-Za-z]+/(?P<name>[^/]+)"),
        "namespaces/<namespace>/<kind>/<id>",
    ),
    "parent": (re.compile(rf"namespaces/(?P<namespace>{_NAMESPACE})"), "namespaces/<namespace>"),
}


@dataclass(frozen=True)
class Rule:
    """What one call needs: `verb` on runs, or on a `part` of them. `field` of the request says where."""

    verb: str
    part: str = ""
    field: str = "name"
    not_artifacts: tuple[str, ...] = ()
    """Fields whose digests are of something else than artifacts; see core.rpc.digests."""


SERVICES_ONLY = Rule("")
"""For calls that services make to each other, and nobody else."""
EVERYBODY = Rule("", "self")
"""For what callers ask about themselves: whoever is known may."""
Table = Mapping[str, Rule]
"""`package.Service/Method` -> what it needs."""


@dataclass(frozen=True)
class Right:
    """One verb on one thing, as RBAC grants it."""

    verb: str
    namespace: str
    part: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{RESOURCE}/{self.part}" if self.part else RESOURCE
        where = f"namespace {self.namespace}" if self.namespace else "every namespace"
        return f"{self.verb} {what}.{GROUP} in {where}"


class Authorizer(Protocol):
    """Knows who may do what."""

    async def allows(self, who: Identity, right: Right) -> bool:
        """Whether `who` has the right; Unavailable when that can't be found out."""
        ...


Check = Callable[[Any], Awaitable[None]]
"""Raises PermissionDenied unless the caller may make this request."""


def table(service: str, rules: Mapping[str, Rule]) -> Table:
    """The table of one service, by the short names of its methods."""
    return {f"{service}/{method}": rule for method, rule in rules.items()}


def check(method: str, rules: Table, authorizer: Authorizer) -> Check:
    """The check of one method."""
    rule = rules.get(method, SERVICES_ONLY)

    async def allowed(request: Any) -> None:
        who = context.caller.get()
        if who.kind is not Kind.USER or rule == EVERYBODY:
            return
        if rule == SERVICES_ONLY:
            raise PermissionDenied(f"{method} is for the services of this installation only")
        right = right_of(rule, request)
        if not await authorizer.allows(who, right):
            raise PermissionDenied(f"{who.subject} may not {right}; ask who administers it for a role that may")

    return allowed


def right_of(rule: Rule, request: Message) -> Right:
    """The right that this request needs; it may speak of one namespace only."""
    value = str(getattr(request, rule.field))
    shape, example = _SHAPES[rule.field]
    match = shape.fullmatch(value)
    if match is None:
        raise InvalidInput.of([Violation(rule.field, f"must be like {example}, not {value!r}")])
    namespace = match["namespace"]
    if namespace == names.EVERY:
        return Right(rule.verb, EVERYWHERE, rule.part)
    _check_one_namespace(request, namespace)
    return Right(rule.verb, namespace, rule.part, match.groupdict().get("name", ""))


def _check_one_namespace(request: Message, namespace: str) -> None:
    """A right in one namespace must not reach into another through a name further down in the request."""
    for path, value in strings(request):
        if value.startswith("namespaces/") and not f"{value}/".startswith(f"namespaces/{namespace}/"):
            raise PermissionDenied(f"{path}: {value!r} is of another namespace than {namespace}")


def strings(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every string in a message, at any depth; items of a list have the path of the list."""
    for field, value in message.ListFields():
        yield from _within(value, f"{prefix}{field.name}")


def _within(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Message):
        yield from strings(value, f"{path}.")
    elif isinstance(value, Mapping):
        for key in value:
            yield from _within(value[key], f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, bytes):  # protobuf's lists have no __iter__
        for item in value:
            yield from _within(item, path)
