"""Doors for callers outside: shut until opened, never without TLS, and never to what workers call."""

from typing import Any

import helm_python as helm
import pytest
from charts.generate import static
from support.servers import REPOSITORY

from posology.v1alpha1 import (
    catalog_pb2,
    curation_pb2,
    evaluation_pb2,
    gateway_pb2,
    orchestrator_pb2,
    serving_pb2,
    training_pb2,
)

PRODUCTION = REPOSITORY / "k8s" / "values.yaml"
DOORS = ("Ingress", "Gateway", "HTTPRoute", "GRPCRoute")
BEHIND = {
    "orchestrator": (orchestrator_pb2, catalog_pb2), "curation": (curation_pb2,), "training": (training_pb2,),
    "evaluation": (evaluation_pb2,), "serving": (serving_pb2,), "gateway": (gateway_pb2,),
}  # fmt: skip
CALLED = {
    found.full_name: f"posology-{service}"
    for service, modules in BEHIND.items()
    for module in modules
    for found in module.DESCRIPTOR.services_by_name.values()
}
"""Proto service -> the Service that has it."""


def objects(values: dict[str, Any]) -> list[dict[str, Any]]:
    return list(static.objects(static.with_values("posology", values, PRODUCTION)))


def the(kind: str, values: dict[str, Any], name: str = "posology") -> dict[str, Any]:
    (one,) = [o for o in objects(values) if o["kind"] == kind and o["metadata"]["name"] == name]
    return one


def ports_of(values: dict[str, Any]) -> set[tuple[str, str | int]]:
    """Every (Service, port by name and by number) of the release."""
    services = [o for o in objects(values) if o["kind"] == "Service"]
    return {
        (service["metadata"]["name"], key)
        for service in services
        for port in service["spec"]["ports"]
        for key in (port["name"], port["port"])
    }


def test_all_doors_are_shut_by_default() -> None:
    assert not [o["kind"] for o in objects({}) if o["kind"] in DOORS]


def test_an_ingress_leads_to_the_openai_api_and_nothing_else_of_the_gateway() -> None:
    values = {"ingress": {"http": {
        "enabled": True, "host": "answers.example.org", "tlsSecret": "answers-tls",
        "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
    }}}  # fmt: skip
    door = the("Ingress", values)
    (rule,) = door["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert (rule["host"], path["path"]) == ("answers.example.org", "/v1")
    assert (backend["name"], backend["port"]["name"]) in ports_of(values)
    assert door["spec"]["tls"] == [{"hosts": ["answers.example.org"], "secretName": "answers-tls"}]
    assert door["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}


def test_grpc_by_ingress_reaches_each_service_by_its_own_path_and_no_worker_s() -> None:
    values = {"ingress": {"grpc": {"enabled": True, "host": "grpc.example.org", "tlsElsewhere": True}}}
    (rule,) = the("Ingress", values, "posology-grpc")["spec"]["rules"]
    backends = {p["path"].removeprefix("/"): p["backend"]["service"] for p in rule["http"]["paths"]}
    assert {path: backend["name"] for path, backend in backends.items()} == CALLED
    assert {(b["name"], b["port"]["name"]) for b in backends.values()} <= ports_of(values)


def test_routes_attach_to_a_gateway_of_the_release_that_ends_tls() -> None:
    values = {
        "publicGateway": {"create": True, "className": "envoy", "tlsSecret": "public-tls"},
        "httpRoute": {"enabled": True, "hostnames": ["answers.example.org"]},
        "grpcRoute": {"enabled": True, "hostnames": ["grpc.example.org"]},
    }
    gateway, http, grpc = (the(kind, values) for kind in ("Gateway", "HTTPRoute", "GRPCRoute"))
    listeners = gateway["spec"]["listeners"]
    assert {each["hostname"] for each in listeners} == {"answers.example.org", "grpc.example.org"}
    assert all(each["tls"]["certificateRefs"] == [{"kind": "Secret", "name": "public-tls"}] for each in listeners)
    assert http["spec"]["parentRefs"] == grpc["spec"]["parentRefs"] == [{"name": "posology"}]
    assert http["spec"]["rules"][0]["timeouts"] == {"request": "600s"}
    found = {
        match["method"]["service"]: rule["backendRefs"][0]["name"]
        for rule in grpc["spec"]["rules"]
        for match in rule["matches"]
    }
    assert found == CALLED
    backends = [rule["backendRefs"][0] for route in (http, grpc) for rule in route["spec"]["rules"]]
    assert {(backend["name"], backend["port"]) for backend in backends} <= ports_of(values)


def test_routes_may_attach_to_a_gateway_that_exists() -> None:
    parents = [{"name": "shared", "namespace": "edge", "sectionName": "https"}]
    values = {"httpRoute": {"enabled": True, "hostnames": ["a.example.org"], "parentRefs": parents}}
    assert the("HTTPRoute", values)["spec"]["parentRefs"] == parents


def test_an_open_door_lets_callers_through_the_network_policy_to_the_services_behind_it_only() -> None:
    values = {"grpcRoute": {
        "enabled": True, "hostnames": ["g.example.org"], "parentRefs": [{"name": "edge"}], "services": ["orchestrator"],
    }}  # fmt: skip
    policy = the("NetworkPolicy", values, "posology-outside")["spec"]
    assert policy["podSelector"]["matchExpressions"][0]["values"] == ["orchestrator"]
    assert policy["ingress"] == [{"ports": [{"port": 7410}]}]
    assert not [o for o in objects({}) if o["metadata"]["name"] == "posology-outside"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ingress": {"http": {"enabled": True, "host": "a.example.org"}}}, "ingress.http.tlsSecret"),
        ({"ingress": {"http": {"enabled": True, "tlsSecret": "t"}}}, "ingress.http.host"),
        ({"ingress": {"grpc": {"enabled": True, "host": "a.example.org"}}}, "ingress.grpc.tlsSecret"),
        ({"ingress": {"grpc": {"services": ["worker"]}}}, "services"),
        ({"httpRoute": {"enabled": True, "hostnames": ["a.example.org"]}}, "httpRoute.parentRefs"),
        ({"grpcRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, "grpcRoute.hostnames"),
        ({"publicGateway": {"create": True, "className": "envoy", "tlsSecret": "t"}}, "httpRoute or grpcRoute"),
        ({"ingress": {"http": {"hosts": ["a"]}}}, "hosts"),
    ],
)  # fmt: skip
def test_a_door_that_is_not_whole_is_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        objects(values)
