"""What the chart renders is taken by a real API server, and its roles suffice for what runs under them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from charts.generate import static
from cluster.operator_world import World, is_true
from support.clusters import RUNS
from support.servers import REPOSITORY

from posology.core.errors import NotFound
from posology.core.kube import ClusterConfig, Kube, Resource
from posology.operator import credentials

pytestmark = pytest.mark.cluster

DEV = REPOSITORY / "charts" / "posology" / "values-dev.yaml"
GPU = REPOSITORY / "charts" / "posology" / "values-gpu.yaml"
PRODUCTION = REPOSITORY / "k8s" / "values.yaml"
_CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


@pytest.mark.parametrize("values", [(DEV, GPU), (PRODUCTION, GPU)], ids=["dev", "production"])
async def test_every_object_is_accepted_where_pods_are_restricted(
    kube: Kube, namespace: str, values: tuple[Path, ...]
) -> None:
    enforce = {
        "metadata": {"labels": {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("warn", "enforce")}}
    }
    await kube.merge(Resource("v1", "namespaces"), "", namespace, enforce)
    rendered = list(static.objects(static.rendered("posology", *values, namespace=namespace)))
    work = [found for found in rendered if found["kind"] == "Namespace"]
    for found in work:
        await kube.create(kind_of(found), "", found)
    for found in (each for each in rendered if each not in work):
        answer = await kube._http.post(f"{path_of(found, namespace)}?dryRun=All&fieldValidation=Strict", json=found)
        assert answer.is_success, f"{found['kind']} {found['metadata']['name']}: {answer.text}"
        assert "warning" not in answer.headers, f"{found['kind']}: {answer.headers['warning']}"
    for found in work:
        await kube.delete(kind_of(found), "", found["metadata"]["name"])


OUTSIDE = {
    "ingress": {
        "http": {"enabled": True, "host": "answers.example.org", "tlsSecret": "answers-tls"},
        "grpc": {"enabled": True, "host": "grpc.example.org", "tlsElsewhere": True},
    },
    "publicGateway": {"create": True, "className": "any", "tlsSecret": "public-tls"},
    "httpRoute": {"enabled": True, "hostnames": ["answers.example.org"]},
    "grpcRoute": {"enabled": True, "hostnames": ["grpc.example.org"]},
    "monitoring": {
        "serviceMonitor": {"enabled": True},
        "rules": {"enabled": True},
        "dashboard": {"enabled": True},
    },
}


@pytest.mark.parametrize(
    "resource",
    [
        Resource("networking.k8s.io/v1", "ingresses"),
        Resource("networking.k8s.io/v1", "networkpolicies"),
        Resource("v1", "configmaps"),
        Resource("gateway.networking.k8s.io/v1", "gateways"),
        Resource("gateway.networking.k8s.io/v1", "httproutes"),
        Resource("gateway.networking.k8s.io/v1", "grpcroutes"),
        Resource("monitoring.coreos.com/v1", "servicemonitors"),
        Resource("monitoring.coreos.com/v1", "prometheusrules"),
    ],
    ids=lambda resource: resource.plural,
)
async def test_doors_and_alerts_are_accepted_where_their_kinds_exist(
    kube: Kube, namespace: str, resource: Resource
) -> None:
    try:
        known = (await kube.get(f"/apis/{resource.version}" if "/" in resource.version else "/api/v1"))["resources"]
    except NotFound:
        pytest.skip(f"this cluster does not know {resource.version}")
    (kind,) = [each["kind"] for each in known if each["name"] == resource.plural]
    rendered = static.objects(static.with_values("posology", OUTSIDE, DEV, namespace=namespace))
    found = [each for each in rendered if (each["apiVersion"], each["kind"]) == (resource.version, kind)]
    assert found
    for each in found:
        answer = await kube._http.post(f"{resource.path(namespace)}?dryRun=All&fieldValidation=Strict", json=each)
        assert answer.is_success, f"{kind} {each['metadata']['name']}: {answer.text}"


async def test_the_operator_s_role_suffices_for_all_it_does(installation: World, api: ClusterConfig) -> None:
    namespace = installation.namespace
    async with (
        as_account(api, namespace, "posology-operator") as installation.access,
        installation.orchestrator(),
        installation.operator(lease_name="posology-operator"),
    ):
        await installation.apply("run")
        await installation.until("run", is_true("Succeeded"))
        assert await installation.events("run")
        await installation.kube.delete(RUNS, namespace, "run")
        await installation.until_gone("run")


async def test_the_role_of_the_credentials_job_suffices(api: ClusterConfig, kube: Kube, namespace: str) -> None:
    async with as_account(api, namespace, "posology-credentials") as access, Kube(access) as limited:
        await credentials.make(limited, "posology", "posology-postgresql")
        await credentials.make(limited, "posology", "posology-postgresql")
    await kube.read(Resource("v1", "secrets"), namespace, "posology-database")


@asynccontextmanager
async def as_account(api: ClusterConfig, namespace: str, account: str) -> AsyncIterator[ClusterConfig]:
    """The chart's roles bound in a namespace, and access as one of its accounts."""
    served = {"operator": {"namespaces": [namespace]}}
    found = list(static.objects(static.with_values("posology", served, DEV, namespace=namespace)))
    roles = [o for o in found if o["kind"] == "ClusterRole" and o["metadata"]["name"].endswith("-operator")]
    async with Kube(api) as admin:
        for made in [*roles, *(o for o in found if o["kind"] in ("ServiceAccount", "Role", "RoleBinding"))]:
            await admin.create(kind_of(made), "" if made in roles else namespace, made)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        path = Resource("v1", "serviceaccounts").path(namespace, account, "token")
        token = (await admin._call("POST", path, body=body))["status"]["token"]
        yield ClusterConfig(server=api.server, authority=api.authority, namespace=namespace, token=token)
        for role in roles:
            await admin.delete(kind_of(role), "", role["metadata"]["name"])


def path_of(found: dict[str, Any], namespace: str) -> str:
    scope = "" if found["kind"] in _CLUSTER_WIDE else found["metadata"].get("namespace", namespace)
    return kind_of(found).path(scope)


def kind_of(found: dict[str, Any]) -> Resource:
    plural = found["kind"].lower()
    return Resource(found["apiVersion"], plural[:-1] + "ies" if plural.endswith("y") else f"{plural}s")
