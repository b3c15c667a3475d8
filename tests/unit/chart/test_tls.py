"""TLS between services, as the chart sets it up: a certificate for everybody who calls or is called."""

from typing import Any

import helm_python as helm
import pytest
from charts.generate import static
from support.servers import REPOSITORY

from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.serving.kubernetes.pods import EnginePods

PRODUCTION = REPOSITORY / "k8s" / "values.yaml"
GIVEN = {"enabled": True, "secret": "certificates"}
MADE = {"enabled": True, "certManager": {"enabled": True, "issuer": "posology"}}
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


@pytest.mark.parametrize(("tls", "secret"), [(GIVEN, "certificates"), (MADE, "posology-tls-{}")])
def test_every_service_and_its_workers_have_a_certificate(tls: Object, secret: str) -> None:
    found = services(rendered(tls))
    assert found.keys() == set(SERVICES)
    for name, pod in found.items():
        assert secrets(pod) == {secret.format(name)}
        assert {f"POSOLOGY_TLS_{what}_FILE" for what in ("CA", "CERT", "KEY")} <= variables(pod).keys()
    for name in ("curation", "training", "evaluation"):
        pods = PodSettings.model_validate_json(variables(found[name])["POSOLOGY_WORKER_PODS"])
        assert pods.tls_secret == secret.format("worker")


@pytest.mark.parametrize(("tls", "secret"), [(GIVEN, "certificates"), (MADE, "posology-tls-engine")])
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


def test_without_tls_nothing_of_it_is_there() -> None:
    objects = rendered({})
    assert not any(secrets(pod) for pod in services(objects).values())
    assert not [o for o in objects if o["kind"] == "Certificate"]


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"enabled": True}, "tls.secret: name a Secret"),
        ({"enabled": True, "certManager": {"enabled": True}}, "tls.certManager.issuer: name an issuer"),
        ({"enabled": True, "certmanager": {}}, "certmanager"),
    ],
)
def test_tls_that_is_not_whole_is_refused(tls: Object, said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        rendered(tls)
