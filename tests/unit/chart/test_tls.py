"""TLS between services, as the chart sets it up: a certificate for everybody who calls or is called."""

import json
from typing import Any

import helm_python as helm
import pytest
from charts.generate import static
from support.servers import REPOSITORY

from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.operator.certificates import Certificate
from posology.operator.work_namespaces import Copies
from posology.serving.kubernetes.pods import EnginePods

PRODUCTION = REPOSITORY / "k8s" / "values.yaml"
GIVEN = {"enabled": True, "secret": "certificates"}
MADE = {"enabled": True, "certManager": {"enabled": True, "issuer": "posology"}}
OWN: dict[str, Any] = {}
"""The default: the release makes them."""
SERVICES = ("orchestrator", "curation", "training", "evaluation", "serving", "gateway", "operator")
Object = dict[str, Any]


def rendered(tls: Object) -> list[Object]:
    return list(static.objects(static.with_values("posology", {"tls": tls}, PRODUCTION)))


def services(objects: list[Object]) -> dict[str, Object]:
    """Pod specs of the control services."""
    return {
        found["metadata"]["name"].removeprefix("posology-"): found["spec"]["template"]["spec"]
        for found in objects
        if found["kind"] == "Deployment"
    }


def secrets(pod: Object) -> set[str]:
    return {volume["secret"]["secretName"] for volume in pod["volumes"] if volume["name"] == "tls"}


def variables(pod: Object) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}


@pytest.mark.parametrize(("tls", "secret"), [(GIVEN, "certificates"), *((by, "posology-tls-{}") for by in (MADE, OWN))])
def test_every_service_and_its_workers_have_a_certificate(tls: Object, secret: str) -> None:
    found = services(rendered(tls))
    assert found.keys() == set(SERVICES)
    for name, pod in found.items():
        assert secrets(pod) == {secret.format(name)}
        assert {f"POSOLOGY_TLS_{what}_FILE" for what in ("CA", "CERT", "KEY")} <= variables(pod).keys()
    for name in ("curation", "training", "evaluation"):
        pods = PodSettings.model_validate_json(variables(found[name])["POSOLOGY_WORKER_PODS"])
        assert pods.tls_secret == secret.format("worker")


@pytest.mark.parametrize(
    ("tls", "secret"), [(GIVEN, "certificates"), *((by, "posology-tls-engine") for by in (MADE, OWN))]
)
def test_engines_show_one_to_the_gateway(tls: Object, secret: str) -> None:
    pods = EnginePods.model_validate_json(variables(services(rendered(tls))["serving"])["POSOLOGY_ENGINE_PODS"])
    assert pods.tls_secret == secret


def test_each_certificate_is_for_the_name_that_others_call() -> None:
    objects = rendered(MADE)
    made = {o["spec"]["secretName"]: o["spec"] for o in objects if o["kind"] == "Certificate"}
    assert made.keys() == {f"posology-tls-{name}" for name in (*SERVICES, "engine", "worker")}
    called = variables(services(objects)["operator"])
    for name in SERVICES[:-1]:
        host = called[f"POSOLOGY_{name.upper()}_ADDRESS"].partition(":")[0]
        assert host in made[f"posology-tls-{name}"]["dnsNames"]
    for caller in ("gateway", "serving"):
        told = variables(services(objects)[caller])
        assert made["posology-tls-engine"]["dnsNames"] == [told["POSOLOGY_ENGINE_TLS_NAME"]]
    assert "client auth" not in made["posology-tls-engine"]["usages"], "an engine calls nobody"
    assert "server auth" not in made["posology-tls-worker"]["usages"], "a worker's certificate makes no service"


def test_the_kubelet_asks_without_a_certificate() -> None:
    for name, pod in services(rendered(GIVEN)).items():
        probes = pod["containers"][0]
        assert probes["startupProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}, name
        assert "grpc" not in probes["readinessProbe"], name


def asked(objects: list[Object]) -> dict[str, Certificate]:
    """What the Job that runs first is to make."""
    [job] = [o for o in objects if o["kind"] == "Job" and o["metadata"]["name"] == "posology-credentials"]
    text = variables(job["spec"]["template"]["spec"])["POSOLOGY_CERTIFICATES"]
    return {name: Certificate.model_validate(one) for name, one in json.loads(text).items()}


def test_by_default_the_release_makes_a_certificate_for_each_name_that_others_call() -> None:
    objects = rendered(OWN)
    made = asked(objects)
    assert made.keys() == {*SERVICES, "engine", "worker"}
    called = variables(services(objects)["operator"])
    for name in SERVICES[:-1]:
        assert called[f"POSOLOGY_{name.upper()}_ADDRESS"].partition(":")[0] in made[name].names
    assert list(made["engine"].names) == [variables(services(objects)["gateway"])["POSOLOGY_ENGINE_TLS_NAME"]]
    assert (made["engine"].client, made["worker"].server) == (False, False)
    assert not [o for o in objects if o["kind"] == "Certificate"]


def test_what_work_mounts_is_brought_to_its_namespace_and_nothing_else() -> None:
    objects = rendered(OWN)
    [job] = [o for o in objects if o["metadata"]["name"] == "posology-credentials-of-work"]
    told = variables(job["spec"]["template"]["spec"])["POSOLOGY_WORK_COPIES"]
    copies = Copies.model_validate_json(told)
    assert copies.namespaces == ("posology-work",)
    assert {(copy.name, copy.keys) for copy in copies.secrets} == {
        ("posology-worker-secrets", ()),
        ("posology-worker-storage", ()),
        ("posology-tls-worker", ()),
        ("posology-tls-engine", ()),
        ("posology-released", ("RELEASED",)),
    }
    [cron] = [o for o in objects if o["kind"] == "CronJob"]
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert variables(pod)["POSOLOGY_WORK_COPIES"] == told
    readable = {
        name
        for o in objects
        if o["kind"] == "Role" and o["metadata"]["namespace"] == "posology-work"
        for rule in o["rules"]
        if "get" in rule["verbs"] and "secrets" in rule["resources"]
        for name in rule["resourceNames"]
    }
    assert readable == {copy.name for copy in copies.secrets}


def test_the_key_of_the_authority_is_read_by_the_credentials_job_alone() -> None:
    objects = rendered(OWN)
    allowed = [
        o["metadata"]["name"]
        for o in objects
        if o["kind"] in ("Role", "ClusterRole") and "posology-tls-authority" in json.dumps(o["rules"])
    ]
    assert allowed == ["posology-credentials"]
    mounted = json.dumps([o for o in objects if o["kind"] in ("Deployment", "Job", "CronJob", "StatefulSet")])
    assert "posology-tls-authority" not in mounted


def test_without_tls_nothing_of_it_is_there() -> None:
    objects = rendered({"enabled": False})
    assert not any(secrets(pod) for pod in services(objects).values())
    assert not [o for o in objects if o["kind"] == "Certificate"]


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"enabled": True, "certManager": {"enabled": True}}, "tls.certManager.issuer: name an issuer"),
        ({"enabled": True, "certmanager": {}}, "certmanager"),
        ({**MADE, "secret": "certificates"}, "bring certificates or have cert-manager make them, not both"),
        ({**MADE, "workSecret": "certificates"}, "bring certificates or have cert-manager make them, not both"),
        ({**MADE, "enabled": False, "secret": "certificates"}, "bring certificates or have cert-manager make them"),
        ({"workSecret": "certificates"}, "tls.workSecret: goes with tls.secret"),
    ],
)
def test_tls_that_is_not_whole_is_refused(tls: Object, said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        rendered(tls)


def test_a_release_that_makes_no_credentials_makes_no_certificates_either() -> None:
    with pytest.raises(helm.HelmError, match=r"tls.secret: name a Secret"):
        static.with_values("posology", {"credentials": {"create": False}}, PRODUCTION)
