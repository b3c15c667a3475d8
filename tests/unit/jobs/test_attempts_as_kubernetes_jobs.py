"""What a launch looks like as a Job, without a cluster; tests/cluster has API servers and kubelets judge it."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from posology.core.errors import InvalidInput
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.launchers.base import Launch
from posology.core.jobs.launchers.kubernetes import manifest
from posology.core.jobs.launchers.kubernetes.pods import NodePool, PodSettings, WorkerRole

JOB = "namespaces/test/trainingJobs/SFT.Run_1-of-a-very-long-name-that-goes-on-and-on-and-on"
ASSIGNMENT = {"job": JOB, "token": "secret", "spec": {"teacher": {"credentialsSecret": "teacher-key"}}, "run": "r"}
PODS = PodSettings.model_validate(
    {
        "image": "registry/worker:1",
        "secrets": "curation-secrets",
        "storageSecret": "storage",
        "tlsSecret": "worker-tls",
        "scratch": "10Gi",
        "volumes": [{"claim": "artifacts", "path": "/var/lib/posology/artifacts"}],
        "pools": {
            "gpu": {
                "nodeSelector": {"pool": "gpu"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "runtimeClass": "nvidia",
                "priorityClass": "training",
                "image": "registry/worker:1-cuda",
                "memory": "64Gi",
            }
        },
        "gpuPool": "gpu",
    }
)


def launch(**resources: Any) -> Launch:
    return Launch(JOB, 2, ASSIGNMENT, Command("posology.training.worker"), Resources(**resources))


def job(pods: PodSettings = PODS, **resources: Any) -> dict[str, Any]:
    return manifest.render_job(launch(**resources), pods, service="training")


def pod(pods: PodSettings = PODS, **resources: Any) -> dict[str, Any]:
    found: dict[str, Any] = job(pods, **resources)["spec"]["template"]["spec"]
    return found


def container(pods: PodSettings = PODS, **resources: Any) -> dict[str, Any]:
    found: dict[str, Any] = pod(pods, **resources)["containers"][0]
    return found


def volumes(found: Mapping[str, Any]) -> dict[str, Any]:
    return {volume["name"]: volume for volume in found["volumes"]}


def test_the_name_comes_from_job_and_attempt_and_is_a_label() -> None:
    name = manifest.job_name(JOB, 2)
    assert name == manifest.job_name(JOB, 2)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 52
    others = {manifest.job_name(JOB, 3), manifest.job_name(JOB.replace("test", "tess"), 2), name}
    assert len(others) == 3


def test_no_pod_of_a_worker_may_do_anything_on_the_cluster_or_on_its_node() -> None:
    found = pod()
    assert found["automountServiceAccountToken"] is False
    assert found["securityContext"]["runAsNonRoot"] is True
    inside = container()["securityContext"]
    assert inside["capabilities"] == {"drop": ["ALL"]}
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["allowPrivilegeEscalation"] is False


def test_one_attempt_makes_one_pod() -> None:
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert {rule["action"] for rule in spec["podFailurePolicy"]["rules"]} == {"FailJob"}


def test_the_token_is_in_the_secret_only_and_goes_with_the_job() -> None:
    owner = {"metadata": {"name": manifest.job_name(JOB, 2), "uid": "u-1"}}
    secret = manifest.render_secret(launch(), PODS, service="training", owner=owner)
    spec = json.loads(secret["stringData"]["spec.json"])
    assert spec["token"] == "secret"
    assert spec["checkpoints"] == "jobs/" + JOB.removeprefix("namespaces/").replace("/", ".") + "/checkpoints"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    assert '"secret"' not in json.dumps(pod()["containers"])


def test_gpu_work_goes_to_its_pool_and_has_shared_memory() -> None:
    found = pod(gpus=2, queue="team-a")
    assert found["nodeSelector"] == {"pool": "gpu"}
    assert found["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert (found["runtimeClassName"], found["priorityClassName"]) == ("nvidia", "training")
    assert volumes(found)["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert container(gpus=2)["image"] == "registry/worker:1-cuda"
    assert container(gpus=2)["resources"]["limits"] == {"memory": "64Gi", "nvidia.com/gpu": "2"}
    assert job(gpus=2, queue="team-a")["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"


def test_a_pool_whose_gpus_are_claimed_counts_none() -> None:
    pools = {
        "gpu": NodePool(resource_claim_template="one-gpu", affinity={"nodeAffinity": {}}, scheduler_name="volcano")
    }
    claimed = PODS.model_copy(update={"pools": pools})
    found = pod(claimed, gpus=2)
    names = [claim["name"] for claim in found["resourceClaims"]]
    assert len(set(names)) == 2
    assert found["containers"][0]["resources"] == {"claims": [{"name": name} for name in names]}
    assert (found["affinity"], found["schedulerName"]) == ({"nodeAffinity": {}}, "volcano")
    assert "resourceClaims" not in pod(claimed, node_pool="gpu")


def test_cpu_work_stays_off_the_gpu_pool() -> None:
    found = pod(cpus=2, memory=4 << 30)
    assert not found.keys() & {"nodeSelector", "tolerations", "runtimeClassName"}
    assert "shm" not in volumes(found)
    amounts = {"cpu": "2", "memory": "4096Mi"}
    assert container(cpus=2, memory=4 << 30)["resources"] == {"requests": amounts, "limits": amounts}
    assert "kueue.x-k8s.io/queue-name" not in job()["metadata"]["labels"]


def test_a_pool_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match="'tpu' is no node pool of this installation; it has gpu"):
        job(node_pool="tpu")


def test_a_pod_gets_the_secrets_that_its_spec_names_and_no_others() -> None:
    source = volumes(pod())["secrets"]["secret"]
    assert source["secretName"] == "curation-secrets"
    assert source["items"] == [{"key": "teacher-key", "path": "teacher-key"}]
    assert "secrets" not in volumes(pod(PODS.model_copy(update={"secrets": ""})))


def test_storage_credentials_reach_a_worker_as_variables_and_tls_as_files() -> None:
    assert container()["envFrom"] == [{"secretRef": {"name": "storage"}}]
    assert volumes(pod())["tls"]["secret"]["secretName"] == "worker-tls"
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert mounts["data-0"] == "/var/lib/posology/artifacts"


def test_credentials_of_the_attempt_take_the_place_of_shared_ones() -> None:
    role = WorkerRole(arn="arn:aws:iam::123456789012:role/worker")
    pods = PODS.model_copy(update={"storage_secret": "", "storage_role": role})
    assert "envFrom" not in container(pods)
    [mount] = [mount for mount in container(pods)["volumeMounts"] if mount["name"] == "session"]
    assert (mount["mountPath"], mount["readOnly"]) == (manifest.SESSION, True)
    assert "subPath" not in mount, "the kubelet renews whole Secrets only"
    name = job(pods)["metadata"]["name"]
    assert volumes(pod(pods))["session"]["secret"]["secretName"] == manifest.session_name(name)
    with pytest.raises(ValidationError, match="of its own or shared"):
        PodSettings(image="i", storage_secret="storage", storage_role=role)


def test_output_that_lies_on_a_volume_is_not_copied() -> None:
    owner = {"metadata": {"name": "n", "uid": "u"}}
    there = Launch(JOB, 2, ASSIGNMENT | {"output": "/var/x"}, Command("m"), Resources())
    for given, place in ((there, "/var/x"), (launch(), "/posology/scratch/output")):
        secret = manifest.render_secret(given, PODS, service="s", owner=owner)
        assert json.loads(secret["stringData"]["spec.json"])["output"] == place


def test_of_a_volume_with_the_stores_a_pod_sees_what_its_attempt_needs() -> None:
    root = "/var/lib/posology/artifacts"
    stores = [f"file://{root}/candidates", "s3://released"]
    given = Launch(
        JOB, 2, ASSIGNMENT | {"staging": f"file://{root}/staging", "stores": stores}, Command("m"), Resources()
    )
    found = manifest.render_job(given, PODS, service="s")["spec"]["template"]["spec"]
    mounts = [mount for mount in found["containers"][0]["volumeMounts"] if mount["name"] == "data-0"]
    assert [volume["name"] for volume in found["volumes"]].count("data-0") == 1
    assert all(mount["mountPath"] == f"{root}/{mount['subPath']}" for mount in mounts)
    mine = f"staging/jobs/{JOB.removeprefix('namespaces/').replace('/', '.')}"
    assert {mount["subPath"]: mount.get("readOnly", False) for mount in mounts} == {
        "candidates": True,
        f"{mine}/checkpoints": True,
        f"{mine}/2": False,
        f"{mine}/checkpoints/2": False,
    }


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="nodeselector"):
        NodePool.model_validate({"nodeselector": {}})
    with pytest.raises(ValidationError, match="gpuPool names 'h100', which is none of pools: none"):
        PodSettings.model_validate({"image": "i", "gpuPool": "h100"})


def test_several_nodes_are_an_indexed_job_whose_pods_find_the_first_one_by_name() -> None:
    peers = PODS.model_copy(update={"peers": "posology-peers"})
    found = job(peers, nodes=2, gpus=4)
    assert [found["spec"][key] for key in ("completionMode", "completions", "parallelism")] == ["Indexed", 2, 2]
    assert pod(peers, nodes=2)["subdomain"] == "posology-peers"
    variables = {each["name"]: each for each in container(peers, nodes=2)["env"]}
    assert variables["POSOLOGY_FIRST_NODE"]["value"] == f"{found['metadata']['name']}-0.posology-peers"
    assert variables["POSOLOGY_NODES"]["value"] == "2"
    with pytest.raises(InvalidInput, match="no Service by which several pods find each other"):
        job(nodes=2)


def test_one_node_is_a_plain_job() -> None:
    peers = PODS.model_copy(update={"peers": "posology-peers"})
    assert "completionMode" not in job(peers)["spec"]
    assert "subdomain" not in pod(peers)
