"""Digests of artifacts in requests: each must be one that the request's namespace lists.

A digest is no secret and no right: who knows one of another namespace must not train on it, read it in a review, or
serve it. So every request that makes something is searched for digests by their form, wherever they stand in it; a
field that is added later is covered without anybody's doing.
"""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf.message import Message

from posology.core import names
from posology.core.errors import InvalidInput, NotFound, Violation
from posology.core.rpc.rights import Check, Rule, Table, strings
from posology.v1alpha1 import catalog_pb2 as pb

if TYPE_CHECKING:
    from posology.v1alpha1.catalog_pb2_grpc import CatalogAsyncStub

_DIGEST = re.compile(r"(?:artifact:)?(sha256:[0-9a-f]{64})")
MAKES = "create"
"""The verb of calls that are searched; others name what they speak of by its resource name."""


class Listings(Protocol):
    """Knows what a namespace lists."""

    async def unlisted(self, namespace: str, digests: frozenset[str]) -> frozenset[str]:
        """Those that the namespace does not list; Unavailable when that can't be found out."""
        ...


class CatalogListings:
    """Asks the catalog."""

    def __init__(self, catalog: CatalogAsyncStub) -> None:
        self._catalog = catalog

    async def unlisted(self, namespace: str, digests: frozenset[str]) -> frozenset[str]:
        """One call for each digest; requests hold a handful."""
        answers = await asyncio.gather(*(self._lists(namespace, digest) for digest in sorted(digests)))
        return frozenset(digest for digest, listed in zip(sorted(digests), answers, strict=True) if not listed)

    async def _lists(self, namespace: str, digest: str) -> bool:
        name = f"{names.parent_of(namespace)}/artifacts/{digest.removeprefix('sha256:')}"
        try:
            await self._catalog.GetArtifact(pb.GetArtifactRequest(name=name))
        except NotFound:
            return False
        return True


def check(method: str, rules: Table, listings: Listings) -> Check | None:
    """The check of one method; None for one that makes nothing.

    InvalidInput names each field whose digest the namespace does not list, whether others list it or nobody does.
    """
    rule = rules.get(method)
    if rule is None or rule.verb != MAKES or rule.field != "parent":
        return None

    async def listed(request: Any) -> None:
        digests = dict(_digests(request, rule))
        if not digests:
            return
        # Where nobody is told apart, two calls may leave the namespace out; users have rights in one they name only.
        namespace = names.namespace_of_parent(request.parent or names.parent_of("default"))
        unlisted = await listings.unlisted(namespace, frozenset(digests.values()))
        wrong = [
            Violation(path, f"there is no artifact {digest} in namespace {namespace}; make it or push it there")
            for path, digest in digests.items()
            if digest in unlisted
        ]
        if wrong:
            raise InvalidInput.of(wrong)

    return listed


def _digests(request: Message, rule: Rule) -> Iterator[tuple[str, str]]:
    """Path and digest of every artifact that a request names."""
    counts: dict[str, int] = {}
    for path, value in strings(request):
        counts[path] = counts.get(path, 0) + 1
        match = _DIGEST.fullmatch(value.strip())
        if match and path.partition(".")[0] not in rule.not_artifacts:
            yield path if counts[path] == 1 else f"{path}[{counts[path] - 1}]", match[1]


def both(*checks: Check | None) -> Check | None:
    """One check after the other; None without any."""
    present = [check for check in checks if check is not None]

    async def checked(request: Any) -> None:
        for check in present:
            await check(request)

    return checked if present else None
