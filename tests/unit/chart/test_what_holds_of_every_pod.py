"""What holds for every pod of a release, whatever makes it: services, database, hooks, tests."""

from typing import Any

import helm_python as helm
import yaml
from charts.generate import static
from support.servers import REPOSITORY

CHART = REPOSITORY / "charts" / "posology"
DEV = yaml.safe_load((CHART / "values-dev.yaml").read_text())
PLACED = {
    "images": {"pullSecrets": ["registry"], "registry": "registry.example.org/mirror/"},
    "sample": {"enabled": True},
    "scheduling": {
        "nodeSelector": {"pool": "general"},
        "tolerations": [{"key": "control", "operator": "Exists"}],
        "priorityClass": "high",
    },
}


def every_pod(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Pod spec by kind and name, those of hooks and tests too."""
    with helm.Chart.load(str(CHART)) as chart:
        parts = chart.render(static.overlaid(DEV, values), name="posology", namespace="posology")
    found = [o for path, text in parts.items() if path.endswith(".yaml") for o in yaml.safe_load_all(text) if o]
    specs = {f"{o['kind']} {o['metadata']['name']}": o["spec"] for o in found if "spec" in o}
    pods = {name: spec["template"]["spec"] for name, spec in specs.items() if "template" in spec}
    return pods | {name: spec for name, spec in specs.items() if name.startswith("Pod ")}


def test_every_pod_is_restricted() -> None:
    pods = every_pod(PLACED)
    assert {name.split()[0] for name in pods} == {"Deployment", "StatefulSet", "Job", "Pod"}
    for name, pod in pods.items():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"], name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name


def test_every_pod_runs_where_control_pods_run_and_may_pull_its_image() -> None:
    for name, pod in every_pod(PLACED).items():
        assert pod["nodeSelector"] == {"pool": "general"}, name
        assert pod["tolerations"] == [{"key": "control", "operator": "Exists"}], name
        assert pod["priorityClassName"] == "high", name
        assert pod["imagePullSecrets"] == [{"name": "registry"}], name


def test_a_mirror_carries_every_image_of_posology() -> None:
    text = yaml.safe_dump_all(every_pod(PLACED).values(), width=100_000)
    for name in ("control", "worker", "evaluator", "engine-cpu"):
        assert f"registry.example.org/mirror/posology/{name}:0.1.0" in text
        assert text.count(f"posology/{name}:") == text.count(f"registry.example.org/mirror/posology/{name}:")


def test_services_say_when_they_started_are_ready_and_live() -> None:
    for name, pod in every_pod({}).items():
        if name.split()[0] in ("Deployment", "StatefulSet"):
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= pod["containers"][0].keys(), name


def test_replicas_spread_over_nodes_and_are_not_drained_at_once() -> None:
    values = {"services": {"gateway": {"replicas": 3}}}
    pod = every_pod(values)["Deployment posology-gateway"]
    (spread,) = pod["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    budgets = {
        o["metadata"]["name"]: o["spec"]["maxUnavailable"]
        for o in static.objects(static.with_values("posology", static.overlaid(DEV, values)))
        if o["kind"] == "PodDisruptionBudget"
    }
    assert budgets == {"posology-gateway": 1, "posology-engines": 1}


def test_an_account_may_carry_the_identity_of_a_cloud() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/posology-worker"}
    values = static.overlaid(DEV, {"serviceAccounts": {"annotations": {"worker": role}}})
    found = {
        o["metadata"]["name"]: o["metadata"].get("annotations")
        for o in static.objects(static.with_values("posology", values))
        if o["kind"] == "ServiceAccount" and not o["metadata"]["name"].endswith("-credentials")
    }
    assert found.pop("posology-worker") == role
    assert set(found.values()) == {None}
