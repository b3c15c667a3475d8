"""The API server: calls that give plain JSON, and errors that say what to do."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from posology.core import errors
from posology.core.jobs.launcher import Away

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CALL = aiohttp.ClientTimeout(total=10, sock_connect=5)
_QUIET_SECONDS = 150
"""After this time without a word a watch counts as broken; the server ends each one before."""
_WATCH_SECONDS = 120

BATCH, CORE = "/apis/batch/v1", "/api/v1"


class Cluster:
    """A namespace of the cluster that this process runs in, or of the one that KUBECONFIG names.

    Opened by the first call; every call raises Away when the server doesn't answer.
    """

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace or own_namespace()
        self._client: ApiClient | None = None

    async def get(self, collection: str, name: str) -> dict[str, Any] | None:
        """One object; None if there is none."""
        try:
            return await self._call("GET", f"{self._path(collection)}/{name}")
        except errors.NotFound:
            return None

    async def list(self, collection: str, **query: str) -> dict[str, Any]:
        """A list object: `items`, and in `metadata` the version to watch from."""
        return await self._call("GET", self._path(collection), query=query)

    async def create(self, collection: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """AlreadyExists if the name is taken; InvalidInput says what the server refuses."""
        query = {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else {}
        return await self._call("POST", self._path(collection), query=query, body=body)

    async def delete(self, collection: str, name: str, **options: Any) -> None:
        """Gone already is fine. `options` are those of DeleteOptions."""
        try:
            await self._call("DELETE", f"{self._path(collection)}/{name}", body=options)
        except errors.NotFound:
            return

    async def watch(self, collection: str, *, version: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Changes after `version` ({type, object}), until the server ends the stream; Conflict when it has
        forgotten that version."""
        query |= {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(_WATCH_SECONDS)
        within = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_QUIET_SECONDS)
        async with self._response("GET", self._path(collection), query=query, within=within) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise errors.Conflict(str(event["object"].get("message", "the watch ended")))
                yield event

    async def close(self) -> None:
        """The next call opens it again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]

    # --- details ---------------------------------------------------------------------------------------

    def _path(self, collection: str) -> str:
        """`batch/v1` paths for jobs, the core group for everything else."""
        group = BATCH if collection == "jobs" else CORE
        return f"{group}/namespaces/{self.namespace}/{collection}"

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        async with self._response(method, path, query=query, body=body, within=_CALL) as response:
            found: dict[str, Any] = await response.json()
            return found

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        *,
        within: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            client = await self._open()
            call = await client.param_serialize(
                method, path, query_params=list((query or {}).items()), body=body, auth_settings=["BearerToken"]
            )
            answer = await client.call_api(*call, _request_timeout=within)
            async with answer.response as response:
                if response.status >= 400:
                    raise _meaning(response.status, await _message(response))
                yield response
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise Away(f"the cluster's API server does not answer ({type(error).__name__}: {error})") from error

    async def _open(self) -> ApiClient:
        if self._client is None:
            found = Configuration()
            try:
                await _configure(found)
            except config.ConfigException as error:
                said = f"no access to a cluster: {error}; run in a pod, or set KUBECONFIG"
                raise errors.FailedPrecondition(said) from error
            self._client = ApiClient(found)
        return self._client


def own_namespace() -> str:
    """That of this pod; `default` outside of one."""
    file = _ACCOUNT / "namespace"
    return file.read_text().strip() if file.is_file() else "default"


async def _configure(found: Configuration) -> None:
    if os.environ.get("KUBECONFIG") or not (_ACCOUNT / "token").is_file():
        file = os.environ.get("KUBECONFIG")
        await config.load_kube_config(config_file=file, client_configuration=found)  # type: ignore[no-untyped-call]
    else:
        config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]


async def _message(response: aiohttp.ClientResponse) -> str:
    """A Status object says it in words; a proxy in between may not."""
    text = await response.text()
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text[:300]


def _meaning(status: int, message: str) -> errors.PosologyError:
    match status:
        case 404:
            return errors.NotFound(message)
        case 409:
            return errors.AlreadyExists(message)
        case 401 | 403:
            said = f"the cluster does not allow it: {message}; see the role of this service's account"
            return errors.FailedPrecondition(said)
        case 400 | 413 | 422:
            return errors.InvalidInput(f"the cluster refuses it: {message}")
        case 410:
            return errors.Conflict(message)
    return Away(f"the cluster's API server answers {status}: {message}")
