"""What platform teams set in charts of the field can be set here, for all and for each component."""

from functools import cache
from typing import Any

import pytest
import yaml
from charts.generate import static
from support.servers import REPOSITORY

from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.serving.kubernetes.pods import EnginePods

DEV = REPOSITORY / "charts" / "posology" / "values-dev.yaml"
SERVICES = ("orchestrator", "curation", "training", "evaluation", "serving", "gateway", "operator")
Object = dict[str, Any]


def objects(**values: Any) -> list[Object]:
    return list(static.objects(static.with_values("posology", values, DEV)))


def deployment(service: str, **values: Any) -> Object:
    return next(
        o for o in objects(**values) if o["kind"] == "Deployment" and o["metadata"]["name"].endswith(f"-{service}")
    )


def pod(service: str, **values: Any) -> Object:
    return dict(deployment(service, **values)["spec"]["template"]["spec"])


FIELDS: list[tuple[str, Any, str]] = [
    ("nodeSelector", {"a": "b"}, "nodeSelector"),
    ("tolerations", [{"key": "a", "operator": "Exists"}], "tolerations"),
    ("affinity", {"nodeAffinity": {"x": 1}}, "affinity"),
    ("priorityClass", "high", "priorityClassName"),
    ("schedulerName", "volcano", "schedulerName"),
    ("runtimeClass", "gvisor", "runtimeClassName"),
    ("topologySpreadConstraints", [{"maxSkew": 2, "topologyKey": "zone"}], "topologySpreadConstraints"),
]


@pytest.mark.parametrize("service", SERVICES)
def test_a_component_runs_where_its_values_say(service: str) -> None:
    values = {service: {key: value for key, value, _ in FIELDS}}
    spec = pod(service, services=values)
    assert {field: spec[field] for *_, field in FIELDS} == {field: value for _, value, field in FIELDS}
    other = pod("gateway" if service != "gateway" else "serving", services=values)
    assert not any(other.get(field) == value for _, value, field in FIELDS)


def test_what_all_share_yields_to_what_one_says() -> None:
    shared = {key: value for key, value, _ in FIELDS[:-1]}
    spec = pod("training", scheduling=shared)
    assert {field: spec[field] for *_, field in FIELDS[:-1]} == {field: value for _, value, field in FIELDS[:-1]}
    spec = pod("training", scheduling=shared, services={"training": {"priorityClass": "low", "affinity": {"x": {}}}})
    assert spec["priorityClassName"] == "low"
    assert spec["affinity"]["x"] == {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_component_takes_variables_volumes_labels_and_annotations(service: str) -> None:
    secret = {"name": "PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}
    settings = {
        "extraEnv": [secret],
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
        "podLabels": {"team": "a", "app.kubernetes.io/name": "no"},
        "podAnnotations": {"note": "b"},
        "serviceAnnotations": {"mesh": "off"},
        "resources": {"limits": {"cpu": "3", "memory": "2Gi"}},
    }
    made = objects(services={service: settings})
    template = deployment(service, services={service: settings})["spec"]["template"]
    [container] = template["spec"]["containers"]
    assert secret in container["env"]
    assert settings["volumeMounts"][0] in container["volumeMounts"]  # type: ignore[index]
    assert settings["volumes"][0] in template["spec"]["volumes"]  # type: ignore[index]
    assert container["resources"]["limits"] == {"cpu": "3", "memory": "2Gi"}
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "posology"
    assert template["metadata"]["annotations"]["note"] == "b"
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "9090"
    headless = next(o for o in made if o["kind"] == "Service" and o["metadata"]["name"] == f"posology-{service}")
    assert headless["metadata"]["annotations"] == {"mesh": "off"}


def test_common_labels_are_on_every_object_and_pod() -> None:
    for made in objects(commonLabels={"cost": "7"}, sample={"enabled": True}):
        assert made["metadata"]["labels"]["cost"] == "7", made["metadata"]["name"]
        if "template" in made.get("spec", {}):
            assert made["spec"]["template"]["metadata"]["labels"]["cost"] == "7", made["metadata"]["name"]
            assert "cost" not in str(made["spec"].get("selector")), "selectors can't change"


def test_names_can_be_chosen() -> None:
    for values, name in (({"fullnameOverride": "dose"}, "dose-gateway"), ({"nameOverride": "x"}, "posology-x-gateway")):
        assert name in {o["metadata"]["name"] for o in objects(**values)}


DIGEST = "sha256:" + "d" * 64


@pytest.mark.parametrize("image", ["control", "worker", "evaluator", "engine"])
def test_each_image_has_a_registry_repository_tag_and_digest(image: str) -> None:
    whole = {"registry": "r.example", "repository": f"our/{image}", "tag": "7", "digest": DIGEST}
    text = yaml.safe_dump_all(objects(images={image: whole}, sample={"enabled": True}), width=10**6)
    assert f"r.example/our/{image}@{DIGEST}" in text
    assert f"posology/{image}:" not in text
    tagged = {"repository": f"our/{image}", "tag": "7"}
    text = yaml.safe_dump_all(objects(images={"registry": "all.example", image: tagged}), width=10**6)
    assert f"all.example/our/{image}:7" in text


def test_a_platform_may_choose_the_users() -> None:
    """OpenShift gives each namespace users of its own, and refuses others."""
    none = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    made = objects(podSecurityContext=none, postgresql={"podSecurityContext": none}, sample={"enabled": True})
    for one in made:
        if "template" in one.get("spec", {}):
            security = one["spec"]["template"]["spec"]["securityContext"]
            assert security["runAsNonRoot"]
            assert not any(security.get(key) for key in none), one["metadata"]["name"]
    [serving] = deployment("serving", podSecurityContext=none)["spec"]["template"]["spec"]["containers"]
    [training] = deployment("training", podSecurityContext=none)["spec"]["template"]["spec"]["containers"]
    engines = EnginePods.model_validate_json(variable(serving, "POSOLOGY_ENGINE_PODS"))
    workers = PodSettings.model_validate_json(variable(training, "POSOLOGY_WORKER_PODS"))
    for pods in (engines, workers):
        assert pods.security_context is not None
        assert set(pods.security_context) == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


def variable(container: Object, name: str) -> str:
    return str(next(each["value"] for each in container["env"] if each["name"] == name))


def test_the_door_of_applications_may_be_a_load_balancer() -> None:
    values = {"type": "LoadBalancer", "port": 8000, "annotations": {"lb": "internal"}, "loadBalancerClass": "x"}
    [door] = [
        o for o in objects(gatewayService=values) if (o["kind"], o["metadata"]["name"]) == ("Service", "posology")
    ]
    assert door["metadata"]["annotations"] == {"lb": "internal"}
    assert (door["spec"]["type"], door["spec"]["loadBalancerClass"]) == ("LoadBalancer", "x")
    assert door["spec"]["ports"][0]["port"] == 8000


def test_every_pod_has_limits_of_cpu_and_memory_for_namespaces_with_quotas() -> None:
    text = static.with_values("posology", {"sample": {"enabled": True}}, DEV)
    for made in static.objects(text):
        template = made.get("spec", {}).get("template")
        for container in template["spec"]["containers"] if template else ():
            assert set(container["resources"]["limits"]) >= {"cpu", "memory"}, made["metadata"]["name"]


CONSOLE = {"enabled": True, "url": "https://console.example.org", "ingress": {"enabled": True, "tlsSecret": "tls"}}
POD: list[tuple[str, Any, str]] = [
    *FIELDS,
    ("dnsPolicy", "None", "dnsPolicy"),
    ("dnsConfig", {"nameservers": ["10.0.0.1"]}, "dnsConfig"),
    ("hostAliases", [{"ip": "10.0.0.2", "hostnames": ["proxy"]}], "hostAliases"),
    ("initContainers", [{"name": "wait", "image": "i"}], "initContainers"),
    ("terminationGracePeriodSeconds", 7, "terminationGracePeriodSeconds"),
]


CONTAINER: Object = {
    "extraEnv": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
    "envFrom": [{"secretRef": {"name": "proxy"}}],
    "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
}
EVERYTHING: Object = {
    **{key: value for key, value, _ in POD},
    **CONTAINER,
    "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "sidecars": [{"name": "side", "image": "s"}],
    "podSecurityContext": {"runAsUser": None, "fsGroup": 5},
    "containerSecurityContext": {"readOnlyRootFilesystem": False},
    "deploymentAnnotations": {"reloader": "on"},
    "serviceLabels": {"team": "a"},
    "serviceAnnotations": {"b": "c"},
}


@cache
def everything() -> list[Object]:
    """One rendering, which takes a second, in which every component says everything."""
    return objects(
        services=dict.fromkeys(SERVICES, EVERYTHING),
        console=CONSOLE | EVERYTHING,
        authentication={"mode": "kubernetes"},
        serviceAccounts={"annotations": {"console": {"role": "c"}}},
    )


@pytest.mark.parametrize("component", [*SERVICES, "console"])
def test_each_component_takes_what_a_pod_its_container_and_service_may_have(component: str) -> None:
    named = {o["kind"]: o for o in everything() if o["metadata"]["name"] == f"posology-{component}"}
    made = named["Deployment"]
    assert made["metadata"]["annotations"] == {"reloader": "on"}
    spec = made["spec"]["template"]["spec"]
    assert {field: spec[field] for *_, field in POD} == {field: value for _, value, field in POD}
    assert ("runAsUser" in spec["securityContext"], spec["securityContext"]["fsGroup"]) == (False, 5)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert [one["name"] for one in spec["containers"]] == [component, "side"]
    main = spec["containers"][0]
    assert main["securityContext"]["readOnlyRootFilesystem"] is False
    assert main["securityContext"]["allowPrivilegeEscalation"] is False
    assert main["env"][-1] == CONTAINER["extraEnv"][0]
    assert main["envFrom"][-1] == CONTAINER["envFrom"][0]
    assert main["volumeMounts"][-1] == CONTAINER["volumeMounts"][0]
    assert {"name": "ca", "configMap": {"name": "ca"}} in spec["volumes"]
    assert named["Service"]["metadata"]["labels"]["team"] == "a"
    assert named["Service"]["metadata"]["annotations"]["b"] == "c"
    if component == "console":
        assert named["ServiceAccount"]["metadata"]["annotations"] == {"role": "c"}


def test_rollouts_disruptions_and_objects_of_one_s_own_can_be_chosen() -> None:
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": '{{ include "posology.name" . }}-mine'}}
    blocks: Object = {
        "curation": {"strategy": {"type": "RollingUpdate"}, "revisionHistoryLimit": 0},
        "training": {"podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}},
        "gateway": {"replicas": 3, "podDisruptionBudget": {"minAvailable": "50%"}},
        "operator": {"replicas": 2, "podDisruptionBudget": {"enabled": False}},
        "orchestrator": {"replicas": 2},
    }
    made = objects(services=blocks, extraObjects=[own, yaml.safe_dump(own | {"kind": "ConfigMap"})])
    curation = next(
        o["spec"] for o in made if (o["kind"], o["metadata"]["name"]) == ("Deployment", "posology-curation")
    )
    assert (curation["strategy"], curation["revisionHistoryLimit"]) == ({"type": "RollingUpdate"}, 0)
    budgets = {o["metadata"]["name"]: o["spec"] for o in made if o["kind"] == "PodDisruptionBudget"}
    assert {name: {k: v for k, v in spec.items() if k != "selector"} for name, spec in budgets.items()} == {
        "posology-engines": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        "posology-training": {"maxUnavailable": 0},
        "posology-gateway": {"minAvailable": "50%"},
        "posology-orchestrator": {"maxUnavailable": 1},
    }
    assert {o["kind"] for o in made if o["metadata"]["name"] == "posology-mine"} == {"Secret", "ConfigMap"}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"services": {"gateway": {"nodeSelectors": {}}}}, "nodeSelectors"),
        ({"services": {"gatway": {}}}, "gatway"),
        ({"services": {"gateway": {"replicas": "two"}}}, "replicas"),
        ({"services": {"gateway": {"dnsPolicy": "cluster"}}}, "dnsPolicy"),
        (
            {"services": {"gateway": {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}}},
            "podDisruptionBudget",
        ),
        ({"console": {"replicas": 2}}, "replicas"),
        ({"image": {"tag": "x"}}, "image"),
        ({"serviceAccounts": {"annotations": {"gatway": {}}}}, "gatway"),
        ({"extraObjects": {"a": 1}}, "extraObjects"),
    ],
)
def test_a_value_that_is_wrong_is_refused_by_its_name(values: Object, names: str) -> None:
    with pytest.raises(Exception, match=names):
        objects(**values)
