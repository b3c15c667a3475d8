"""A pod finds its API server by its service account, everybody else by a kubeconfig."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from posology.core.errors import FailedPrecondition
from posology.core.kube import ClusterConfig


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "config"
    found = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api:6443", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(found))
    return path


def test_a_pod_uses_its_service_account_and_reads_its_token_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("ca.crt", "authority"), ("namespace", "posology\n"), ("token", "first\n")):
        (tmp_path / name).write_text(content)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    access = ClusterConfig.in_cluster(tmp_path)
    assert (access.server, access.namespace, access.bearer()) == ("https://[fd00::1]:6443", "posology", "first")
    (tmp_path / "token").write_text("second")
    assert access.bearer() == "second"


def test_a_kubeconfig_gives_the_identity_of_its_current_context(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("authority")
    encoded = base64.b64encode(b"certificate").decode()
    path = kubeconfig(
        tmp_path, {"client-certificate-data": encoded, "token": "t"}, **{"certificate-authority": "ca.pem"}
    )
    access = ClusterConfig.from_kubeconfig(path)
    assert (access.server, access.namespace, access.authority) == ("https://api:6443", "team-a", b"authority")
    assert (access.certificate, access.bearer()) == (b"certificate", "t")


def test_a_login_that_needs_a_plug_in_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"exec": {"command": "gke-gcloud-auth-plugin"}})
    with pytest.raises(FailedPrecondition, match="kubectl create token"):
        ClusterConfig.from_kubeconfig(path)


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {})
    path.write_text(path.read_text().replace("current-context: here", "current-context: there"))
    with pytest.raises(FailedPrecondition, match="no context 'there'"):
        ClusterConfig.from_kubeconfig(path)


def test_without_any_cluster_it_says_what_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FailedPrecondition, match="KUBECONFIG is not set"):
        ClusterConfig.discover()
