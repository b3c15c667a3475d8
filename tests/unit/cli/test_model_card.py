"""A model card says what was shown and what was not; a hub takes the folder as one commit, or says why it does not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.hub_uploads import UploadHub, taking

from posology.cli import hub
from posology.cli.model_card import Card, of_run, render
from posology.client.stored import Stored
from posology.core.errors import InvalidInput
from posology.v1alpha1.catalog_pb2 import Artifact
from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun, Stage

DIGEST = "sha256:" + "a" * 64


def card(outcome: "Verdict.Outcome.ValueType | None" = Verdict.PASS, **more: Any) -> Card:
    run = FineTuneRun(name="namespaces/default/fineTuneRuns/demo", stages=[Stage(stage="merge", artifact=DIGEST)])
    run.spec.base_model.uri = "hf://org/base"
    run.window.sentence = "rank 8 is recommended"
    gate = GateResult(
        suite="mcq", metric="accuracy", outcome=Verdict.PASS, n=200, estimate=0.9, explanation="a | b\n<x>"
    )
    verdict = Verdict(outcome=outcome, gates=[gate], model=DIGEST, tries=["chosen among 4 doses"]) if outcome else None
    return Card(DIGEST, "model", run, verdict, {"recipe": {"lora": {"rank": 8}}}, **more)


def test_a_card_of_released_weights_says_what_was_shown_and_what_was_not() -> None:
    text = render(card())
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "base_model": "org/base",
        "library_name": "transformers",
        "tags": ["posology", "released"],
    }
    for part in ("**Released**", "mcq accuracy | PASS | 200", "a \\| b &lt;x>", "chosen among 4 doses", "rank: 8"):
        assert part in body
    assert "rank 8 is recommended" in body
    assert "What this does not show" in body


@pytest.mark.parametrize(
    ("outcome", "text"),
    [(Verdict.FAIL, "is FAIL. They must not be served"), (Verdict.INSUFFICIENT_EVIDENCE, "INSUFFICIENT EVIDENCE"),
     (None, "there is no verdict")],
)  # fmt: skip
def test_a_card_of_other_weights_says_first_that_they_are_not_released(outcome: Any, text: str) -> None:
    body = render(card(outcome))
    assert "**Not released**" in body
    assert text in body
    assert "not-released" in body


def push(folder: Path, server: UploadHub, token: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the client reads its environment once."""
    program = (
        "import sys; from pathlib import Path\n"
        "from posology.cli import hub; from posology.core.errors import PosologyError\n"
        "try: print(hub.upload(Path(sys.argv[1]), 'org/tuned', private=True, message='m'))\n"
        "except PosologyError as error: print(type(error).__name__, error.message); sys.exit(4)"
    )
    environment = {
        "PATH": "/usr/bin:/bin", "HF_ENDPOINT": server.url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(folder.parent / "hf"), "PYTHONPATH": ":".join(sys.path),
    }  # fmt: skip
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "weights"
    (made / "deep").mkdir(parents=True)
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 1000)
    (made / "config.json").write_text("{}")
    (made / "deep" / "README.md").write_text("card")
    return made


def test_a_hub_takes_every_file_in_one_commit(folder: Path) -> None:
    with taking("secret") as server:
        done = push(folder, server, "secret")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("c" * 40)
    assert server.files == {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert server.created[0]["name"] == "tuned"
    assert server.created[0].get("private") or server.created[0].get("visibility") == "private"


def test_a_hub_that_refuses_the_token_is_said_and_nothing_arrives(folder: Path) -> None:
    with taking("secret") as server:
        done = push(folder, server, "wrong")
    assert (done.returncode, server.files) == (4, {})
    assert done.stdout.startswith("PermissionDenied the hub lets this token not write to org/tuned (HTTP 401)")


def test_a_hub_that_is_away_is_said(folder: Path) -> None:
    with taking("secret") as server:
        gone = server
    done = push(folder, gone, "secret")
    assert done.returncode == 4
    assert done.stdout.startswith("Unavailable the hub at http://127.0.0.1")


@pytest.mark.parametrize("name", ["tuned", "org/", "/tuned", "org/a/b", "https://hub/org/tuned", "org/-x", ""])
def test_what_is_no_repository_is_refused_before_anything_is_copied(name: str) -> None:
    with pytest.raises(InvalidInput, match="OWNER/NAME"):
        hub.check(name)


@pytest.mark.parametrize(
    "more", [{"gaps": ["accuracy on mcq: mcq has 200 items, at least 500 are asked"]}, {"against": ("v9 said FAIL",)}]
)
def test_a_pass_that_the_policy_of_now_does_not_take_is_no_release(more: Any) -> None:
    made = card(against=more.get("against", ()))
    assert made.verdict is not None
    made.verdict.policy_gaps.extend(more.get("gaps", ()))
    assert not made.released
    body = render(made)
    assert "**Not released**: a signed verdict says PASS of these weights, and it does not release them today" in body
    assert (more.get("gaps") or more["against"])[0] in body
    assert "not-released" in body


class OneRun:
    """The calls of a client that a card of a run makes."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    async def verdict_of(self, run: FineTuneRun) -> Verdict:
        return self._verdict

    def stored(self) -> Stored:
        return Stored()

    async def failures(self, model: str) -> list[str]:
        return []

    async def trace(self, digest: str) -> list[Artifact]:
        return [Artifact(digest=digest)]


@pytest.mark.parametrize(("on", "released"), [("sha256:now", True), ("sha256:earlier", False)])
async def test_a_verdict_on_what_an_earlier_try_made_releases_nothing(on: str, released: bool) -> None:
    run = FineTuneRun(name="namespaces/a/fineTuneRuns/r", stages=[Stage(stage="merge", artifact="sha256:now")])
    client = OneRun(Verdict(model=on, outcome=Verdict.PASS))
    found = await of_run(client, run, "sha256:now", kind="model")  # type: ignore[arg-type]
    assert found.released is released
