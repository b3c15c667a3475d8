"""One attempt as a Job and its Secret: pure functions from a launch to what the API server takes."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from posology.core import errors
from posology.core.jobs import environment
from posology.core.jobs.domain import Resources, checkpoint_prefix
from posology.core.jobs.environment import SPEC_VARIABLE
from posology.core.jobs.exit_codes import FAILED, PEER_LOST_CODE, STOPPED_CODE, SUPERSEDED, UNDELIVERED_CODE
from posology.core.jobs.launchers.base import Launch
from posology.core.jobs.launchers.kubernetes import mounts
from posology.core.jobs.launchers.kubernetes.pods import NodePool, PodSettings
from posology.core.kube.pods import container_security, pod_security
from posology.core.tracing import VARIABLE as TRACE_VARIABLE

Manifest = dict[str, Any]

CONTAINER = "worker"
JOB_LABEL, ATTEMPT_LABEL, SERVICE_LABEL = "posology.dev/job", "posology.dev/attempt", "posology.dev/service"
SECRET_TYPE, SESSION_TYPE = "posology.dev/attempt", "posology.dev/session"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
JOB_ANNOTATION, RUN_ANNOTATION = "posology.dev/job-name", "posology.dev/run"
EXPECTED_ANNOTATION = "posology.dev/expected-memory"

_HOME = "/posology"
SESSION = f"{_HOME}/session"
"""Where a pod finds the credentials of its attempt."""
_SPEC, _SECRETS, _TLS, _SCRATCH = f"{_HOME}/spec", f"{_HOME}/secrets", f"{_HOME}/tls", f"{_HOME}/scratch"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
_CODES = [FAILED, SUPERSEDED, UNDELIVERED_CODE, PEER_LOST_CODE, STOPPED_CODE]
"""With which a worker ends by itself."""


def job_hash(job: str) -> str:
    """A label's value that stands for a job; names are too long and have slashes."""
    return hashlib.sha256(job.encode()).hexdigest()[:16]


def job_name(job: str, attempt: int) -> str:
    """Derived from job and attempt, so that a restarted service finds the same Job; at most 52 characters,
    because pods append to it."""
    words = re.sub(r"[^a-z0-9]+", "-", job.rpartition("/")[2].lower()).strip("-")[:30].strip("-")
    return f"{words or 'job'}-{job_hash(job)[:10]}-{attempt}"


def attempt_of(job: Mapping[str, Any]) -> tuple[str, int]:
    """Whose Job this is: the job's name and the attempt."""
    metadata = job["metadata"]
    return metadata["annotations"][JOB_ANNOTATION], int(metadata["labels"][ATTEMPT_LABEL])


def labels(job: str, attempt: int, service: str) -> dict[str, str]:
    """What selectors and network policies go by."""
    return {
        "app.kubernetes.io/name": "posology",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": f"posology-{service}",
        SERVICE_LABEL: service,
        JOB_LABEL: job_hash(job),
        ATTEMPT_LABEL: str(attempt),
    }


def render_job(launch: Launch, pods: PodSettings, *, service: str) -> Manifest:
    """The Job of one attempt. It makes one pod and never another: what comes next is the service's decision,
    because a second pod would need a token of its own."""
    pool, job_labels = pods.pool_for(launch.resources), labels(launch.job, launch.attempt, service)
    queue = {QUEUE_LABEL: launch.resources.queue} if launch.resources.queue else {}
    annotations = {JOB_ANNOTATION: launch.job, RUN_ANNOTATION: str(launch.assignment.get("run", ""))}
    if launch.resources.expected:
        annotations[EXPECTED_ANNOTATION] = launch.resources.expected
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(launch.job, launch.attempt),
            "labels": job_labels | queue,
            "annotations": annotations,
        },
        "spec": {
            **_several(launch),
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": pods.keep_seconds,
            "podFailurePolicy": {"rules": _rules()},
            "template": {
                "metadata": {"labels": job_labels, "annotations": annotations},
                "spec": _pod(launch, pods, pool),
            },
        },
    }


def _several(launch: Launch) -> Manifest:
    """A pod per node, each with a number and a name."""
    nodes = launch.resources.nodes
    return {"completionMode": "Indexed", "completions": nodes, "parallelism": nodes} if nodes > 1 else {}


def _rules() -> list[Manifest]:
    """Each names the cause on the Job, where `kubectl describe` shows it. A disruption is told apart from a
    failure even after its pod is gone; the service does not count it, and starts the next attempt."""
    return [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": _CODES},
        },
    ]


def render_secret(launch: Launch, pods: PodSettings, *, service: str, owner: Mapping[str, Any]) -> Manifest:
    """spec.json with the attempt's token. The Job `owner` takes it along when it is deleted."""
    spec = json.dumps({**launch.assignment, **_places(launch, pods)})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": owner["metadata"]["name"],
            "labels": labels(launch.job, launch.attempt, service),
            "ownerReferences": [_owned_by(owner)],
        },
        "immutable": True,
        "type": SECRET_TYPE,
        "stringData": {"spec.json": spec},
    }


def render_session(
    job: str, attempt: int, files: Mapping[str, str], *, service: str, owner: Mapping[str, Any]
) -> Manifest:
    """The credentials of an attempt as a Secret of their own, because they change. The Job `owner` takes it along."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": session_name(owner["metadata"]["name"]),
            "labels": labels(job, attempt, service),
            "ownerReferences": [_owned_by(owner)],
        },
        "type": SESSION_TYPE,
        "data": {name: b64encode(text.encode()).decode() for name, text in files.items()},
    }


def session_name(job: str) -> str:
    """Of the Secret with the credentials that the pods of Job `job` use."""
    return f"{job}-session"


def _owned_by(job: Mapping[str, Any]) -> Manifest:
    metadata = job["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


def secrets_of(assignment: Mapping[str, Any]) -> list[str]:
    """The secrets that an attempt's spec and its model endpoints refer to, wherever they do; only these reach its
    pod."""
    parts = (assignment["spec"], assignment.get("endpoints", {}))
    return sorted({reference for part in parts for reference in _references(part)})


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"credentialsSecret", "credentials_secret"} and isinstance(inner, str) and inner:
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references(inner)


def _places(launch: Launch, pods: PodSettings) -> Manifest:
    """Where the parts of the attempt lie in the pod. Local files end with it: the workdir is handed on
    through checkpoints in the staging area."""
    places: Manifest = {
        "workdir": f"{_SCRATCH}/work",
        "inputs": f"{_SCRATCH}/inputs",
        "secrets": _SECRETS,
        "secrets_kept": f"the Secret {pods.secrets}" if pods.secrets else "a Secret, which workers.secrets names",
        "checkpoints": checkpoint_prefix(launch.job),
        "service_file": None,  # a Service keeps its address
    }
    if "output" not in launch.assignment:  # else it lies on a volume, and nothing is copied
        places["output"] = f"{_SCRATCH}/output"
    tls = {"ca_file": f"{_TLS}/ca.crt", "cert_file": f"{_TLS}/tls.crt", "key_file": f"{_TLS}/tls.key"}
    return places | (tls if pods.tls_secret else {})


# --- the pod ----------------------------------------------------------------------------------------------


def _pod(launch: Launch, pods: PodSettings, pool: NodePool) -> Manifest:
    volumes = list(_volumes(launch, pods, pool))
    optional = {
        "tolerations": list(pool.tolerations),
        "imagePullSecrets": [{"name": name} for name in pods.image_pull_secrets],
        "subdomain": pods.peers if launch.resources.nodes > 1 else "",
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": pods.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pods.grace_seconds,
        "securityContext": pod_security() if pods.security_context is None else pods.security_context,
        "containers": [_container(launch, pods, pool, volume_mounts=[mount for mount, _ in volumes])],
        "volumes": list({volume["name"]: volume for _, volume in volumes}.values()),
        **pool.placement(launch.resources.gpus),
        **{key: value for key, value in optional.items() if value},
    }


def _container(launch: Launch, pods: PodSettings, pool: NodePool, *, volume_mounts: list[Manifest]) -> Manifest:
    storage = [{"secretRef": {"name": pods.storage_secret}}] if pods.storage_secret else []
    return {
        "name": CONTAINER,
        "image": pool.image or pods.image,
        "imagePullPolicy": pods.image_pull_policy,
        "command": [pods.python, "-m", launch.command.module],
        "workingDir": _SCRATCH,
        "env": [*_environment(launch, pods), *_peers(launch, pods)],
        **({"envFrom": storage} if storage else {}),
        "resources": _resources(launch.resources, pool),
        "securityContext": container_security(),
        "volumeMounts": volume_mounts,
    }


def _environment(launch: Launch, pods: PodSettings) -> list[Manifest]:
    """Threads follow the CPU limit, or the node's CPUs where there is none: more of them cost a factor of 5."""
    threads = {"resourceFieldRef": {"containerName": CONTAINER, "resource": "limits.cpu", "divisor": "1"}}
    plain = {
        "HOME": _SCRATCH,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "TOKENIZERS_PARALLELISM": "false",
        **pods.environment,
        **launch.command.environment,
        **({TRACE_VARIABLE: str(traced)} if (traced := launch.assignment.get("traceparent")) else {}),
        SPEC_VARIABLE: f"{_SPEC}/spec.json",
    }
    return [{"name": name, "valueFrom": threads} for name in _THREADS if name not in plain] + [
        {"name": name, "value": value} for name, value in plain.items()
    ]


def _peers(launch: Launch, pods: PodSettings) -> list[Manifest]:
    """Which of several pods this one is, and where the first one listens."""
    nodes = launch.resources.nodes
    if nodes == 1:
        return []
    if not pods.peers:
        fault = "this installation has no Service by which several pods find each other (peers)"
        raise errors.InvalidInput.of([errors.Violation("resources.nodes", fault)])
    number = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    return [
        {"name": environment.NODES, "value": str(nodes)},
        {"name": environment.NODE_RANK, "valueFrom": number},
        {"name": environment.FIRST_NODE, "value": f"{job_name(launch.job, launch.attempt)}-0.{pods.peers}"},
    ]


def _resources(resources: Resources, pool: NodePool) -> Manifest:
    """Memory and GPUs are limits; a CPU limit is set where one was stated, the pool's CPUs are only asked for."""
    memory = _quantity(resources.memory) if resources.memory else pool.memory
    cpus = str(resources.cpus) if resources.cpus else pool.cpus
    requests = {"cpu": cpus, "memory": memory}
    limits = {"cpu": str(resources.cpus) if resources.cpus else "", "memory": memory}
    stated = {
        kind: {name: amount for name, amount in amounts.items() if amount}
        for kind, amounts in (("requests", requests), ("limits", limits))
    }
    return pool.with_gpus(stated, resources.gpus)


def _quantity(size: int) -> str:
    return f"{size >> 20}Mi" if size % (1 << 20) == 0 else str(size)


def _volumes(launch: Launch, pods: PodSettings, pool: NodePool) -> Iterator[tuple[Manifest, Manifest]]:
    """Pairs of mount and volume; several mounts may be of one volume."""
    name = job_name(launch.job, launch.attempt)
    yield _mounted("spec", _SPEC, {"secret": {"secretName": name, "defaultMode": 0o440}}, read_only=True)
    limit = {"sizeLimit": pods.scratch} if pods.scratch else {}
    if pods.storage_role:
        source = {"secretName": session_name(name), "defaultMode": 0o440}
        yield _mounted("session", SESSION, {"secret": source}, read_only=True)
    yield _mounted("scratch", _SCRATCH, {"emptyDir": limit})
    yield _mounted("tmp", "/tmp", {"emptyDir": limit})
    keys = secrets_of(launch.assignment) if pods.secrets else []
    if keys:
        items = [{"key": key, "path": key} for key in keys]
        # Optional: a key that is not there is the worker's to name, in the words of every other launcher.
        source = {"secretName": pods.secrets, "items": items, "defaultMode": 0o440, "optional": True}
        yield _mounted("secrets", _SECRETS, {"secret": source}, read_only=True)
    if pods.tls_secret:
        source = {"secretName": pods.tls_secret, "defaultMode": 0o440}
        yield _mounted("tls", _TLS, {"secret": source}, read_only=True)
    if launch.resources.gpus:
        yield _mounted("shm", "/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": pool.shared_memory}})
    for number, volume in enumerate(pods.volumes):
        claim = {"persistentVolumeClaim": {"claimName": volume.claim, "readOnly": volume.read_only}}
        for mount in mounts.shown(launch, volume):
            yield _mounted(f"data-{number}", mount.path, claim, read_only=mount.read_only, within=mount.within)


def _mounted(
    name: str, path: str, source: Manifest, *, read_only: bool = False, within: str = ""
) -> tuple[Manifest, Manifest]:
    mount = {"name": name, "mountPath": path, "subPath": within, "readOnly": read_only}
    return {key: value for key, value in mount.items() if value}, {"name": name, **source}
