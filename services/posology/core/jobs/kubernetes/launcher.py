"""Workers as Jobs. Needs, in the workers' namespace: jobs (create get list watch delete), pods (get list watch
delete), events (list), secrets (create delete). It reads no Secret."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from posology.core import errors
from posology.core.jobs.kubernetes import manifest, observing
from posology.core.jobs.kubernetes.cluster import Cluster
from posology.core.jobs.kubernetes.pods import PodSettings
from posology.core.jobs.kubernetes.watching import Watched
from posology.core.jobs.launcher import Handle, Launch, Observation

_OF_JOB = "batch.kubernetes.io/job-name"
_ASK_EVENTS_SECONDS = 5.0


class KubernetesLauncher:
    """Runs the workers of `service` as Jobs in the namespace that `pods` names."""

    def __init__(self, pods: PodSettings, *, service: str) -> None:
        self._settings = pods
        self._service = service
        self._cluster = Cluster(pods.namespace)
        selector = f"{manifest.SERVICE_LABEL}={service}"
        self._jobs = Watched(self._cluster, "jobs", selector)
        self._pods = Watched(self._cluster, "pods", selector)
        self._hindrances: dict[str, tuple[float, str]] = {}

    async def launch(self, launch: Launch) -> Handle:
        """The Job first, because it owns the Secret; its pod waits for that a moment."""
        job = manifest.render_job(launch, self._settings, service=self._service)
        try:
            made = await self._cluster.create("jobs", job)
        except errors.AlreadyExists:
            made = await self._mine(launch.job, launch.attempt, job["metadata"]["name"])
        secret = manifest.render_secret(launch, self._settings, service=self._service, owner=made)
        await self._cluster.create("secrets", secret)
        self._jobs.put(made)
        return self._handle(made)

    async def find(self, job: str, attempt: int) -> Handle | None:
        """A Job whose Secret was never made can't start: it is ended, and counts as not found."""
        found = await self._cluster.get("jobs", manifest.job_name(job, attempt))
        if found is None:
            return None
        handle = self._handle(found)
        if not found["metadata"].get("deletionTimestamp") and await self._lacks_secret(found):
            await self.kill(handle)
            return None
        return handle

    async def observe(self, handle: Handle) -> Observation:
        self._jobs.start()
        self._pods.start()
        job, pods = await self._look(handle)
        hindrance = await self._hindrance(handle) if observing.needs_events(job, pods) else ""
        return observing.observe(job, pods, hindrance=hindrance)

    async def stop(self, handle: Handle) -> None:
        """Deleting the Job sends its pod SIGTERM, and SIGKILL after the grace; the Job goes last."""
        await self._delete(handle, propagationPolicy="Foreground")

    async def kill(self, handle: Handle) -> None:
        """Without waiting for a node that may be gone. What still runs there can publish nothing."""
        await self._delete(handle, propagationPolicy="Background")
        for pod in await self._pods_of(handle):
            await self._cluster.delete("pods", pod["metadata"]["name"], gracePeriodSeconds=0)

    async def clean(self, job: str) -> None:
        """The tokens go; Jobs and pods stay for their logs, until their time is over."""
        selector = f"{manifest.JOB_LABEL}={manifest.job_hash(job)},{manifest.SERVICE_LABEL}={self._service}"
        found = await self._cluster.list("jobs", labelSelector=selector)
        for item in found["items"]:
            await self._cluster.delete("secrets", item["metadata"]["name"])
            self._hindrances.pop(item["metadata"]["name"], None)

    async def close(self) -> None:
        await asyncio.gather(self._jobs.stop(), self._pods.stop())
        await self._cluster.close()

    # --- details ---------------------------------------------------------------------------------------

    def _handle(self, job: Mapping[str, Any]) -> Handle:
        metadata = job["metadata"]
        return {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}

    async def _mine(self, job: str, attempt: int, name: str) -> dict[str, Any]:
        """The Job that an earlier call made for this very attempt."""
        found = await self._cluster.get("jobs", name)
        annotated = (found or {}).get("metadata", {}).get("annotations", {})
        if found is None or annotated.get(manifest.JOB_ANNOTATION) != job:
            raise errors.FailedPrecondition(f"there is a Job {name} already, and it is not ours (attempt {attempt})")
        return found

    async def _lacks_secret(self, job: Mapping[str, Any]) -> bool:
        """By trying to make it: reading Secrets is more than this service should be allowed to do."""
        name = job["metadata"]["name"]
        probe = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "posology.dev/attempt"}
        try:
            await self._cluster.create("secrets", probe, dry_run=True)
        except errors.AlreadyExists:
            return False
        return True

    async def _look(self, handle: Handle) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """From the watch; by asking, as long as there is none."""
        if self._jobs.fresh and self._pods.fresh:
            job = self._jobs.get(handle["name"])
            if job is not None and job["metadata"]["uid"] == handle["uid"]:
                return job, self._watched_pods(handle)
        found = await self._cluster.get("jobs", handle["name"])
        job = found if found and found["metadata"]["uid"] == handle["uid"] else None
        return job, await self._pods_of(handle)

    def _watched_pods(self, handle: Handle) -> list[dict[str, Any]]:
        return _of(handle, self._pods.labelled(_OF_JOB, handle["name"]))

    async def _pods_of(self, handle: Handle) -> list[dict[str, Any]]:
        listed = await self._cluster.list("pods", labelSelector=f"{_OF_JOB}={handle['name']}")
        return _of(handle, listed["items"])

    async def _hindrance(self, handle: Handle) -> str:
        """Why there is no pod, asked for rarely: normally there is one at once."""
        asked, said = self._hindrances.get(handle["name"], (0.0, ""))
        clock = time.monotonic()
        if not asked:
            self._hindrances[handle["name"]] = (clock, "")
        elif clock - asked > _ASK_EVENTS_SECONDS:
            listed = await self._cluster.list("events", fieldSelector=f"involvedObject.uid={handle['uid']}")
            said = observing.hindrance(listed["items"])
            self._hindrances[handle["name"]] = (clock, said)
        return said

    async def _delete(self, handle: Handle, **options: Any) -> None:
        """This very Job, not a later one of its name."""
        try:
            await self._cluster.delete("jobs", handle["name"], preconditions={"uid": handle["uid"]}, **options)
        except errors.AlreadyExists:  # how the server says that the uid is another one
            return


def _of(handle: Handle, pods: Any) -> list[dict[str, Any]]:
    """The pods of this Job, oldest first."""
    mine = [
        pod
        for pod in pods
        if any(owner["uid"] == handle["uid"] for owner in pod["metadata"].get("ownerReferences", ()))
    ]
    return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
