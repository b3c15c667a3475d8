"""A namespace for the engines of each team: none of them holds a signing key, and each has its own quotas.

Engines that an earlier release left in the namespace of this process move without a gap: the successor starts in its
team's namespace, the old one answers until the new one is ready, and is drained then.
"""

import asyncio
from collections.abc import Iterable

from posology.core.kube import ClusterConfig
from posology.serving.domain import ReplicaState, Status
from posology.serving.kubernetes.launcher import KubernetesLauncher
from posology.serving.kubernetes.manifest import Renderer
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.launcher import Launch

_OWN = ""
"""The namespace of this process, where releases before this one ran their engines."""


class TeamLauncher:
    """A KubernetesLauncher for each namespace that `pods` names, chosen by the namespace in the deployment's name."""

    def __init__(self, pods: EnginePods, renderer: Renderer, *, access: ClusterConfig | None = None) -> None:
        self._pods = pods
        namespaces = {pods.namespace, *pods.teams.values()}
        self._homes = {name: self._launcher(name, renderer, access) for name in sorted(namespaces)}
        leaves = pods.left_behind and _OWN not in namespaces
        self._left_behind = self._launcher(_OWN, renderer, access) if leaves else None
        self._lies: dict[str, str] = {}
        """Replica -> the namespace where it was started or seen."""
        self._moved: set[str] = set()
        """Replicas of which nothing is left behind."""

    async def start(self, launch: Launch) -> None:
        """One that runs stays in its namespace when the settings change. Without a second set of GPUs (`surge` off)
        the one left behind makes room first."""
        if await self._status(launch.replica) is None:
            self._lies[launch.replica] = self._pods.namespace_for(launch.deployment)
        home = self._lies[launch.replica]
        old = self._old(launch.replica)
        if old is not None and not self._pods.surge:
            await old.stop(launch.replica)
        await self._homes[home].start(launch)

    async def observe(self, replica: str) -> Status | None:
        """The successor's word once it is ready, and that of the one left behind until then."""
        status = await self._status(replica)
        old = self._old(replica)
        before = await old.observe(replica) if old is not None else None
        if old is None or before is None:
            self._forget_old(replica, gone=status is not None)
            return status
        if status is None or (status.state is not ReplicaState.READY and before.state is ReplicaState.READY):
            return before
        if status.state is ReplicaState.READY:
            await self._retire(old, replica)
        return status

    async def alive(self, replica: str) -> bool:
        return any([await launcher.alive(replica) for launcher in self._everywhere(replica)])

    async def stop(self, replica: str) -> None:
        for launcher in self._everywhere(replica):
            await launcher.stop(replica)

    async def kill(self, replica: str) -> None:
        for launcher in self._everywhere(replica):
            await launcher.kill(replica)

    async def forget(self, replica: str) -> None:
        for launcher in self._everywhere(replica):
            await launcher.forget(replica)
        self._lies.pop(replica, None)
        self._moved.discard(replica)

    async def close(self) -> None:
        """The next call opens them again."""
        launchers = [*self._homes.values(), *([self._left_behind] if self._left_behind else [])]
        await asyncio.gather(*(launcher.close() for launcher in launchers))

    # --- details ---------------------------------------------------------------------------------------

    def _launcher(self, namespace: str, renderer: Renderer, access: ClusterConfig | None) -> KubernetesLauncher:
        pods = self._pods.model_copy(update={"namespace": namespace})
        return KubernetesLauncher(pods, renderer, access=access)

    async def _status(self, replica: str) -> Status | None:
        for namespace in self._namespaces(replica):
            if (status := await self._homes[namespace].observe(replica)) is not None:
                self._lies[replica] = namespace
                return status
        return None

    def _namespaces(self, replica: str) -> Iterable[str]:
        """Where it may be: a replica's id does not say whose it is."""
        return [self._lies[replica]] if replica in self._lies else self._homes

    def _everywhere(self, replica: str) -> list[KubernetesLauncher]:
        old = self._old(replica)
        return [*(self._homes[name] for name in self._namespaces(replica)), *([old] if old is not None else [])]

    def _old(self, replica: str) -> KubernetesLauncher | None:
        return None if replica in self._moved else self._left_behind

    def _forget_old(self, replica: str, *, gone: bool) -> None:
        """Nothing is ever started there again, so it need not be asked for once its successor is there."""
        if gone and self._left_behind is not None:
            self._moved.add(replica)

    async def _retire(self, old: KubernetesLauncher, replica: str) -> None:
        """Drain it; what is left of it goes once it has ended."""
        if await old.alive(replica):
            await old.stop(replica)
        else:
            await old.forget(replica)
