"""Which connection the rendered NetworkPolicies allow, for every pair of roles and every port, held against a table.

The policies are evaluated here as the API's documentation defines them (a pod that a policy selects is closed but for
what some policy allows; both ends must allow). Whether a cluster's network plugin does as it is told is its own matter.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from unit.chart.test_where_work_runs import Object, rendered, settings

from posology.core.jobs.launchers.kubernetes.manifest import labels
from posology.serving.kubernetes.manifest import selector
from posology.serving.kubernetes.pods import EnginePods

RELEASE, WORK = "posology", "posology-work"
SERVICES = ("curation", "evaluation", "gateway", "operator", "orchestrator", "serving", "training")
STARTERS = ("curation", "evaluation", "training")
RPC, HTTP, METRICS, DATABASE = 7410, 8080, 9090, 5432


@dataclass(frozen=True)
class Pod:
    """An end of a connection inside the cluster."""

    namespace: str
    labels: Mapping[str, str]


def allows(policies: list[Object], source: Pod, target: "Pod | str", port: int) -> bool:
    """Whether a connection may be made; `target` may be an address outside."""
    out = _side_allows(policies, source, target, port, "Egress")
    return out and (isinstance(target, str) or _side_allows(policies, target, source, port, "Ingress"))


def _side_allows(policies: list[Object], pod: Pod, other: "Pod | str", port: int, side: str) -> bool:
    mine = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and _selects(policy["spec"]["podSelector"], pod.labels)
        and side in policy["spec"]["policyTypes"]
    ]
    ends = "to" if side == "Egress" else "from"
    rules = [(policy, rule) for policy in mine for rule in policy["spec"].get(side.lower(), ())]
    return not mine or any(
        _is_port(rule, port) and _is_peer(rule.get(ends), other, policy["metadata"]["namespace"])
        for policy, rule in rules
    )


def _is_port(rule: Object, port: int) -> bool:
    tcp = [one for one in rule.get("ports", ()) if one.get("protocol", "TCP") == "TCP"]
    return "ports" not in rule or any(one["port"] == port for one in tcp)


def _is_peer(peers: "list[Object] | None", other: "Pod | str", namespace: str) -> bool:
    return not peers or any(_is_one(peer, other, namespace) for peer in peers)


def _is_one(peer: Object, other: "Pod | str", namespace: str) -> bool:
    if isinstance(other, str) or "ipBlock" in peer:
        # An address of a pod is one that blocks of addresses may hold as well; here pods have 10.244.0.0/16.
        address = ip_address(other if isinstance(other, str) else "10.244.0.9")
        return "ipBlock" in peer and _is_in(address, peer["ipBlock"])
    there = {"kubernetes.io/metadata.name": other.namespace}
    of_namespace = _selects(peer["namespaceSelector"], there) if "namespaceSelector" in peer else None
    if of_namespace is None and other.namespace != namespace:
        return False
    return of_namespace is not False and _selects(peer.get("podSelector", {}), other.labels)


def _is_in(address: Any, block: Object) -> bool:
    held = [ip_network(cidr) for cidr in (block["cidr"], *block.get("except", ()))]
    return address in held[0] and not any(address in hole for hole in held[1:] if hole.version == address.version)


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    tests: dict[str, Callable[[str, Any], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", ())
    return exact and all(tests[one["operator"]](one["key"], one.get("values")) for one in expressions)


@functools.cache
def world() -> tuple[list[Object], dict[str, Pod]]:
    objects = rendered(
        console={"enabled": True, "url": "https://posology.example.org"},
        postgresql={"enabled": True},
        work={"teams": {"oncology": "onco"}},
    )
    pods = {
        o["metadata"]["name"].removeprefix("posology-"): Pod(RELEASE, o["spec"]["template"]["metadata"]["labels"])
        for o in objects
        if o["kind"] in ("Deployment", "StatefulSet")
    }
    engines = EnginePods.model_validate_json(settings(objects, "serving", "POSOLOGY_ENGINE_PODS"))
    for place, suffix in ((WORK, ""), ("onco", " of a team")):
        pods[f"engine{suffix}"] = Pod(place, selector(engines.labels))
        for service in STARTERS:
            pods[f"{service} worker{suffix}"] = Pod(place, labels("namespaces/a/jobs/b", 1, service))
    pods["a pod of another product"] = Pod(RELEASE, {"app": "else"})
    pods["a pod of another namespace"] = Pod("default", dict(pods["gateway"].labels))
    pods["somebody's pod where work runs"] = Pod(WORK, {"app": "else"})
    return [o for o in objects if o["kind"] == "NetworkPolicy"], pods


def wanted(source: str, target: str, port: int) -> bool:
    """The table: who is to reach whom. Pods of other products are not closed, so what listens there is theirs."""
    role = source.removesuffix(" of a team")
    inside = role in (*SERVICES, "console")
    if port == RPC:
        return target in SERVICES and (inside or role == f"{target} worker")
    if port == HTTP and target.startswith("engine"):
        return source in ("gateway", "serving")
    if port == HTTP:
        return target == "gateway" and role == "console"
    if port == DATABASE:
        return target == "postgresql" and role in SERVICES and role != "operator"
    return False


OURS = [*SERVICES, "console", "postgresql", "engine", *(f"{one} worker" for one in STARTERS)]


@pytest.mark.parametrize("port", [RPC, HTTP, DATABASE])
def test_of_all_pairs_of_roles_those_of_the_table_connect_and_no_others(port: int) -> None:
    policies, pods = world()
    ours = [*OURS, *(name for name in pods if name.endswith("of a team"))]
    wrong = [
        f"{source} -> {target}: {'closed' if wanted(source, target, port) else 'open'}"
        for source in ours
        for target in ours
        if source != target and allows(policies, pods[source], pods[target], port) != wanted(source, target, port)
    ]
    assert wrong == []


def test_the_pods_of_one_training_meet_on_any_port_and_no_other_work_does() -> None:
    policies, pods = world()
    workers = [name for name in pods if "worker" in name or name.startswith("engine")]
    meeting = {(one, other) for one in workers for other in workers if allows(policies, pods[one], pods[other], 29500)}
    assert meeting == {("training worker", "training worker"), ("training worker of a team",) * 2}


@pytest.mark.parametrize(
    "stranger", ["a pod of another product", "a pod of another namespace", "somebody's pod where work runs"]
)
def test_a_stranger_reaches_the_gateways_door_and_metrics_alone(stranger: str) -> None:
    """Somebody's pod where work runs is closed itself: it reaches nothing at all."""
    policies, pods = world()
    reached = {
        (target, port)
        for target in OURS
        for port in (RPC, HTTP, METRICS, DATABASE, 6000)
        if allows(policies, pods[stranger], pods[target], port)
    }
    doors = {("gateway", HTTP), ("console", HTTP), *((service, METRICS) for service in SERVICES)}
    assert reached == (set() if pods[stranger].namespace == WORK else doors)


@pytest.mark.parametrize("role", OURS)
def test_nobody_reaches_where_machines_keep_their_credentials(role: str) -> None:
    policies, pods = world()
    for address in ("169.254.169.254", "169.254.170.2", "fe80::1"):
        assert not any(allows(policies, pods[role], address, port) for port in (80, 443, 8080)), address


def test_what_leaves_the_cluster_is_what_a_role_needs() -> None:
    policies, pods = world()
    assert all(not allows(policies, pods[role], "93.184.216.34", port) for role in OURS for port in (22, 25, 80, 8443))
    assert not allows(policies, pods["postgresql"], "93.184.216.34", 443)


def test_without_policies_everything_is_open_so_the_evaluator_says_no_by_policy_alone() -> None:
    _, pods = world()
    assert all(allows([], pods[one], pods[other], RPC) for one in OURS for other in OURS)
