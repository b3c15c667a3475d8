"""The images of these sources, built and loaded by the tool beside the checkout; or those of an environment."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.cluster_nodes import Nodes, run_tool
from support.clusters import STATE
from support.servers import REPOSITORY

from posology.core.canonical import canonical_json

_CODE = ("Dockerfile", "pyproject.toml", "requirements", "services", "examples")
_ENGINE = ("Dockerfile", "requirements/engine-cpu.txt")
_POSTGRESQL = REPOSITORY / "tests" / "cluster" / "postgresql"
_NEEDED = {"control": 6, "worker": 16, "evaluator": 26, "engine-cpu": 12, "postgresql": 4}
"""GiB of free disk that an image takes: its layers, an archive, and the nodes' copies, packed and unpacked."""
TARGETS = {"control": _CODE, "worker": _CODE, "evaluator": _CODE, "engine-cpu": _ENGINE}


@dataclass(frozen=True)
class Images:
    """Full names with tags."""

    control: str
    worker: str
    evaluator: str
    engine: str
    postgresql: str

    def values(self) -> dict[str, object]:
        """Values of the chart that name them."""
        repository, tag = self.control.rsplit("/control:", 1)
        return {
            "images": {
                "control": f"{repository}/control",
                "worker": f"{repository}/worker",
                "evaluator": f"{repository}/evaluator",
                "tag": tag,
            },
            "engines": {"image": self.engine},
            "postgresql": {"image": self.postgresql},
        }


def images(nodes: Nodes) -> Images:
    """POSOLOGY_TEST_IMAGES (a prefix) and POSOLOGY_TEST_TAG name images that exist; else they are built and loaded."""
    if prefix := os.environ.get("POSOLOGY_TEST_IMAGES"):
        tag = os.environ.get("POSOLOGY_TEST_TAG", "0.1.0")
        names = {name: f"{prefix}/{name}:{tag}" for name in (*TARGETS, "postgresql")}
    elif nodes.tool:
        code = digest(*_CODE)
        names = {
            name: f"localhost/posology/{name}:{code if of is _CODE else digest(*of)}" for name, of in TARGETS.items()
        }
        names["postgresql"] = f"localhost/posology/postgresql:{digest('tests/cluster/postgresql')}"
        for name, tag in names.items():
            provide(nodes.tool, name, tag)
    else:
        pytest.skip("set POSOLOGY_TEST_IMAGES to the prefix of images that this cluster can pull (make images)")
    return Images(names["control"], names["worker"], names["evaluator"], names["engine-cpu"], names["postgresql"])


def provide(tool: str, target: str, tag: str) -> None:
    """Build and load one image unless this state of the sources has been loaded already."""
    loaded = STATE / f"image-{target}"
    if loaded.exists() and loaded.read_text() == tag:
        return
    if shutil.disk_usage(STATE).free < _NEEDED[target] << 30:
        pytest.skip(f"{STATE} has less than {_NEEDED[target]} GiB free: the image of {target} may not fit")
    if target == "postgresql":
        run_tool(tool, "build", tag, str(_POSTGRESQL))
    else:
        run_tool(tool, "build", tag, "--target", target, *_torch(), str(REPOSITORY))
    nodes = [] if target == "worker" else ["general"]  # nothing but training asks for the GPU node
    run_tool(tool, "load", tag, *nodes)
    loaded.write_text(tag)


def digest(*paths: str) -> str:
    """Of the contents of files and folders of the repository."""
    files = sorted(file for path in paths for file in _files(REPOSITORY / path))
    found = {str(file.relative_to(REPOSITORY)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return hashlib.sha256(canonical_json(found)).hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


def _torch() -> list[str]:
    """Take a CPU wheel of torch that lies at hand, as `make images` does."""
    links = Path(os.environ.get("PIP_FIND_LINKS", "/nowhere"))
    if not list(links.glob("torch-*cpu*.whl")):
        return []
    return ["--build-arg", "TORCH_INDEX=", "--build-arg", f"PIP_FIND_LINKS={links}"]
