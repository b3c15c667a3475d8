"""Kind and parents of what training publishes follow from the spec and the manifests of its inputs alone."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from posology.core import schema
from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Job, Origin, State
from posology.training import convert
from posology.training.base_models.locations import Rules
from posology.training.origins import Origins
from posology.v1alpha1 import training_pb2 as pb

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/candidates")


def made(store: ArtifactStore, tmp_path: Path, text: str, kind: str, *parents: str) -> str:
    folder = tmp_path / text
    folder.mkdir()
    (folder / "file.txt").write_text(text)
    return store.publish(folder, kind=kind, producer="test/0", parents=parents)


def origin(store: ArtifactStore, spec: Mapping[str, Any]) -> Origin:
    message = schema.parse(pb.TrainingJobSpec, spec)
    schema.apply_defaults(message)
    return Origins([store], Rules()).trained(job(convert.spec_to_json(message)))


def job(spec: Mapping[str, Any]) -> Job:
    name = "namespaces/default/trainingJobs/a"
    return Job(name, "training", spec, "", "", "", "", State.PUBLISHING, "", 1, 0, AT, AT, AT)


@pytest.mark.parametrize(("method", "kind"), [("LORA", "adapter"), ("QLORA", "adapter"), ("FULL", "model")])
def test_sft_makes_an_adapter_or_a_model_by_its_method(
    method: str, kind: str, store: ArtifactStore, tmp_path: Path
) -> None:
    base, data = made(store, tmp_path, "base", "base-model"), made(store, tmp_path, "data", "dataset")
    found = origin(store, {"baseModel": base, "sft": {"dataset": data, "config": {"method": method}}})
    assert (found.kind, found.parents) == (kind, (base, data))
    assert found.parameters["recipe"]["method"] == method


def test_dpo_goes_on_with_an_adapter_over_the_model_below_it(store: ArtifactStore, tmp_path: Path) -> None:
    base, data = made(store, tmp_path, "base", "base-model"), made(store, tmp_path, "data", "dataset")
    sft, pairs = made(store, tmp_path, "sft", "adapter", base, data), made(store, tmp_path, "pairs", "preferences")
    found = origin(store, {"baseModel": base, "dpo": {"sft": sft, "preferences": pairs}})
    assert (found.kind, found.parents) == ("adapter", (base, sft, pairs))


def test_dpo_after_full_tuning_and_its_merge_lie_on_the_tuned_model(store: ArtifactStore, tmp_path: Path) -> None:
    base, pairs = made(store, tmp_path, "base", "base-model"), made(store, tmp_path, "pairs", "preferences")
    tuned = made(store, tmp_path, "tuned", "model", base)
    dpo = origin(store, {"baseModel": base, "dpo": {"sft": tuned, "preferences": pairs}})
    assert (dpo.kind, dpo.parents) == ("adapter", (tuned, pairs))
    adapter = made(store, tmp_path, "dpo", "adapter", *dpo.parents)
    assert origin(store, {"baseModel": base, "merge": {"adapter": adapter}}).parents == (tuned, adapter)


def test_a_model_that_was_trained_whole_passes_through_its_merge(store: ArtifactStore, tmp_path: Path) -> None:
    base = made(store, tmp_path, "base", "base-model")
    tuned = made(store, tmp_path, "tuned", "model", base)
    found = origin(store, {"baseModel": base, "merge": {"adapter": tuned}})
    assert (found.kind, found.parents) == ("model", (tuned,))


def test_an_import_comes_from_where_its_spec_says(store: ArtifactStore, tmp_path: Path) -> None:
    tuned = made(store, tmp_path, "tuned", "model", made(store, tmp_path, "base", "base-model"))
    origins = Origins([store], Rules())
    assert origins.imported(job({"uri": f"artifact:{tuned}"})).parents == (tuned,), "imported anew, it is no root"
    revision = "0" * 40
    hub = origins.imported(job({"uri": "hf://org/model", "revision": revision}))
    assert (hub.parents, hub.parameters) == ((), {"uri": "hf://org/model", "revision": revision})
