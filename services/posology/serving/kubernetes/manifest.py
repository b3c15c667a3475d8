"""One replica as a Deployment, a Service and a Secret: pure functions from a launch to what the API server takes."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from posology.core.artifacts.manifest import check_digest
from posology.core.kube.pods import container_security, pod_security
from posology.engine import EngineConfig, EngineHost
from posology.engine.command import command, environment
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.launcher import Launch

Manifest = dict[str, Any]

AGENT, ENGINE = "agent", "engine"
"""Names of the two containers."""
REPLICA_LABEL, DEPLOYMENT_LABEL, MODEL_LABEL = "posology.dev/replica", "posology.dev/deployment", "posology.dev/model"
SECRET_TYPE = "posology.dev/agent"
NONCE = "posology.dev/secret"
"""Annotation: the end of the name of the replica's Secret."""
AGENT_PORT, ENGINE_PORT = 8080, 8000
_HOME = "/posology"
_WEIGHTS, _STATE, _CACHE = f"{_HOME}/weights", f"{_HOME}/state", f"{_HOME}/cache"
_TLS = f"{_HOME}/tls"
TLS_VOLUME = "tls"
"""Volume of an agent that speaks TLS; one without it speaks plain HTTP."""
_LAST_WORD = "/dev/termination-log"
_NODE_LOST = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_NODE_LOST_SECONDS = 60


def replica_hash(replica: str, labels: Mapping[str, str]) -> str:
    """A label's value that stands for a replica of one installation."""
    identity = json.dumps([replica, dict(labels)], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def object_name(replica: str, labels: Mapping[str, str]) -> str:
    """Derived from the replica's id, so that a restarted service finds the same objects; a DNS label."""
    words = re.sub(r"[^a-z0-9]+", "-", replica.partition(".")[2].lower()).strip("-")[:32].strip("-")
    return f"engine-{words or 'x'}-{replica_hash(replica, labels)[:8]}"


def selector(labels: Mapping[str, str]) -> dict[str, str]:
    """What all engines of an installation have in common."""
    return {"app.kubernetes.io/name": "posology", "app.kubernetes.io/component": "engine", **labels}


def drain_path(token: str) -> str:
    """Where the kubelet tells the agent to drain. A hook can't read a Secret, so the path, which whoever may read
    pods can see, is derived from the token: it opens nothing else."""
    return f"/drain/{hmac.digest(token.encode(), b'drain', 'sha256').hex()[:32]}"


class Renderer:
    """What is the same for every replica; `keys` are the public keys as they lie in this service."""

    def __init__(
        self,
        pods: EnginePods,
        *,
        released_url: str,
        keys: Sequence[Path],
        revoked: Path,
        policy_file: Path = Path("release-policy.dsse.json"),
        policy_keys: Sequence[Path] = (),
        review_keys: Sequence[Path] = (),
        deny_list_file: Path = Path("/etc/posology/deny-list/deny-list.dsse.json"),
        deny_list_keys: Sequence[Path] = (),
        log_level: str = "INFO",
    ) -> None:
        self._pods = pods
        self._released_url = released_url
        self._keys = tuple(keys)
        self._revoked = revoked
        self._policy_file = policy_file
        self._policy_keys = tuple(policy_keys)
        self._review_keys = tuple(review_keys)
        self._deny_list_file = deny_list_file
        self._deny_list_keys = tuple(deny_list_keys)
        self._log_level = log_level

    # --- objects ---------------------------------------------------------------------------------------

    def deployment(self, launch: Launch, *, nonce: str, owners: Sequence[Manifest] = ()) -> Manifest:
        """One pod, made anew wherever and as often as it is lost, also while this service is away."""
        labels, surge = self._labels(launch), int(self._pods.surge)
        annotations = {DEPLOYMENT_LABEL: launch.deployment, MODEL_LABEL: launch.model, NONCE: nonce}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self._metadata(launch, owners) | {"annotations": annotations},
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 1,
                "progressDeadlineSeconds": 2 * self._pods.start_seconds + 60,
                "selector": {"matchLabels": {**selector(self._pods.labels), REPLICA_LABEL: labels[REPLICA_LABEL]}},
                # The old pod is told to drain when the new one is ready, so no request meets neither.
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1 - surge},
                },
                "template": {
                    "metadata": {"labels": labels, "annotations": {MODEL_LABEL: launch.model}},
                    "spec": self._pod(launch, secret=secret_name(self.name(launch.replica), nonce)),
                },
            },
        }

    def service(self, launch: Launch, *, owner: Mapping[str, Any]) -> Manifest:
        """The address that stays when a pod is replaced, so that a gateway finds the new one on its own."""
        labels = self._labels(launch)
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._metadata(launch, [_owned_by(owner)]),
            "spec": {
                "selector": {**selector(self._pods.labels), REPLICA_LABEL: labels[REPLICA_LABEL]},
                "ports": [{"name": "http", "port": AGENT_PORT, "targetPort": AGENT_PORT, "protocol": "TCP"}],
            },
        }

    def secret(self, launch: Launch, *, nonce: str, owner: Mapping[str, Any]) -> Manifest:
        """What the gateway shows to the agent."""
        metadata = self._metadata(launch, [_owned_by(owner)])
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata | {"name": secret_name(metadata["name"], nonce)},
            "immutable": True,
            "type": SECRET_TYPE,
            "stringData": {"token": launch.token},
        }

    def name(self, replica: str) -> str:
        return object_name(replica, self._pods.labels)

    def _metadata(self, launch: Launch, owners: Sequence[Manifest]) -> Manifest:
        metadata = {"name": self.name(launch.replica), "labels": self._labels(launch)}
        return metadata | ({"ownerReferences": list(owners)} if owners else {})

    def _labels(self, launch: Launch) -> dict[str, str]:
        return {
            **selector(self._pods.labels),
            "app.kubernetes.io/managed-by": "posology-serving",
            REPLICA_LABEL: replica_hash(launch.replica, self._pods.labels),
            DEPLOYMENT_LABEL: launch.deployment.rpartition("/")[2],
            MODEL_LABEL: launch.model.removeprefix("sha256:")[:16],
        }

    # --- the pod ---------------------------------------------------------------------------------------

    def _pod(self, launch: Launch, *, secret: str) -> Manifest:
        pods, pool = self._pods, self._pods.pool_for(launch.gpus)
        lost = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _NODE_LOST_SECONDS}
            for key in _NODE_LOST
        ]
        secrets = [{"name": name} for name in pods.image_pull_secrets]
        return {
            "serviceAccountName": pods.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": pods.grace_seconds,
            "securityContext": pod_security() if pods.security_context is None else pods.security_context,
            "tolerations": [*lost, *pool.tolerations],
            "topologySpreadConstraints": [_apart(self._labels(launch)[DEPLOYMENT_LABEL])],
            "initContainers": [self._agent(launch, secret)],
            "containers": [self._engine(launch)],
            "volumes": list(self._volumes(launch)),
            **pool.placement(launch.gpus),
            **({"imagePullSecrets": secrets} if secrets else {}),
        }

    def _agent(self, launch: Launch, secret: str) -> Manifest:
        """A native sidecar: vLLM starts once the startup probe says that the weights are verified, and ends first."""
        return {
            "name": AGENT,
            "image": self._pods.agent_image,
            "imagePullPolicy": self._pods.image_pull_policy,
            "restartPolicy": "Always",
            "command": ["python", "-m", "posology.serving.agent.app"],
            "env": [*self._agent_environment(launch, secret), *self._storage()],
            "ports": [{"name": "http", "containerPort": AGENT_PORT, "protocol": "TCP"}],
            "startupProbe": self._asks("/verified", every=1, times=self._pods.start_seconds),
            "readinessProbe": self._asks("/ready", every=1, times=1),
            "livenessProbe": self._asks("/health", every=10, times=6),
            "terminationMessagePath": _LAST_WORD,
            "resources": self._pods.agent_resources,
            "securityContext": container_security(),
            "volumeMounts": [
                {"name": "weights", "mountPath": _WEIGHTS},
                {"name": "state", "mountPath": _STATE},
                {"name": "agent-tmp", "mountPath": "/tmp"},
                {"name": "keys", "mountPath": str(self._keys_dir), "readOnly": True},
                {"name": "deny-list", "mountPath": str(self._deny_list_file.parent), "readOnly": True},
                *([{"name": TLS_VOLUME, "mountPath": _TLS, "readOnly": True}] if self._pods.tls_secret else []),
                *(
                    {"name": f"released-{i}", "mountPath": v.path, "readOnly": True}
                    | ({"subPath": v.sub_path} if v.sub_path else {})
                    for i, v in enumerate(self._pods.volumes)
                ),
            ],
        }

    def _agent_environment(self, launch: Launch, secret: str) -> Iterator[Manifest]:
        settings = {
            "replica": launch.replica,
            "deployment": launch.deployment,
            "model": launch.model,
            "verdict": launch.verdict,
            "model_name": launch.model_name,
            "engine": json.dumps(dict(launch.engine), sort_keys=True),
            "released_url": self._released_url,
            "weights_dir": _WEIGHTS,
            "keys": json.dumps([str(key) for key in self._keys]),
            "revoked_file": str(self._revoked),
            "policy_file": str(self._policy_file),
            "policy_keys": json.dumps([str(key) for key in self._policy_keys]),
            "review_keys": json.dumps([str(key) for key in self._review_keys]),
            "deny_list_file": str(self._deny_list_file),
            "deny_list_keys": json.dumps([str(key) for key in self._deny_list_keys]),
            # In a shared cache the mark outlives the pod; the list itself comes from the API server either way.
            "deny_list_mark": f"{_WEIGHTS if self._pods.cache else _STATE}/deny-list-mark.json",
            "directory": _STATE,
            "listen": f"0.0.0.0:{AGENT_PORT}",
            "engine_url": f"http://127.0.0.1:{ENGINE_PORT}",
            "ready_seconds": str(self._pods.start_seconds),
            "drain_seconds": str(self._pods.drain_seconds),
            "drain_path": drain_path(launch.token),
            "last_word_file": _LAST_WORD,
            "log_level": self._log_level,
        }
        if self._pods.tls_secret:
            settings |= {"tls_cert_file": f"{_TLS}/tls.crt", "tls_key_file": f"{_TLS}/tls.key"}
        for name, value in settings.items():
            yield {"name": f"POSOLOGY_AGENT_{name.upper()}", "value": value}
        yield {"name": "POSOLOGY_AGENT_TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}}

    def _storage(self) -> Iterator[Manifest]:
        """The one variable that the URL of the released store refers to, whatever else that Secret holds."""
        kind, _, name = self._released_url.partition("#")[2].partition(":")
        if kind == "env" and self._pods.storage_secret:
            source = {"secretKeyRef": {"name": self._pods.storage_secret, "key": name}}
            yield {"name": name, "valueFrom": source}

    def _engine(self, launch: Launch) -> Manifest:
        """vLLM as its image has it, told what an embedded engine is told; on loopback, so probes and hooks ask the
        agent, which shares its address."""
        pods = self._pods
        shm = [{"name": "shm", "mountPath": "/dev/shm"}] if launch.gpus else []
        return {
            "name": ENGINE,
            "image": pods.image,
            "imagePullPolicy": pods.image_pull_policy,
            "command": self._command(launch),
            "workingDir": _CACHE,
            "env": list(self._engine_environment(launch)),
            "startupProbe": self._asks("/engine", every=2, times=pods.start_seconds // 2),
            "livenessProbe": self._asks("/engine", every=10, times=6),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "lifecycle": {"preStop": {"httpGet": self._at(drain_path(launch.token))}},
            "resources": pods.pool_for(launch.gpus).with_gpus(pods.resources, launch.gpus),
            "securityContext": container_security(),
            "volumeMounts": [
                {"name": "weights", "mountPath": _WEIGHTS, "readOnly": True},
                {"name": "cache", "mountPath": _CACHE},
                {"name": "engine-tmp", "mountPath": "/tmp"},
                *shm,
            ],
        }

    def _asks(self, path: str, *, every: int, times: int) -> Manifest:
        return {
            "httpGet": self._at(path),
            "periodSeconds": every,
            "timeoutSeconds": 5,
            "failureThreshold": max(1, times),
        }

    def _at(self, path: str) -> Manifest:
        """What a kubelet asks the agent; it checks no certificate, and shows none."""
        return {"path": path, "port": AGENT_PORT} | ({"scheme": "HTTPS"} if self._pods.tls_secret else {})

    def _host(self, launch: Launch) -> EngineHost:
        return EngineHost(python=self._pods.python, cache_dir=Path(_CACHE), threads=1, gpus=launch.gpus)

    def _command(self, launch: Launch) -> list[str]:
        folder, config = Path(_WEIGHTS) / check_digest(launch.model), _config(launch)
        words = command(folder, config, self._host(launch), port=ENGINE_PORT, name=launch.model_name)
        return [*words, *self._pods.args]

    def _engine_environment(self, launch: Launch) -> Iterator[Manifest]:
        variables = environment(self._host(launch), _config(launch), inherited={})
        threads = {"resourceFieldRef": {"containerName": ENGINE, "resource": "limits.cpu", "divisor": "1"}}
        # A user without an entry in /etc/passwd has no name, and PyTorch asks for one.
        variables |= {"HOME": _CACHE, "USER": "posology", "LOGNAME": "posology", **self._pods.environment}
        if "OMP_NUM_THREADS" not in self._pods.environment:
            del variables["OMP_NUM_THREADS"]
            yield {"name": "OMP_NUM_THREADS", "valueFrom": threads}
        for name, value in variables.items():
            yield {"name": name, "value": value}

    @property
    def _keys_dir(self) -> Path:
        return self._revoked.parent

    def _volumes(self, launch: Launch) -> Iterator[Manifest]:
        yield {"name": "weights", **self._weights()}
        for name in ("state", "agent-tmp", "engine-tmp", "cache"):
            yield {"name": name, "emptyDir": {}}
        yield {"name": "keys", "configMap": {"name": self._pods.keys, "defaultMode": 0o440}}
        yield {"name": "deny-list", "configMap": {"name": self._pods.deny_list, "defaultMode": 0o440}}
        if self._pods.tls_secret:
            yield {"name": TLS_VOLUME, "secret": {"secretName": self._pods.tls_secret, "defaultMode": 0o440}}
        if launch.gpus:
            size = self._pods.pool_for(launch.gpus).shared_memory
            yield {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}
        for number, volume in enumerate(self._pods.volumes):
            claim = {"claimName": volume.claim, "readOnly": True}
            yield {"name": f"released-{number}", "persistentVolumeClaim": claim}

    def _weights(self) -> Manifest:
        """Of this pod alone, or shared; the agent writes there, the engine reads."""
        if self._pods.cache:
            return {"persistentVolumeClaim": {"claimName": self._pods.cache}}
        return {"emptyDir": {"sizeLimit": self._pods.weights} if self._pods.weights else {}}


def _config(launch: Launch) -> EngineConfig:
    return EngineConfig.from_dict(dict(launch.engine))


def _apart(deployment: str) -> Manifest:
    """Replicas go to different nodes where there are enough: a node that is lost takes one of them."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {DEPLOYMENT_LABEL: deployment}},
    }


def secret_name(name: str, nonce: str) -> str:
    """New with each Deployment: one that is about to be collected with its owner must not be found again."""
    return f"{name}-{nonce}"


def _owned_by(owner: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
