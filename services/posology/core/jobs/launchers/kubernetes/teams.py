"""A namespace for the workers of each team: none holds a signing key, and each has quotas and queues of its own."""

import asyncio

from posology.core.jobs.launchers.base import Handle, Launch, Observation
from posology.core.jobs.launchers.kubernetes.launcher import KubernetesLauncher
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.jobs.launchers.kubernetes.sts_credentials import StsCredentials
from posology.core.kube import ClusterConfig

_OWN = ""
"""The namespace of this process, where releases before this one ran their workers."""


class TeamLauncher:
    """A KubernetesLauncher for each namespace that `pods` names, chosen by the namespace in the job's name.

    A handle says in which namespace its Job is, so a job stays where it was started when the settings change.
    """

    def __init__(
        self,
        pods: PodSettings,
        *,
        service: str,
        sessions: StsCredentials | None = None,
        access: ClusterConfig | None = None,
    ) -> None:
        self._pods = pods
        self._service = service
        self._sessions = sessions
        self._access = access
        self._launchers: dict[str, KubernetesLauncher] = {}

    async def launch(self, launch: Launch) -> Handle:
        return await self._at(self._pods.namespace_for(launch.job)).launch(launch)

    async def find(self, job: str, attempt: int) -> Handle | None:
        home = self._pods.namespace_for(job)
        handle = await self._at(home).find(job, attempt)
        if handle is None and self._pods.left_behind and home != _OWN:
            return await self._at(_OWN).find(job, attempt)
        return handle

    async def observe(self, handle: Handle) -> Observation:
        return await self._of(handle).observe(handle)

    async def stop(self, handle: Handle) -> None:
        await self._of(handle).stop(handle)

    async def kill(self, handle: Handle) -> None:
        await self._of(handle).kill(handle)

    async def clean(self, job: str) -> None:
        await self._at(self._pods.namespace_for(job)).clean(job)

    async def close(self) -> None:
        """The next call opens them again."""
        await asyncio.gather(*(launcher.close() for launcher in self._launchers.values()))

    def _of(self, handle: Handle) -> KubernetesLauncher:
        """A handle without a namespace is of an earlier release, which had one namespace."""
        before = _OWN if self._pods.left_behind else self._pods.namespace
        return self._at(handle.get("namespace", before))

    def _at(self, namespace: str) -> KubernetesLauncher:
        if namespace not in self._launchers:
            pods = self._pods.model_copy(update={"namespace": namespace})
            self._launchers[namespace] = KubernetesLauncher(
                pods, service=self._service, sessions=self._sessions, access=self._access
            )
        return self._launchers[namespace]
