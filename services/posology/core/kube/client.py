"""Calls to the API server: plain objects in and out, failures as core.errors."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from posology.core import errors
from posology.core.errors import PosologyError, Violation
from posology.core.kube.cluster_config import ClusterConfig
from posology.core.streamed_lines import lines_as_they_come

Object = dict[str, Any]

_SECONDS = 15.0
_PAGE = 500
_WATCH_SECONDS = 120
_MERGE = {"content-type": "application/merge-patch+json"}
_APPLY = {"content-type": "application/apply-patch+yaml"}
_BY_STATUS: dict[int, type[PosologyError]] = {
    400: errors.InvalidInput,
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    410: errors.Conflict,
    422: errors.InvalidInput,
    429: errors.Unavailable,
}


@dataclass(frozen=True)
class Resource:
    """A kind of object: `Resource("apps/v1", "deployments")`."""

    version: str
    plural: str

    def path(self, namespace: str = "", name: str = "", part: str = "") -> str:
        """The URL path of one object (or of its `part`, such as `status`), of a namespace's, or of all."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return "/".join([f"{root}{scope}/{self.plural}", *filter(None, (name, part))])


class Kube:
    """One API server; use it with `async with`. Every call may raise Unavailable."""

    def __init__(self, access: ClusterConfig) -> None:
        self.access = access
        self._http = httpx.AsyncClient(
            base_url=access.server, verify=access.tls(), timeout=_SECONDS, trust_env=False, auth=self._authorized
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections; nothing works afterwards."""
        await self._http.aclose()

    async def read(self, kind: Resource, namespace: str, name: str) -> Object:
        """One object; NotFound."""
        return await self._call("GET", kind.path(namespace, name))

    async def every(self, kind: Resource, namespace: str = "", *, labels: str = "") -> AsyncIterator[Object]:
        """All objects of a namespace, or of the cluster, page by page; `labels` is a selector."""
        query = {"limit": str(_PAGE), **({"labelSelector": labels} if labels else {})}
        while True:
            page = await self._call("GET", kind.path(namespace), query=query)
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue")
            if not token:
                return
            query = {**query, "continue": token}

    async def select(self, kind: Resource, namespace: str, *, labels: str = "", fields: str = "") -> Object:
        """The list object: `items`, and in `metadata` the resourceVersion to watch from."""
        return await self._call("GET", kind.path(namespace), query=_selected(labels, fields))

    async def watch(
        self, kind: Resource, namespace: str, *, version: str, labels: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Changes after `version`, as (ADDED | MODIFIED | DELETED | BOOKMARK, object), until the server ends
        the stream, about every two minutes; Conflict when it has forgotten that version."""
        query = _selected(labels, "") | {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query["timeoutSeconds"] = str(_WATCH_SECONDS)
        timeout = httpx.Timeout(_SECONDS, read=_WATCH_SECONDS + _SECONDS)
        try:
            async with self._http.stream("GET", kind.path(namespace), params=query, timeout=timeout) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _error(answer)
                async for line in lines_as_they_come(answer):
                    event: Object = json.loads(line)
                    if event["type"] == "ERROR":
                        raise errors.Conflict(str(event["object"].get("message", "the watch ended")))
                    yield event["type"], event["object"]
        except httpx.HTTPError as error:
            raise self._away(error) from error

    async def create(self, kind: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create it; AlreadyExists if the name is taken, InvalidInput with every violation. `dry_run` only asks
        whether that would work, and takes unknown fields for errors."""
        query = {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else None
        return await self._call("POST", kind.path(namespace), body=body, query=query)

    async def merge(self, kind: Resource, namespace: str, name: str, change: Object, *, part: str = "") -> Object:
        """Merge a change into it (or into its `part`); with a resourceVersion in it, Conflict if another was faster."""
        return await self._call("PATCH", kind.path(namespace, name, part), body=change, headers=_MERGE)

    async def apply(self, kind: Resource, namespace: str, body: Object, *, manager: str = "posology") -> Object:
        """Create it, or bring all that `body` says in line and take away what an earlier one said (server-side
        apply); what others added stays."""
        query = {"fieldManager": manager, "force": "true"}
        path = kind.path(namespace, body["metadata"]["name"])
        return await self._call("PATCH", path, body=body, query=query, headers=_APPLY)

    async def delete(self, kind: Resource, namespace: str, name: str, **options: Any) -> None:
        """Ask for its deletion; finalizers may keep it for a while. `options` are those of DeleteOptions."""
        await self._call("DELETE", kind.path(namespace, name), body=options or None)

    async def get(self, path: str) -> Object:
        """Any path, for discovery."""
        return await self._call("GET", path)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        try:
            answer = await self._http.request(method, path, json=body, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if answer.is_error:
            raise _error(answer)
        document: Object = answer.json()
        return document

    def _away(self, error: httpx.HTTPError) -> PosologyError:
        return errors.Unavailable(f"the Kubernetes API at {self.access.server} does not answer: {error!r}")

    def _authorized(self, request: httpx.Request) -> httpx.Request:
        if token := self.access.bearer():
            request.headers["authorization"] = f"Bearer {token}"
        return request


def _selected(labels: str, fields: str) -> dict[str, str]:
    parameters = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in parameters.items() if value}


def _error(answer: httpx.Response) -> PosologyError:
    """The API server's own words, as the class of core.errors that fits."""
    try:
        status: Object = answer.json()
    except json.JSONDecodeError:
        status = {"message": answer.text[:500]}
    message = str(status.get("message") or answer.reason_phrase)
    if answer.status_code == 409:
        taken = status.get("reason") == "AlreadyExists"
        return errors.AlreadyExists(message) if taken else errors.Conflict(message)
    kind = _BY_STATUS.get(answer.status_code, errors.Unavailable if answer.status_code >= 500 else errors.InvalidInput)
    causes = (status.get("details") or {}).get("causes") or ()
    violations = [Violation(cause.get("field", ""), cause.get("message", "")) for cause in causes]
    return kind(message, violations=violations)
