"""Engines as Deployments. Needs, in their namespace: deployments (create get list watch patch delete), services
(create patch), secrets (create), pods (list watch delete), and to get its own service account: it reads no Secret."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from posology.core import errors
from posology.core.kube import ClusterConfig, NamespacedClient, Resource
from posology.core.kube.informer import Informer
from posology.serving.domain import ReplicaState, Status
from posology.serving.kubernetes import manifest, observing
from posology.serving.kubernetes.manifest import AGENT_PORT, NONCE, REPLICA_LABEL, TLS_VOLUME, Renderer
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.launcher import Launch

log = logging.getLogger("posology.serving")

DEPLOYMENTS, PODS = Resource("apps/v1", "deployments"), Resource("v1", "pods")
SERVICES, SECRETS = Resource("v1", "services"), Resource("v1", "secrets")
ACCOUNTS = Resource("v1", "serviceaccounts")
_NOTHING_TO_DRAIN_SECONDS = 10
Object = dict[str, Any]


class KubernetesLauncher:
    """Runs agents and engines in the namespace that `pods` names, on the cluster of this process or of KUBECONFIG."""

    def __init__(self, pods: EnginePods, renderer: Renderer, *, access: ClusterConfig | None = None) -> None:
        self._settings = pods
        self._renderer = renderer
        self._client = NamespacedClient(pods.namespace, access=access)
        self._owners: list[Object] | None = None
        self._refused: dict[str, str] = {}
        labels = ",".join(f"{name}={value}" for name, value in manifest.selector(pods.labels).items())
        self._deployments = Informer(DEPLOYMENTS, labels)
        self._pods = Informer(PODS, labels)

    async def start(self, launch: Launch) -> None:
        """The Deployment first, because it owns the rest. What the API server refuses is this replica's failure,
        and no reason to leave the others alone."""
        self._refused.pop(launch.replica, None)
        try:
            await self._apply(launch)
        except errors.Retryable:
            raise
        except errors.PosologyError as error:
            log.warning("could not start %s: %s", launch.replica, error.message)
            self._refused[launch.replica] = f"the cluster refuses it: {error.message}"

    async def observe(self, replica: str) -> Status | None:
        deployment, pods = await self._look(replica)
        if deployment is not None:
            return observing.status(deployment, pods, url=self._url(deployment))
        refused = self._refused.get(replica)
        return Status(ReplicaState.FAILED, refused) if refused else None

    async def alive(self, replica: str) -> bool:
        return observing.is_alive(*await self._look(replica))

    async def stop(self, replica: str) -> None:
        """Without a pod to want, its pod drains; the Service stays until then, because answers pass through it."""
        deployment, pods = await self._look(replica)
        if deployment is None or not deployment["spec"].get("replicas", 1):
            return
        if observing.answers(pods):
            change = {"spec": {"replicas": 0}}
            with suppress(errors.NotFound):
                await self._client.merge(DEPLOYMENTS, self._renderer.name(replica), change)
        else:  # an engine that loads would hear SIGTERM only afterwards
            await self._remove(replica, grace=_NOTHING_TO_DRAIN_SECONDS)

    async def kill(self, replica: str) -> None:
        """Without waiting for a node that may be gone."""
        await self._remove(replica, grace=0)

    async def forget(self, replica: str) -> None:
        """Secret and Service go with their owner."""
        self._refused.pop(replica, None)
        await self._client.remove(DEPLOYMENTS, self._renderer.name(replica), propagationPolicy="Background")

    async def close(self) -> None:
        """The next call opens it again."""
        await asyncio.gather(self._deployments.stop(), self._pods.stop())
        await self._client.close()

    # --- details ---------------------------------------------------------------------------------------

    def _url(self, deployment: Object) -> str:
        """As this engine listens: one that an earlier release started may have had no certificate."""
        volumes = deployment["spec"]["template"]["spec"].get("volumes", ())
        scheme = "https" if any(volume["name"] == TLS_VOLUME for volume in volumes) else "http"
        return f"{scheme}://{deployment['metadata']['name']}.{self._client.namespace}.svc:{AGENT_PORT}"

    async def _apply(self, launch: Launch) -> None:
        name = self._renderer.name(launch.replica)
        nonce = await self._nonce(name) or secrets.token_hex(4)
        deployment = self._renderer.deployment(launch, nonce=nonce, owners=await self._owned())
        made = await self._client.apply(DEPLOYMENTS, deployment)
        with suppress(errors.AlreadyExists):
            secret = self._renderer.secret(launch, nonce=nonce, owner=made)
            await self._client.create(SECRETS, secret)
        await self._client.apply(SERVICES, self._renderer.service(launch, owner=made))
        self._deployments.put(made)

    async def _nonce(self, name: str) -> str:
        """That of the Deployment as it is; "" if there is none."""
        deployment = await self._client.find(DEPLOYMENTS, name)
        return str(deployment["metadata"].get("annotations", {}).get(NONCE, "")) if deployment else ""

    async def _owned(self) -> list[Object]:
        """The service account of this service: it goes when the installation goes, and never before."""
        if self._owners is None:
            self._owners = [await self._owner(self._settings.owner)] if self._settings.owner else []
        return self._owners

    async def _owner(self, name: str) -> Object:
        account = await self._client.read(ACCOUNTS, name)
        return {"apiVersion": "v1", "kind": "ServiceAccount", "name": name, "uid": account["metadata"]["uid"]}

    async def _look(self, replica: str) -> tuple[Object | None, Sequence[Object]]:
        """From the watch; by asking, as long as there is none, and for what it does not know."""
        self._client.follow(self._deployments, self._pods)
        name, label = self._renderer.name(replica), manifest.replica_hash(replica, self._settings.labels)
        if self._deployments.fresh and self._pods.fresh and (deployment := self._deployments.get(name)) is not None:
            return deployment, _by_age(self._pods.labelled(REPLICA_LABEL, label))
        deployment = await self._client.find(DEPLOYMENTS, name)
        return deployment, _by_age(await self._pods_of(label)) if deployment else []

    async def _pods_of(self, label: str) -> list[Object]:
        return await self._client.select(PODS, labels=f"{REPLICA_LABEL}={label}")

    async def _remove(self, replica: str, *, grace: int) -> None:
        """The Deployment with everything that it owns. Its pods first, because the garbage collector would give them
        their whole grace, and a kubelet takes no shorter one once it waits for a hook."""
        for pod in await self._pods_of(manifest.replica_hash(replica, self._settings.labels)):
            await self._client.remove(PODS, pod["metadata"]["name"], gracePeriodSeconds=grace)
        await self.forget(replica)


def _by_age(pods: Any) -> list[Object]:
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
