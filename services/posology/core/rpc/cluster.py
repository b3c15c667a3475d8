"""Users of a Kubernetes cluster: who they are (TokenReview), and what they may do (SubjectAccessReview).

Answers are remembered for seconds, so that a page of calls costs one question and a right that was taken away is gone
soon. While the API server is away nobody is let in whom it did not vouch for a moment ago.
"""

import hashlib
from typing import Any

from posology.core.errors import PosologyError, Unauthenticated, Unavailable
from posology.core.kube import Kube, Resource
from posology.core.rpc.context import Identity
from posology.core.rpc.rights import GROUP, RESOURCE, Right
from posology.core.rpc.ttl_cache import TtlCache

TOKEN_REVIEWS = Resource("authentication.k8s.io/v1", "tokenreviews")
ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "subjectaccessreviews")
YES_SECONDS, NO_SECONDS = 10.0, 5.0
"""How long a good and a bad answer are believed."""

Answer = dict[str, Any]


class TokenReviews:
    """Tokens of the cluster, made for `audience` (empty: for the API server itself)."""

    def __init__(self, kube: Kube, *, audience: str) -> None:
        self._kube = kube
        self._audience = audience
        self._known: TtlCache[bytes, Identity | str] = TtlCache()

    async def identify(self, token: str) -> Identity:
        """Whose token it is; Unauthenticated with the cluster's reason."""
        key = hashlib.sha256(token.encode()).digest()
        result = self._known.get(key)
        if result is None:
            result = self._told(await self._ask(token))
            self._known.put(key, result, YES_SECONDS if isinstance(result, Identity) else NO_SECONDS)
        if isinstance(result, str):
            raise Unauthenticated(result)
        return result

    async def _ask(self, token: str) -> Answer:
        spec = {"token": token} | ({"audiences": [self._audience]} if self._audience else {})
        return await _review(self._kube, TOKEN_REVIEWS, spec, "who you are")

    def _told(self, status: Answer) -> Identity | str:
        """The user, or why there is none."""
        if not status.get("authenticated"):
            return f"the cluster does not know this token ({status.get('error') or 'not authenticated'}){self._hint()}"
        if self._audience and self._audience not in status.get("audiences", ()):
            return f"this token was not made for {self._audience!r}{self._hint()}"
        user = status["user"]
        extra = tuple((name, tuple(values)) for name, values in sorted((user.get("extra") or {}).items()))
        return Identity(user["username"], tuple(user.get("groups") or ()), uid=user.get("uid", ""), extra=extra)

    def _hint(self) -> str:
        audience = f" --audience {self._audience}" if self._audience else ""
        return f"; get one with `kubectl create token <service account>{audience}`"


class AccessReviews:
    """Rights as the cluster's authorizers see them: RBAC, usually."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: TtlCache[tuple[Identity, Right], bool] = TtlCache(16384)

    async def allows(self, who: Identity, right: Right) -> bool:
        """As the cluster says."""
        allowed = self._known.get((who, right))
        if allowed is None:
            status = await _review(self._kube, ACCESS_REVIEWS, _spec(who, right), f"whether {who.subject} may do this")
            allowed = bool(status.get("allowed")) and not status.get("denied")
            self._known.put((who, right), allowed, YES_SECONDS if allowed else NO_SECONDS)
        return allowed


def _spec(who: Identity, right: Right) -> Answer:
    attributes = {
        "group": GROUP,
        "resource": RESOURCE,
        "subresource": right.part,
        "verb": right.verb,
        "namespace": right.namespace,
        "name": right.name,
    }
    return {
        "user": who.subject,
        "uid": who.uid,
        "groups": list(who.groups),
        "extra": {name: list(values) for name, values in who.extra},
        "resourceAttributes": {key: value for key, value in attributes.items() if value},
    }


async def _review(kube: Kube, kind: Resource, spec: Answer, what: str) -> Answer:
    """The status of a review; whatever goes wrong, nothing is granted and the caller may try again."""
    try:
        answer = await kube.create(kind, "", {"apiVersion": kind.version, "spec": spec})
    except PosologyError as error:
        raise Unavailable(f"{what} can't be checked now: {error.message}") from error
    status: Answer = answer.get("status") or {}
    return status
