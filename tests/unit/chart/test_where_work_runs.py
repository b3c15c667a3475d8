"""Workers and engines run in namespaces that hold no key, and the services may start them there and nowhere else."""

import functools
import json
from typing import Any

import helm_python as helm
import pytest
import yaml
from charts.generate import static
from unit.chart.test_what_the_chart_renders import PRODUCTION, variables

from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.serving.kubernetes.pods import EnginePods

Object = dict[str, Any]
STARTERS = {f"posology-{service}" for service in ("curation", "training", "evaluation", "serving")}


@functools.cache
def _rendered(values: str) -> tuple[Object, ...]:
    return tuple(static.objects(static.with_values("posology", json.loads(values), PRODUCTION)))


def rendered(**values: Any) -> tuple[Object, ...]:
    return _rendered(json.dumps(values))


def settings(objects: tuple[Object, ...], service: str, name: str) -> str:
    [pod] = [
        o["spec"]["template"]["spec"]
        for o in objects
        if o["kind"] == "Deployment" and o["metadata"]["name"] == f"posology-{service}"
    ]
    return str(variables(pod)[name])


def rights(objects: tuple[Object, ...], account: str) -> dict[str, list[tuple[str, str]]]:
    """Namespace -> (resource, verb) that the account has there by a Role."""
    roles = {(o["metadata"]["namespace"], o["metadata"]["name"]): o["rules"] for o in objects if o["kind"] == "Role"}
    found: dict[str, list[tuple[str, str]]] = {}
    for o in objects:
        if o["kind"] != "RoleBinding" or all(subject["name"] != account for subject in o["subjects"]):
            continue
        at = o["metadata"]["namespace"]
        for rule in roles.get((at, o["roleRef"]["name"]), ()):
            pairs = [(resource, verb) for resource in rule["resources"] for verb in rule["verbs"]]
            found.setdefault(at, []).extend(pairs)
    return found


def test_by_default_what_starts_pods_may_do_so_only_where_no_key_is() -> None:
    objects = rendered()
    for account in STARTERS:
        assert rights(objects, account).keys() == {"posology-work"}, account
    keys = {o["metadata"]["name"] for o in objects if o["kind"] == "Secret"}
    assert keys == set(), "no Secret is rendered, here or there"


def test_the_services_are_told_where_to_start_them() -> None:
    objects = rendered()
    for service in ("curation", "training", "evaluation"):
        pods = PodSettings.model_validate_json(settings(objects, service, "POSOLOGY_WORKER_PODS"))
        assert pods.namespace_for("namespaces/any/trainingJobs/a") == "posology-work"
        assert not pods.left_behind
    engines = EnginePods.model_validate_json(settings(objects, "serving", "POSOLOGY_ENGINE_PODS"))
    assert (engines.namespace, engines.owner) == ("posology-work", "posology-engine")
    assert settings(objects, "operator", "POSOLOGY_DENY_LIST_NAMESPACES") == "posology-work"


def test_each_team_has_a_namespace_with_all_that_work_needs() -> None:
    objects = rendered(work={"namespace": "models", "teams": {"oncology": "onco", "cardio": "heart"}})
    namespaces = {o["metadata"]["name"] for o in objects if o["kind"] == "Namespace"}
    assert namespaces == {"models", "onco", "heart"}
    pods = PodSettings.model_validate_json(settings(objects, "training", "POSOLOGY_WORKER_PODS"))
    assert pods.namespace_for("namespaces/oncology/trainingJobs/a") == "onco"
    assert pods.namespace_for("namespaces/else/trainingJobs/a") == "models"
    for namespace in namespaces:
        here = {(o["kind"], o["metadata"]["name"]) for o in objects if o["metadata"].get("namespace") == namespace}
        assert {
            ("ServiceAccount", "posology-worker"), ("ServiceAccount", "posology-engine"),
            ("Service", "posology-peers"), ("ConfigMap", "posology-deny-list"), ("NetworkPolicy", "posology-deny"),
            ("RoleBinding", "posology-launcher"), ("RoleBinding", "posology-engines"),
        } <= here, namespace  # fmt: skip
    for policy in (o for o in objects if o["kind"] == "ValidatingAdmissionPolicy"):
        if policy["metadata"]["name"].endswith(("-work", "-workers", "-engine-pods")):
            [chosen] = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
            assert set(chosen["values"]) == namespaces, policy["metadata"]["name"]


def test_a_namespace_of_work_outlives_the_release_and_restricts_its_pods() -> None:
    [made] = [o for o in rendered() if o["kind"] == "Namespace"]
    assert made["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not [o for o in rendered(work={"create": False}) if o["kind"] == "Namespace"]


def test_what_an_earlier_release_left_beside_the_keys_is_ended_and_nothing_is_made_there() -> None:
    objects = rendered(work={"leftBehind": "always"})
    for account in STARTERS:
        beside = rights(objects, account)["posology"]
        assert "create" not in {verb for _, verb in beside}
        assert "secrets" not in {resource for resource, _ in beside}
        assert {("jobs", "delete"), ("deployments", "patch")} <= set(beside)
    assert PodSettings.model_validate_json(settings(objects, "training", "POSOLOGY_WORKER_PODS")).left_behind
    assert EnginePods.model_validate_json(settings(objects, "serving", "POSOLOGY_ENGINE_PODS")).left_behind
    assert [o for o in objects if o["metadata"]["name"] == "posology-posology-left-behind"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"work": {"namespace": "posology"}}, "the release's own namespace, where the signing keys are"),
        ({"work": {"teams": {"a": "posology"}}}, "the release's own namespace, where the signing keys are"),
        ({"work": {"teams": {"a": "Not_A_Name"}}}, "teams"),
        ({"work": {"apart": False, "namespace": "x"}}, "need work.apart"),
        ({"storage": {"volume": {"enabled": True}}}, "a volume that the chart makes is of one namespace"),
        ({"sample": {"enabled": True}}, "is of one namespace"),
        ({"work": None}, "the values of an earlier chart"),
    ],
)
def test_a_layout_that_can_not_work_is_refused_with_what_to_do(values: Object, said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        static.with_values("posology", values, PRODUCTION)


# --- the network ------------------------------------------------------------------------------------------


def egress(objects: tuple[Object, ...], name: str, namespace: str = "posology") -> list[Object]:
    [policy] = [
        o
        for o in objects
        if o["kind"] == "NetworkPolicy"
        and (o["metadata"]["namespace"], o["metadata"]["name"]) == (namespace, f"posology-egress-{name}")
    ]
    assert policy["spec"]["policyTypes"] == ["Egress"]
    rules: list[Object] = policy["spec"]["egress"]
    return rules


def ports(rules: list[Object]) -> set[int]:
    return {port["port"] for rule in rules for port in rule.get("ports", ())} - {53, 5353}


def cidrs(rules: list[Object]) -> set[str]:
    return {peer["ipBlock"]["cidr"] for rule in rules for peer in rule.get("to", ()) if "ipBlock" in peer}


CLOSED = {
    "destinations": {
        "database": {"to": ["10.1.0.0/24"], "ports": [5432]},
        "objectStore": {"to": ["10.2.0.0/24"], "ports": [9000]},
        "apiServer": {"to": ["10.3.0.1/32"], "ports": [6443]},
        "modelEndpoints": {"to": ["10.4.0.0/24"], "ports": [8000]},
        "hub": {"to": ["10.5.0.0/24"], "ports": [443]},
        "identityProvider": {"to": ["10.6.0.0/24"], "ports": [443]},
    }
}


def test_each_role_reaches_what_it_needs_and_no_more() -> None:
    objects = rendered(networkPolicy=CLOSED)
    database, store, server, teacher, hub = (f"10.{n}.0.{'1/32' if n == 3 else '0/24'}" for n in range(1, 6))
    provider: set[str] = {"10.6.0.0/24"}
    services = {
        "orchestrator": {database, store, server} | provider,
        "curation": {database, store, server} | provider,
        "training": {database, store, server, hub} | provider,
        "evaluation": {database, store, server} | provider,
        "serving": {database, store, server} | provider,
        "gateway": {database, server} | provider,
        "operator": {server} | provider,
        "credentials": {server},
    }
    for name, reached in services.items():
        assert cidrs(egress(objects, name)) == reached, name
    workers = {"curation": {store, teacher}, "training": {store, hub}, "evaluation": {store, teacher}}
    for name, reached in workers.items():
        assert cidrs(egress(objects, f"workers-of-{name}", "posology-work")) == reached, name
    assert cidrs(egress(objects, "engines", "posology-work")) == {store}


def test_nothing_goes_everywhere() -> None:
    """An egress rule without `to` is only that of names, and one for any address keeps to its ports."""
    for values in ({}, {"networkPolicy": CLOSED}, {"modelEndpoints": ENDPOINTS}):
        for policy in (o for o in rendered(**values) if o["kind"] == "NetworkPolicy"):
            for rule in policy["spec"].get("egress", ()):
                name = policy["metadata"]["name"]
                assert rule.get("to") or {p["port"] for p in rule["ports"]} == {53, 5353}, name
                assert rule.get("ports") or "ipBlock" not in json.dumps(rule), name
                for peer in rule.get("to", ()):
                    if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0":
                        assert "169.254.0.0/16" in peer["ipBlock"]["except"], name


ENDPOINTS = {
    "cloud": {"address": "https://api.example.org/v1", "models": ["m"], "namespaces": ["*"]},
    "odd": {"address": "https://llm.example.org:8443/v1", "models": ["m"], "namespaces": ["*"]},
    "own": {"address": "http://vllm.models.svc:8000", "models": ["m"], "namespaces": ["*"], "allowPrivate": True},
}


def test_workers_reach_teachers_only_where_there_are_any_on_their_ports() -> None:
    def of(**values: Any) -> list[Object]:
        return egress(rendered(**values), "workers-of-curation", "posology-work")

    assert ports(of()) == {7410, 443, 9000}, "its service and the object store"
    with_teachers = of(modelEndpoints=ENDPOINTS)
    assert ports(with_teachers) == {7410, 443, 9000, 8443, 8000}
    [public] = [rule for rule in with_teachers if rule["ports"] == [{"port": 8443}]]
    assert "10.0.0.0/8" in public["to"][0]["ipBlock"]["except"]
    [private] = [rule for rule in with_teachers if rule["ports"] == [{"port": 8000}]]
    assert private["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]


def test_a_worker_calls_the_service_that_started_it_and_no_other() -> None:
    objects = rendered()
    for service in ("curation", "training", "evaluation"):
        rules = egress(objects, f"workers-of-{service}", "posology-work")
        [call] = [rule for rule in rules if rule.get("ports") == [{"port": 7410}]]
        [expression] = call["to"][0]["podSelector"]["matchExpressions"]
        assert expression["values"] == [service]
        [back] = [
            o["spec"]["ingress"][0]["from"]
            for o in objects
            if o["kind"] == "NetworkPolicy" and o["metadata"]["name"] == f"posology-workers-of-{service}"
        ]
        assert [peer["podSelector"]["matchLabels"]["posology.dev/service"] for peer in back] == [service]


def test_rules_of_an_earlier_release_count_for_all_and_open_nothing_more() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"port": 443}]}
    objects = rendered(networkPolicy={"egress": [rule]})
    for name, namespace in (("curation", "posology"), ("workers-of-training", "posology-work")):
        assert cidrs(egress(objects, name, namespace)) == {"10.9.0.0/16"}


def test_a_hub_is_reached_by_training_where_models_may_come_from_one() -> None:
    objects = rendered(sources={"models": ["file:*"]})
    assert 443 in ports(egress(objects, "workers-of-training", "posology-work")), "the object store"
    closed = rendered(
        sources={"models": ["file:*"]},
        networkPolicy={"destinations": {"objectStore": {"to": ["10.2.0.0/24"], "ports": [9000]}}},
    )
    assert ports(egress(closed, "workers-of-training", "posology-work")) == {7410, 9000}


@pytest.mark.parametrize("to", ["10.0.0.0", "any", "10.0.0.0/", "0.0.0.0/0/0"])
def test_an_address_that_is_none_is_refused_by_name(to: str) -> None:
    with pytest.raises(helm.HelmError, match="destinations"):
        static.with_values("posology", {"networkPolicy": {"destinations": {"hub": {"to": [to]}}}}, PRODUCTION)


def test_pods_of_work_have_the_labels_that_the_network_goes_by() -> None:
    text = yaml.safe_dump_all([o for o in rendered() if o["kind"] == "NetworkPolicy"])
    assert "posology.dev/service: training" in text
