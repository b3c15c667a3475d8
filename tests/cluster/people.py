"""People of a cluster: service accounts with roles, and the tokens that stand for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from posology.core.kube import Access, Kube, Resource

ACCOUNTS = Resource("v1", "serviceaccounts")
ROLES = Resource("rbac.authorization.k8s.io/v1", "roles")
BINDINGS = Resource("rbac.authorization.k8s.io/v1", "rolebindings")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io/v1", "clusterroles")
CLUSTER_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "clusterrolebindings")
GROUP = "rbac.authorization.k8s.io"
Rules = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    user: str
    token: str


async def person(kube: Kube, namespace: str, name: str, rules: Rules = (), *, audience: str = "posology") -> Person:
    """A service account of the namespace that may do what the rules say there, and its token."""
    await kube.create(ACCOUNTS, namespace, {"metadata": {"name": name}})
    if rules:
        await kube.create(ROLES, namespace, {"metadata": {"name": name}, "rules": list(rules)})
        role = {"apiGroup": GROUP, "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        await kube.create(BINDINGS, namespace, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    return Person(f"system:serviceaccount:{namespace}:{name}", await token(kube, namespace, name, audience=audience))


async def token(kube: Kube, namespace: str, account: str, *, audience: str = "posology") -> str:
    """kubectl create token."""
    spec = {"audiences": [audience] if audience else [], "expirationSeconds": 600}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    made = await kube.create(Resource("v1", f"serviceaccounts/{account}/token"), namespace, body)
    found: str = made["status"]["token"]
    return found


async def grant(kube: Kube, namespace: str, account: str, cluster_role: str) -> None:
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


def write_kubeconfig(path: Path, access: Access, token: str) -> Path:
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
