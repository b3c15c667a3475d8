"""The verdict that a deployment is looked up by is its own: nobody else's stands in its way, nobody else's helps it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from support import release

from posology.core.artifacts import ArtifactStore
from posology.core.attestations.verdict import FILE, PREDICATE_TYPE
from posology.core.signing import Signer, statement
from posology.engine import EngineConfig
from posology.serving.admission import Trust
from posology.serving.domain import DeploymentRequest, MissingVerdict, NotReleased, Plan
from posology.serving.release import Releaser


class Stores:
    """Candidates with weights and verdicts, and who releases from them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.candidates = ArtifactStore(f"file://{root}/candidates")
        self.signer = Signer.load_or_create(root / "evaluation.key")
        trust = Trust([self.signer.public_key], release.policy(), deny_list=release.deny_list())
        self.releaser = Releaser(self.candidates, ArtifactStore(f"file://{root}/released"), trust=lambda: trust)
        self.model = self.publish("model", {"model.safetensors": "x"})

    def publish(self, kind: str, files: dict[str, str], *parents: str) -> str:
        folder = self.root / "drafts" / str(time.monotonic_ns())
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        return self.candidates.publish(folder, kind=kind, producer="tests", parents=parents)

    def verdict(self, signer: Signer | None = None, **fields: Any) -> str:
        predicate = {**release.proven(), "engine": EngineConfig().to_dict(), "probes": [], **fields}
        envelope = (signer or self.signer).sign(statement(PREDICATE_TYPE, {"model": self.model}, predicate))
        time.sleep(0.01)  # newer than what came before
        return self.publish("verdict", {FILE: json.dumps(envelope)}, self.model)

    def admitted(self, namespace: str = "default", name: str = "labels") -> str:
        request = DeploymentRequest(namespace, "d", self.model, "", Plan(name), None)
        return self.releaser.check(request).predicate.namespace


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


NEWER: dict[str, dict[str, Any]] = {
    "a neighbour's FAIL": {"namespace": "bob", "outcome": "FAIL"},
    "a neighbour's PASS": {"namespace": "bob"},
    "a neighbour's that shows too little": {"namespace": "bob", "outcome": "INSUFFICIENT_EVIDENCE"},
    "one for another name": {"modelName": "other", "outcome": "FAIL"},
    "one from before namespaces": {"namespace": "", "modelName": "", "outcome": "FAIL"},
}


@pytest.mark.parametrize("newer", NEWER)
def test_a_newer_verdict_of_somebody_else_stands_in_nobodys_way(stores: Stores, newer: str) -> None:
    stores.verdict()
    stores.verdict(**NEWER[newer])
    assert stores.admitted() == "default"


def test_a_verdict_of_somebody_else_is_none_of_ones_own(stores: Stores) -> None:
    stores.verdict(namespace="bob")
    with pytest.raises(MissingVerdict, match="may not serve as labels in default"):
        stores.admitted()


def test_the_newest_of_ones_own_counts_whatever_it_says(stores: Stores) -> None:
    stores.verdict()
    stores.verdict(outcome="FAIL")
    with pytest.raises(NotReleased, match="is FAIL"):
        stores.admitted()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"payload": "x"}', '{"payload": "e30="}', '{"payload": "W10="}'])
def test_what_is_no_verdict_hinders_nothing(stores: Stores, content: str) -> None:
    stores.verdict()
    stores.publish("verdict", {FILE: content}, stores.model)
    stores.publish("verdict", {"other.json": content}, stores.model)
    assert stores.admitted() == "default"


def test_who_looks_under_another_name_learns_which_verdicts_there_are(stores: Stores) -> None:
    stores.verdict(modelName="other", outcome="FAIL")
    stores.verdict(namespace="bob")
    with pytest.raises(MissingVerdict, match=r"as labels in default, where it has FAIL as other; "):
        stores.admitted()
