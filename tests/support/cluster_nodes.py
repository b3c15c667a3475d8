"""A cluster with kubelets for tests: that of KUBECONFIG, else the tool that may lie beside the checkout."""

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from posology.core.kube import ClusterConfig
from support.clusters import _TOOL, STATE, _is_running
from support.servers import REPOSITORY

_FILES = REPOSITORY / "tests" / "cluster" / "jobs"


@dataclass(frozen=True)
class Nodes:
    """A cluster whose nodes run pods; `image` is the micro worker, and `tool` drives the cluster, "" if it is another.

    `host` is the address of this machine that its pods reach.
    """

    access: ClusterConfig
    image: str
    host: str
    tool: str

    def do(self, *arguments: str) -> None:
        """Run the tool; skips on a cluster that is not the tool's."""
        if not self.tool:
            pytest.skip("this breaks nodes, which only the tool beside the checkout can mend")
        subprocess.run([self.tool, *arguments], check=True, capture_output=True, timeout=120)


@contextmanager
def cluster_nodes() -> Iterator[Nodes]:
    """Nodes that can run the micro worker; skips with the reason where there are none.

    With KUBECONFIG, POSOLOGY_TEST_WORKER_IMAGE names an image made from tests/cluster/jobs/Dockerfile.
    """
    if "KUBECONFIG" in os.environ and (image := os.environ.get("POSOLOGY_TEST_WORKER_IMAGE")):
        access = ClusterConfig.discover()
        yield Nodes(access, image, _reachable_from(access), "")
        return
    if not _TOOL.exists() or os.geteuid() != 0:
        pytest.skip("no nodes: set KUBECONFIG and POSOLOGY_TEST_WORKER_IMAGE (from tests/cluster/jobs/Dockerfile)")
    ran_before = _is_running(STATE)
    done = subprocess.run([_TOOL, "up"], capture_output=True, text=True, check=False, timeout=400)
    if done.returncode:
        pytest.skip(f"the tool beside the checkout could not start a cluster: {done.stderr[-300:]}")
    if why := _why_no_images():
        pytest.skip(f"the tool beside the checkout can't build images here: {why}")
    access = ClusterConfig.from_kubeconfig(STATE / "kubeconfig")
    yield Nodes(access, _built(STATE), _reachable_from(access), str(_TOOL))
    if not ran_before:
        subprocess.run([_TOOL, "down"], capture_output=True, check=False, timeout=120)


_OFFLINE = ("Name or service not known", "Temporary failure in name resolution", "No matching distribution found")


def run_tool(tool: str, *words: str) -> None:
    """Run the tool; skips where a build can't reach its packages, and fails the test with any other reason."""
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False, timeout=2400)
    said = done.stdout + done.stderr
    if done.returncode and any(sign in said for sign in _OFFLINE):
        pytest.skip(f"packages of an image are not to be had here: {said[-300:]}")
    assert done.returncode == 0, f"{words}: {said[-3000:]}"


def _why_no_images() -> str:
    """Why not even the public base image is to be had, "" if it is: it comes from a mirror that a machine may lack."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text("FROM python:3.11-slim-bookworm\nRUN python3 -m pip --version\n")
        command = [str(_TOOL), "build", "localhost/posology-probe:1", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    return done.stderr[-300:] if done.returncode else ""


def _built(state: Path) -> str:
    """The image of these sources, built and loaded once."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copytree(
            REPOSITORY / "services", context / "services", ignore=shutil.ignore_patterns("__pycache__", "*.pyi")
        )
        shutil.copy(REPOSITORY / "tests/support/micro_worker.py", context)
        shutil.copy(REPOSITORY / "requirements" / "control.txt", context / "requirements.txt")
        shutil.copy(_FILES / "Dockerfile", context)
        tag = f"localhost/posology-micro-worker:{_digest(context)}"
        loaded = state / "micro-worker"
        if not (loaded.exists() and loaded.read_text() == tag):
            for command in (["build", tag, folder], ["load", tag]):
                run_tool(str(_TOOL), *command)
            loaded.write_text(tag)
    return tag


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def _reachable_from(access: ClusterConfig) -> str:
    """The address by which this machine reaches the API server; pods reach it there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((urlsplit(access.server).hostname or "", 9))
        return str(probe.getsockname()[0])
