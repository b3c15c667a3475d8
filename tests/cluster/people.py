"""People of a cluster: service accounts with roles, and the tokens that stand for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from charts.generate import static
from cluster.test_the_chart_on_an_api_server import PRODUCTION, kind_of

from posology.core.kube import ClusterConfig, Kube, Resource

ACCOUNTS = Resource("v1", "serviceaccounts")
BINDINGS = Resource("rbac.authorization.k8s.io/v1", "rolebindings")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io/v1", "clusterroles")
CLUSTER_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "clusterrolebindings")
GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    user: str
    token: str


async def person(kube: Kube, namespace: str, name: str, *roles: str, audience: str = "posology") -> Person:
    """A service account of the namespace that has these roles of the chart there, and its token."""
    await kube.create(ACCOUNTS, namespace, {"metadata": {"name": name}})
    for role in roles:
        await _grant(kube, namespace, name, f"{namespace}-posology-{role}")
    return Person(f"system:serviceaccount:{namespace}:{name}", await token(kube, namespace, name, audience=audience))


async def token(kube: Kube, namespace: str, account: str, *, audience: str = "posology") -> str:
    """kubectl create token."""
    spec = {"audiences": [audience] if audience else [], "expirationSeconds": 600}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    made = await kube.create(Resource("v1", f"serviceaccounts/{account}/token"), namespace, body)
    found: str = made["status"]["token"]
    return found


@asynccontextmanager
async def roles_of_the_chart(kube: Kube, namespace: str) -> AsyncIterator[None]:
    """What an installation in this namespace makes outside of it for its users: their roles, and the policy that
    submitters are named."""
    served = {"operator": {"namespaces": [namespace]}}
    found = [
        made
        for made in static.objects(static.with_values("posology", served, PRODUCTION, namespace=namespace))
        if made["metadata"]["labels"]["app.kubernetes.io/component"] == "users"
    ]
    for made in found:
        await kube.create(kind_of(made), "", made)
    yield
    for made in found:
        await kube.delete(kind_of(made), "", made["metadata"]["name"])


async def grant_group(kube: Kube, namespace: str, group: str, role: str) -> None:
    """kubectl create rolebinding --group: a role of the chart for everybody of a group."""
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": f"{namespace}-posology-{role}"}
    subject = {"apiGroup": GROUP, "kind": "Group", "name": group}
    body = {"metadata": {"name": f"{group}-{role}"}, "roleRef": reference, "subjects": [subject]}
    await kube.create(BINDINGS, namespace, body)


async def _grant(kube: Kube, namespace: str, account: str, cluster_role: str) -> None:
    """kubectl create rolebinding --clusterrole."""
    role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": cluster_role}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    name = f"{account}-{cluster_role}"
    await kube.create(BINDINGS, namespace, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})


async def reviewing_service(kube: Kube, namespace: str, folder: Path) -> Path:
    """The kubeconfig of a service that may ask who somebody is and what they may do, and nothing else."""
    name = f"{namespace}-reviewing"
    rules = [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]
    account = await person(kube, namespace, "reviewing", audience="")
    await kube.create(CLUSTER_ROLES, "", {"metadata": {"name": name}, "rules": rules})
    role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "name": "reviewing", "namespace": namespace}
    await kube.create(CLUSTER_BINDINGS, "", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    return write_kubeconfig(folder / "kubeconfig", kube.access, account.token)


async def forget_reviewing_service(kube: Kube, namespace: str) -> None:
    """What lies outside of the namespace."""
    await kube.delete(CLUSTER_BINDINGS, "", f"{namespace}-reviewing")
    await kube.delete(CLUSTER_ROLES, "", f"{namespace}-reviewing")


def write_kubeconfig(path: Path, access: ClusterConfig, token: str) -> Path:
    """A kubeconfig for this token."""
    authority = path.with_suffix(".ca")
    authority.write_bytes(access.authority)
    cluster = {"server": access.server, "certificate-authority": str(authority)}
    config = {
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(config))
    return path
