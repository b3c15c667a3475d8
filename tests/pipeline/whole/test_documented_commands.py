"""What README and docs tell people to type, typed: each block marked `ci`, as it stands, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from checks.documents import Block, all_blocks
from support.servers import REPOSITORY

from posology.core.revocation import read_revoked
from posology.core.signing import PublicKey

pytestmark = pytest.mark.slow

BLOCKS = [block for block in all_blocks() if block.mark == "ci"]
OWN_LABELS = [block for block in BLOCKS if "examples/real-labels.yaml" in block.text]
OTHERS = [block for block in BLOCKS if block not in OWN_LABELS]


@dataclass(frozen=True)
class Home:
    """A reader's home folder: labels and a base model lie in it, and nothing of this checkout."""

    path: Path

    def type(self, text: str) -> str:
        """Run the text as one shell would, from the checkout; what it wrote."""
        folder = Path(sys.executable).parent
        variables = {name: value for name, value in os.environ.items() if not name.startswith("POSOLOGY_DATA")}
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=REPOSITORY, capture_output=True, text=True, check=False,
            env={**variables, "HOME": str(self.path), "PATH": f"{folder}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert ended.returncode == 0, f"{text}\nended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def stages(self, run: str) -> dict[str, dict[str, Any]]:
        """The run's stages by name."""
        return {stage["stage"]: stage for stage in json.loads(self.type(f"posology -o json show {run}"))["stages"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("home"))
    shutil.copytree(REPOSITORY / "examples" / "labels", home.path / "labels" / "spl")
    (home.path / "labels" / "openfda").mkdir()
    (home.path / "labels" / "openfda" / "page.json").write_text(json.dumps({"results": [LABEL]}))
    (home.path / "openai.key").write_text("sk-none\n")
    tiny = REPOSITORY / "tests" / "pipeline" / "training" / "tiny_model.py"
    worker = os.environ.get("POSOLOGY_WORKER_PYTHON", str(REPOSITORY / ".venv/worker/bin/python"))
    base = json.dumps({str(home.path / "models" / "my-base"): {}})
    subprocess.run([worker, str(tiny), base], check=True, capture_output=True)
    try:
        yield home
    finally:
        home.type("posology down")


LABEL = {
    "set_id": "3f6c1f0e-0000-4000-8000-000000000001",
    "effective_time": "20250101",
    "openfda": {
        "generic_name": ["QUINDAVOR"],
        "brand_name": ["Quindavor"],
        "product_type": ["HUMAN PRESCRIPTION DRUG"],
    },
    "indications_and_usage": ["1 INDICATIONS AND USAGE Quindavor is indicated for the treatment of gout in adults."],
    "dosage_and_administration": ["2 DOSAGE AND ADMINISTRATION The recommended dose is 40 mg once daily with food."],
    "how_supplied": ["16 HOW SUPPLIED Store at 20 to 25 degrees C in the original container."],
}


def test_own_labels_outside_the_folder_of_the_spec_become_pairs_that_wait_for_their_review(home: Home) -> None:
    (block,) = OWN_LABELS
    home.type(block.text)
    deadline = time.monotonic() + 240
    while (stages := home.stages("real-labels"))["review-data"]["state"] != "PAUSED":
        assert "FAILED" not in {stage["state"] for stage in stages.values()}, stages
        assert time.monotonic() < deadline, stages
        time.sleep(1)
    sources = json.dumps(json.loads(home.type("posology -o json recall Quindavor")))
    assert stages["review-data"]["resource"]
    assert stages["curate"]["artifact"] in sources


@pytest.mark.parametrize("block", OTHERS, ids=lambda block: block.place)
def test_a_block_does_what_it_says(block: Block, home: Home) -> None:
    home.type("posology down" if "posology up" in block.text else "posology up")
    home.type(block.text)


def test_the_key_that_was_revoked_signed_verdicts_and_signs_no_more(home: Home) -> None:
    keys = home.path / ".posology" / "keys"
    (revoked,) = read_revoked(keys / "revoked")
    assert revoked in {PublicKey.load(path).id for path in keys.glob("evaluation-*.pub")}
    assert revoked != PublicKey.load(keys / "evaluation.pub").id
