"""A replica on a cluster: the embedded engine's command behind an agent, and nothing that it does not need."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from posology.core.errors import InvalidInput
from posology.core.settings import load
from posology.engine import EngineConfig, EngineHost
from posology.engine.command import command
from posology.serving.agent.settings import AgentSettings
from posology.serving.kubernetes.manifest import Renderer, drain_path
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.launcher import Launch
from posology.serving.settings import Settings as ServingSettings

MODEL = "sha256:" + "a" * 64
CONFIG = EngineConfig(max_model_len=256, engine_version="0.32.0")
LAUNCH = Launch(
    replica="team-a.labels-1.0",
    deployment="namespaces/team-a/deployments/labels-1",
    model=MODEL,
    verdict="sha256:" + "b" * 64,
    model_name="labels",
    engine=CONFIG.to_dict(),
    token="t0ken",
)
GIVEN: dict[str, Any] = {
    "image": "vllm/vllm-openai:v0.32.0",
    "agentImage": "posology/control:0.1.0",
    "keys": "posology-public-keys",
    "denyList": "posology-deny-list",
    "storageSecret": "storage",
    "labels": {"app.kubernetes.io/instance": "posology"},
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "8Gi"}},
    "volumes": [{"claim": "store", "path": "/store/released", "subPath": "released"}],
    "gpuPool": "gpu",
    "pools": {"gpu": {"nodeSelector": {"pool": "gpu"}, "tolerations": [{"key": "nvidia.com/gpu"}]}},
}


def renderer(**changes: Any) -> Renderer:
    return Renderer(
        EnginePods.model_validate(GIVEN | changes),
        released_url="s3://released#env:RELEASED",
        keys=[Path("/etc/posology/keys/evaluation.pub")],
        revoked=Path("/etc/posology/keys/revoked"),
    )


def pod(launch: Launch = LAUNCH, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = renderer(**changes).deployment(launch, nonce="n1")["spec"]["template"]["spec"]
    return found


def agent(found: dict[str, Any]) -> dict[str, Any]:
    (only,) = found["initContainers"]
    return dict(only)


def engine(found: dict[str, Any]) -> dict[str, Any]:
    (only,) = found["containers"]
    return dict(only)


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


def texts(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for value in found.values():
            yield from texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from texts(value)
    else:
        yield str(found)


def test_the_engine_is_told_what_an_embedded_engine_is_told() -> None:
    host = EngineHost(python="python3")
    embedded = command(Path(f"/posology/weights/{'a' * 64}"), CONFIG, host, port=8000, name="labels")
    assert engine(pod())["command"] == embedded
    assert "127.0.0.1" in embedded


def test_the_agent_understands_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(agent(pod())).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POSOLOGY_AGENT_TOKEN", "t0ken")
    told = load(AgentSettings)
    assert (told.model, told.engine, told.engine_url) == (MODEL, CONFIG.to_dict(), "http://127.0.0.1:8000")
    assert told.keys == (Path("/etc/posology/keys/evaluation.pub"),)
    assert set(variables(agent(pod()))) <= {f"POSOLOGY_AGENT_{name.upper()}" for name in AgentSettings.model_fields}


def test_the_engine_starts_only_after_the_agent_has_verified_the_weights() -> None:
    sidecar = agent(pod())
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/verified"
    mounts = {mount["mountPath"]: mount for mount in engine(pod())["volumeMounts"]}
    assert mounts["/posology/weights"]["readOnly"]


def test_no_token_stands_in_a_pod_and_no_more_of_storage_than_released() -> None:
    found = pod()
    assert "t0ken" not in " ".join(texts(found))
    secrets = [v["valueFrom"]["secretKeyRef"] for v in agent(found)["env"] if "valueFrom" in v]
    assert secrets == [
        {"name": "engine-labels-1-0-" + _hash() + "-n1", "key": "token"},
        {"name": "storage", "key": "RELEASED"},
    ]
    assert "secret" not in {key for volume in found["volumes"] for key in volume}
    (mounted,) = [mount for mount in agent(found)["volumeMounts"] if mount["name"].startswith("released")]
    assert (mounted["subPath"], mounted["readOnly"]) == ("released", True)


def test_the_engine_holds_no_credentials_at_all() -> None:
    only = engine(pod())
    assert not [v for v in only["env"] if "secretKeyRef" in v.get("valueFrom", {})]
    assert {mount["name"] for mount in only["volumeMounts"]} == {"weights", "cache", "engine-tmp"}
    assert not pod()["automountServiceAccountToken"]


def test_weights_in_a_claim_are_written_by_the_agent_and_only_read_by_the_engine() -> None:
    found = pod(cache="weights")
    assert {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}} in found["volumes"]
    [writes] = [mount for mount in agent(found)["volumeMounts"] if mount["name"] == "weights"]
    [reads] = [mount for mount in engine(found)["volumeMounts"] if mount["name"] == "weights"]
    assert reads == {**writes, "readOnly": True}
    assert variables(agent(found))["POSOLOGY_AGENT_WEIGHTS_DIR"] == writes["mountPath"]


@pytest.mark.parametrize("wrong", [{"cache": "store"}, {"cache": "weights", "weights": "1Gi"}])
def test_a_cache_is_a_claim_of_its_own_with_its_own_size(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="cache"):
        renderer(**wrong)


def test_requests_drain_before_vllm_hears_that_it_is_to_end() -> None:
    found = pod(drainSeconds=300)
    hook = engine(found)["lifecycle"]["preStop"]["httpGet"]
    assert hook == {"path": drain_path("t0ken"), "port": 8080}
    assert variables(agent(found))["POSOLOGY_AGENT_DRAIN_PATH"] == hook["path"]
    assert found["terminationGracePeriodSeconds"] == 360


def test_with_a_certificate_everything_at_the_agent_is_asked_over_tls_and_vllm_never_sees_the_key() -> None:
    found = pod(tlsSecret="posology-tls-engine")
    asked = [agent(found)[each]["httpGet"] for each in ("startupProbe", "readinessProbe", "livenessProbe")]
    beside = engine(found)
    asked += [beside["startupProbe"]["httpGet"], beside["livenessProbe"]["httpGet"]]
    asked.append(beside["lifecycle"]["preStop"]["httpGet"])
    assert {each["scheme"] for each in asked} == {"HTTPS"}
    assert "tls" in {mount["name"] for mount in agent(found)["volumeMounts"]}
    assert "tls" not in {mount["name"] for mount in beside["volumeMounts"]}


def test_a_new_pod_is_ready_before_the_old_one_ends() -> None:
    rolling = renderer().deployment(LAUNCH, nonce="n1")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}
    scarce = renderer(surge=False).deployment(LAUNCH, nonce="n1")["spec"]["strategy"]["rollingUpdate"]
    assert scarce == {"maxSurge": 0, "maxUnavailable": 1}


def test_gpus_are_shared_by_one_model_on_the_gpu_pool() -> None:
    found = pod(Launch(**{**vars(LAUNCH), "gpus": 2}))
    assert engine(found)["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": "2"}
    assert engine(found)["command"][-2:] == ["--tensor-parallel-size", "2"]
    assert "uni" not in engine(found)["command"]
    assert found["nodeSelector"] == {"pool": "gpu"}
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in found["volumes"]


def test_gpus_may_be_claimed_instead_of_counted() -> None:
    pools = {"gpu": {"resourceClaimTemplate": "one-gpu", "schedulerName": "volcano"}}
    found = pod(Launch(**{**vars(LAUNCH), "gpus": 2}), pools=pools)
    assert [claim["resourceClaimTemplateName"] for claim in found["resourceClaims"]] == ["one-gpu", "one-gpu"]
    assert engine(found)["resources"]["claims"] == [{"name": claim["name"]} for claim in found["resourceClaims"]]
    assert engine(found)["resources"]["limits"] == {"memory": "8Gi"}
    assert "claims" not in agent(found)["resources"]
    assert found["schedulerName"] == "volcano"


def test_no_container_may_more_than_the_restricted_standard_allows() -> None:
    found = pod()
    assert found["securityContext"]["runAsNonRoot"]
    for container in (agent(found), engine(found)):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_two_installations_in_one_namespace_do_not_meet() -> None:
    names = {renderer(labels={"app.kubernetes.io/instance": name}).name(LAUNCH.replica) for name in ("a", "b")}
    assert len(names) == 2
    assert all(len(name) <= 52 for name in names)


def test_the_service_finds_the_pods_of_its_replica_alone() -> None:
    made = {"metadata": {"name": "x", "uid": "u"}}
    asked = renderer().service(LAUNCH, owner=made)["spec"]["selector"]
    labels = renderer().deployment(LAUNCH, nonce="n1")["spec"]["template"]["metadata"]["labels"]
    assert asked.items() <= labels.items()
    other = renderer().deployment(Launch(**{**vars(LAUNCH), "replica": "team-a.labels-1.1"}), nonce="n1")
    assert not asked.items() <= other["spec"]["template"]["metadata"]["labels"].items()


def test_a_launcher_for_a_cluster_needs_to_know_how_engines_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSOLOGY_LAUNCHER", "kubernetes")
    with pytest.raises(InvalidInput, match="POSOLOGY_ENGINE_PODS"):
        load(ServingSettings)
    monkeypatch.setenv("POSOLOGY_ENGINE_PODS", json.dumps(GIVEN))
    assert load(ServingSettings).engine_pods == EnginePods.model_validate(GIVEN)


def _hash() -> str:
    return renderer().name(LAUNCH.replica).rpartition("-")[2]
