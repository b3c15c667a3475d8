"""The images that these tests run: the control image of these sources, and an engine without a model."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster.whole.images import TARGETS, digest, provide
from support.cluster_nodes import Nodes, run_tool
from support.clusters import STATE
from support.servers import REPOSITORY

_HERE = "tests/cluster/serving"
_STAND_IN = (f"{_HERE}/Dockerfile", f"{_HERE}/stand-in", "tests/support/vllm_protocol.py")


@dataclass(frozen=True)
class Images:
    """Full names with tags; `engine` is the stand-in."""

    control: str
    engine: str
    postgresql: str


def images(nodes: Nodes) -> Images:
    """POSOLOGY_TEST_IMAGES (a prefix) and POSOLOGY_TEST_TAG name images that exist; else they are built and loaded."""
    if prefix := os.environ.get("POSOLOGY_TEST_IMAGES"):
        tag = os.environ.get("POSOLOGY_TEST_TAG", "0.1.0")
        return Images(*(f"{prefix}/{name}:{tag}" for name in ("control", "engine-stand-in", "postgresql")))
    if not nodes.tool:
        pytest.skip("set POSOLOGY_TEST_IMAGES to the prefix of images that this cluster can pull (make images)")
    control = f"localhost/posology/control:{digest(*TARGETS['control'])}"
    postgresql = f"localhost/posology/postgresql:{digest('tests/cluster/postgresql')}"
    provide(nodes.tool, "control", control)
    provide(nodes.tool, "postgresql", postgresql)
    return Images(control, _stand_in(nodes.tool, control), postgresql)


def vllm(nodes: Nodes) -> str:
    """The image with vLLM for CPUs, built and loaded if need be: gigabytes."""
    if prefix := os.environ.get("POSOLOGY_TEST_IMAGES"):
        return f"{prefix}/engine-cpu:{os.environ.get('POSOLOGY_TEST_TAG', '0.1.0')}"
    tag = f"localhost/posology/engine-cpu:{digest(*TARGETS['engine-cpu'])}"
    provide(nodes.tool, "engine-cpu", tag)
    return tag


def _stand_in(tool: str, control: str) -> str:
    """Made from the control image, which has all that it imports."""
    tag = f"localhost/posology/engine-stand-in:{control.rpartition(':')[2]}-{digest(*_STAND_IN)}"
    loaded = STATE / "image-engine-stand-in"
    if not (loaded.exists() and loaded.read_text() == tag):
        with tempfile.TemporaryDirectory() as folder:
            for file in _STAND_IN:
                shutil.copy(REPOSITORY / file, Path(folder))
            run_tool(tool, "build", tag, "--build-arg", f"CONTROL={control}", folder)
        run_tool(tool, "load", tag, "general")
        loaded.write_text(tag)
    return tag
