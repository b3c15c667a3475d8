"""Workers as Jobs. Needs, in the workers' namespace: jobs (create get list watch delete), pods (list watch
delete), events (list), secrets (create): it can read no Secret, and remove none but by its Job. With credentials for
each attempt, also secrets (patch), to renew them; with Kueue, workloads (list), to say what a queue lacks."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from posology.core import errors
from posology.core.jobs.launchers.base import Handle, Launch, LauncherUnavailable, Observation
from posology.core.jobs.launchers.kubernetes import manifest, mounts, observing
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.jobs.launchers.kubernetes.sts_credentials import StsCredentials
from posology.core.kube import ClusterConfig, NamespacedClient, Resource
from posology.core.kube.informer import Informer

log = logging.getLogger("posology.jobs")

JOBS, PODS = Resource("batch/v1", "jobs"), Resource("v1", "pods")
SECRETS, EVENTS = Resource("v1", "secrets"), Resource("v1", "events")
WORKLOADS = Resource("kueue.x-k8s.io/v1beta1", "workloads")
_OF_WORKLOAD = "kueue.x-k8s.io/job-uid"
_OF_JOB = "batch.kubernetes.io/job-name"
_ASK_EVENTS_SECONDS = 5.0
_ASK_WORKLOAD_SECONDS = 1.0


class KubernetesLauncher:
    """Runs the workers of `service` as Jobs in the namespace that `pods` names, on the cluster of this process
    or of KUBECONFIG. With `sessions` each attempt has storage credentials of its own."""

    def __init__(
        self,
        pods: PodSettings,
        *,
        service: str,
        sessions: StsCredentials | None = None,
        access: ClusterConfig | None = None,
    ) -> None:
        more = sessions.environment if sessions else {}
        self._settings = pods.model_copy(update={"environment": pods.environment | more})
        self._sessions = sessions
        self._service = service
        self._client = NamespacedClient(pods.namespace, access=access)
        selector = f"{manifest.SERVICE_LABEL}={service}"
        self._jobs = Informer(JOBS, selector)
        self._pods = Informer(PODS, selector)
        self._hindrances: dict[str, tuple[float, str]] = {}
        self._workloads: dict[str, tuple[float, dict[str, Any] | None]] = {}

    async def launch(self, launch: Launch) -> Handle:
        """The Job first, because it owns its Secrets; its pod waits for them a moment."""
        if self._sessions:
            launch = replace(launch, assignment={**launch.assignment, "stores": [self._sessions.candidates]})
        job = manifest.render_job(launch, self._settings, service=self._service)
        try:
            await asyncio.to_thread(mounts.make, launch, self._settings)
            files = await self._credentials(launch.job, launch.attempt)
            made = await self._make(job, launch)
            await self._give(made, files)
            secret = manifest.render_secret(launch, self._settings, service=self._service, owner=made)
            await self._client.create(SECRETS, secret)
        except errors.Unavailable as error:
            raise LauncherUnavailable(error.message) from error
        self._jobs.put(made)
        return self._handle(made)

    async def find(self, job: str, attempt: int) -> Handle | None:
        """A Job whose Secret was never made can't start: it is ended, and counts as not found."""
        existing = await self._client.find(JOBS, manifest.job_name(job, attempt))
        if existing is None:
            return None
        handle = self._handle(existing)
        if not existing["metadata"].get("deletionTimestamp") and await self._lacks_secret(handle):
            await self.kill(handle)
            return None
        return handle

    async def observe(self, handle: Handle) -> Observation:
        self._client.follow(self._jobs, self._pods)
        job, pods = await self._look(handle)
        hindrance = await self._hindrance(handle) if observing.needs_events(job, pods) else ""
        workload = await self._workload(handle) if job is not None and job["spec"].get("suspend") else None
        observation = observing.observe(job, pods, hindrance=hindrance, workload=workload)
        if not observation.alive:
            self._forget_about(handle)
        elif job is not None:
            await self._renew(job)
        return observation

    async def stop(self, handle: Handle) -> None:
        """Deleting the Job sends its pod SIGTERM, and SIGKILL after the grace; the Job goes last."""
        await self._delete(handle, propagationPolicy="Foreground")

    async def kill(self, handle: Handle) -> None:
        """Without waiting for a node that may be gone. What still runs there can publish nothing."""
        await self._delete(handle, propagationPolicy="Background")
        for pod in await self._pods_of(handle):
            await self._client.remove(PODS, pod["metadata"]["name"], gracePeriodSeconds=0)

    async def clean(self, job: str) -> None:
        """Nothing to do: local files went with the pods; Jobs stay for their logs, until their time is over, and
        take their Secrets along, whose tokens open nothing any more."""

    async def close(self) -> None:
        """The next call opens it again."""
        await asyncio.gather(self._jobs.stop(), self._pods.stop())
        await self._client.close()

    # --- credentials -----------------------------------------------------------------------------------

    async def _renew(self, job: dict[str, Any]) -> None:
        """Give it new credentials in time, and at once after a restart of this service, which remembers none. Without
        an STS the worker goes on with what it has."""
        if self._sessions is None or not self._sessions.due(job["metadata"]["uid"]):
            return
        try:
            await self._give(job, await self._credentials(*manifest.attempt_of(job)))
        except errors.PosologyError as error:
            log.warning("credentials of a worker are not renewed yet", extra={"reason": error.message})
            self._sessions.postpone()

    async def _credentials(self, job: str, attempt: int) -> Mapping[str, str]:
        if self._sessions is None:
            return {}
        return await self._sessions.files(job, attempt, name=manifest.job_name(job, attempt))

    async def _give(self, job: dict[str, Any], files: Mapping[str, str]) -> None:
        """The pod sees them about a minute later."""
        if self._sessions is None:
            return
        name, attempt = manifest.attempt_of(job)
        secret = manifest.render_session(name, attempt, files, service=self._service, owner=job)
        await self._client.apply(SECRETS, secret)
        self._sessions.given(job["metadata"]["uid"])

    # --- details ---------------------------------------------------------------------------------------

    def _forget_about(self, handle: Handle) -> None:
        """What was remembered of a worker that is gone."""
        self._hindrances.pop(handle["name"], None)
        self._workloads.pop(handle["name"], None)
        if self._sessions:
            self._sessions.forget(handle["uid"])

    def _handle(self, job: Mapping[str, Any]) -> Handle:
        metadata = job["metadata"]
        return {"name": metadata["name"], "uid": metadata["uid"], "namespace": self._settings.namespace}

    async def _make(self, job: dict[str, Any], launch: Launch) -> dict[str, Any]:
        """The new Job, or the one that an earlier call made for this very attempt."""
        try:
            return await self._client.create(JOBS, job)
        except errors.AlreadyExists:
            name = job["metadata"]["name"]
            existing = await self._client.find(JOBS, name)
            annotations = existing["metadata"].get("annotations", {}) if existing else {}
            if existing is None or annotations.get(manifest.JOB_ANNOTATION) != launch.job:
                raise errors.FailedPrecondition(
                    f"there is a Job {name} in {self._client.namespace} that is not ours"
                ) from None
            return existing

    async def _lacks_secret(self, handle: Handle) -> bool:
        """By trying to make it: reading Secrets is more than this service should be allowed to do. Where it may make
        none any more, an earlier release made the Job with all that belongs to it."""
        probe = {"metadata": {"name": handle["name"]}, "type": manifest.SECRET_TYPE}
        try:
            await self._client.create(SECRETS, probe, dry_run=True)
        except (errors.AlreadyExists, errors.PermissionDenied):
            return False
        return True

    async def _look(self, handle: Handle) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """From the watch; by asking, as long as there is none, and for what it does not know."""
        if self._jobs.fresh and self._pods.fresh:
            job = self._jobs.get(handle["name"])
            if job is not None and job["metadata"]["uid"] == handle["uid"]:
                return job, _of(handle, self._pods.labelled(_OF_JOB, handle["name"]))
        existing = await self._client.find(JOBS, handle["name"])
        job = existing if existing and existing["metadata"]["uid"] == handle["uid"] else None
        return job, await self._pods_of(handle)

    async def _pods_of(self, handle: Handle) -> list[dict[str, Any]]:
        listed = await self._client.select(PODS, labels=f"{_OF_JOB}={handle['name']}")
        return _of(handle, listed)

    async def _hindrance(self, handle: Handle) -> str:
        """Why there is no pod, asked for rarely: normally there is one at once."""
        asked_at, hindrance = self._hindrances.get(handle["name"], (0.0, ""))
        clock = time.monotonic()
        if not asked_at:
            self._hindrances[handle["name"]] = (clock, "")
        elif clock - asked_at > _ASK_EVENTS_SECONDS:
            listed = await self._client.select(EVENTS, fields=f"involvedObject.uid={handle['uid']}")
            hindrance = observing.hindrance(listed)
            self._hindrances[handle["name"]] = (clock, hindrance)
        return hindrance

    async def _workload(self, handle: Handle) -> dict[str, Any] | None:
        """What Kueue keeps about a Job, asked for rarely; None where there is none, or it may not be read."""
        asked_at, workload = self._workloads.get(handle["name"], (float("-inf"), None))
        clock = time.monotonic()
        if clock - asked_at > _ASK_WORKLOAD_SECONDS:
            workload = await self._asked_workload(handle)
            self._workloads[handle["name"]] = (clock, workload)
        return workload

    async def _asked_workload(self, handle: Handle) -> dict[str, Any] | None:
        try:
            listed = await self._client.select(WORKLOADS, labels=f"{_OF_WORKLOAD}={handle['uid']}")
        except (errors.NotFound, errors.PermissionDenied):
            return None
        return listed[0] if listed else None

    async def _delete(self, handle: Handle, **options: Any) -> None:
        """This very Job, not a later one of its name."""
        with suppress(errors.Conflict):  # how the server says that the uid is another one
            await self._client.remove(JOBS, handle["name"], preconditions={"uid": handle["uid"]}, **options)


def _of(handle: Handle, pods: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods of this Job, oldest first."""
    mine = [pod for pod in pods if handle["uid"] in {owner["uid"] for owner in pod["metadata"]["ownerReferences"]}]
    return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
