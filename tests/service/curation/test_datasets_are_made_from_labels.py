"""A data set over gRPC: from label files to an artifact that the catalog knows."""

import json
from pathlib import Path

import pytest
from support.curation_world import PARENT, World

from posology.core.errors import AlreadyExists, InvalidInput, PermissionDenied
from posology.v1alpha1 import catalog_pb2
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1.job_pb2 import JobEvent, JobStatus, WatchJobRequest


async def test_labels_become_a_data_set_that_is_split_by_drug(world: World) -> None:
    dataset = await world.made("first")
    train = world.lines(dataset.status.artifact, "train.jsonl")
    validation = world.lines(dataset.status.artifact, "validation.jsonl")
    assert len(train) + len(validation) == 60
    assert not {row["drug"] for row in train} & {row["drug"] for row in validation}
    assert abs(len(validation) - 10) <= 5
    sections = {row["id"]: row for row in world.lines(dataset.status.artifact, "sections.jsonl")}
    assert all(
        row["evidence"] in sections[row["section"]]["text"] for row in train if row["question_type"] != "summary"
    )
    known = await world.catalog.GetArtifact(
        catalog_pb2.GetArtifactRequest(name=f"{PARENT}/artifacts/{dataset.status.artifact.removeprefix('sha256:')}")
    )
    assert known.kind == "dataset"


async def test_the_same_request_gives_the_same_data_set_and_another_spec_is_refused(world: World) -> None:
    first = await world.create("again")
    assert (await world.create("again")).name == first.name
    with pytest.raises(AlreadyExists, match="another spec"):
        await world.create("again", pairs=61)
    await world.finished(first.name)


async def test_equal_inputs_and_seed_give_equal_digests_and_another_seed_does_not(world: World) -> None:
    one = await world.made("one")
    other = await world.made("other")
    seeded = await world.made("seeded", seed=7)
    assert one.status.artifact == other.status.artifact
    assert seeded.status.artifact != one.status.artifact
    assert one.source_sha256 == other.source_sha256 != ""


async def test_checking_only_tells_the_digest_of_the_sources_and_starts_nothing(world: World) -> None:
    request = world.request("checked")
    request.validate_only = True
    before = await world.curation.CreateDataset(request)
    (world.root / "sources" / "one-more.xml").write_text("<document/>")
    after = await world.curation.CreateDataset(request)
    assert len(before.source_sha256) == 64
    assert after.source_sha256 != before.source_sha256
    assert not (await world.curation.ListDatasets(pb.ListDatasetsRequest(parent=PARENT))).datasets


async def test_a_watcher_sees_progress_up_to_the_end(world: World) -> None:
    dataset = await world.create("watched")
    events: list[JobEvent] = [e async for e in world.curation.WatchDataset(WatchJobRequest(name=dataset.name))]
    assert events[-1].status.state == JobStatus.SUCCEEDED
    assert any(event.HasField("progress") for event in events)


async def test_too_few_pairs_are_an_error_that_says_why(world: World) -> None:
    dataset = await world.finished((await world.create("greedy", pairs=5000)).name)
    assert dataset.status.state == JobStatus.FAILED
    assert "of the 5000 pairs" in dataset.status.error.message
    assert not dataset.status.error.retryable
    assert dataset.status.artifact == ""


async def test_a_source_outside_the_allowed_folders_is_refused_before_anything_is_read(world: World) -> None:
    with pytest.raises(PermissionDenied, match="POSOLOGY_ALLOWED_SOURCE_FOLDERS") as refused:
        await world.create("outside", sources=[{"uri": "file:///etc", "format": "TEXT"}])
    assert refused.value.violations[0].field == "spec.curation.sources[0].uri"


async def test_a_link_out_of_an_allowed_folder_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text("<document/>")
    (world.root / "sources" / "link.xml").symlink_to(tmp_path / "secret.xml")
    with pytest.raises(PermissionDenied, match="outside"):
        await world.create("linked")


async def test_everything_wrong_in_a_spec_is_said_at_once(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        await world.create(
            "wrong",
            pairs=10,
            validation=10,
            sources=[{"uri": f"file://{world.root}/sources", "format": "PDF"}],
            teacher={"questionTypes": ["riddles"]},
            general={"uri": f"file://{world.root}/sources/none.jsonl"},
        )
    fields = {violation.field for violation in refused.value.violations}
    assert fields == {
        "spec.curation.validation",
        "spec.curation.sources[0].uri",  # no PDF lies there
        "spec.curation.teacher.questionTypes",
        "spec.curation.general.uri",
    }


async def test_an_empty_corpus_is_an_error_that_names_the_files(world: World) -> None:
    for path in (world.root / "sources").iterdir():
        path.write_text("<document xmlns='urn:hl7-org:v3'><code code='60685-5'/></document>")
    dataset = await world.finished((await world.create("empty")).name)
    assert dataset.status.error.type == "InvalidInput"
    assert "indexing file" in dataset.status.error.message


async def test_preference_pairs_differ_in_one_clinical_fact(world: World) -> None:
    dataset = await world.made("base-of-preferences")
    spec = pb.PreferenceSetSpec(dataset=dataset.status.artifact, preferences=pb.Preferences(pairs=25))
    made = await world.curation.CreatePreferenceSet(
        pb.CreatePreferenceSetRequest(parent=PARENT, preference_set_id="prefs", spec=spec)
    )
    events = [e async for e in world.curation.WatchPreferenceSet(WatchJobRequest(name=made.name))]
    assert events[-1].status.state == JobStatus.SUCCEEDED, events[-1]
    rows = world.lines(events[-1].status.artifact, "preferences.jsonl")
    assert len(rows) == 25
    for row in rows:
        chosen, rejected = row["chosen"][0]["content"], row["rejected"][0]["content"]
        assert chosen.replace(row["edit"]["from"], row["edit"]["to"], 1) == rejected or chosen != rejected
        assert abs(len(chosen.split()) - len(rejected.split())) <= max(2, len(chosen.split()) / 10)
    assert len({row["edit"]["kind"] for row in rows}) >= 3


async def test_preferences_of_ones_own_are_taken_from_their_file(world: World) -> None:
    rows = [
        {"prompt": f"What is dose {n}?", "chosen": f"Take {n} mg daily.", "rejected": f"Take {n}0 mg daily."}
        for n in range(1, 9)
    ]
    held = {"prompt": "Which of these drugs is a loop diuretic?", "chosen": "Furosemide.", "rejected": "Aspirin."}
    odd = [rows[0], {"prompt": "x", "completion": "y", "label": True}, held]
    folder = world.root / "sources"
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *odd]))
    (folder / "suite.jsonl").write_text(
        json.dumps({"question": held["prompt"], "options": ["Furosemide", "Aspirin"], "answer": "A"}) + "\n"
    )
    spec = pb.PreferenceSetSpec(
        preferences=pb.Preferences(uri=f"file:{folder}/own.jsonl", pairs=6), suite_uris=[f"file:{folder}/suite.jsonl"]
    )
    request = pb.CreatePreferenceSetRequest(parent=PARENT, preference_set_id="own", spec=spec)
    made = await world.curation.CreatePreferenceSet(request)
    assert len(made.source_sha256) == 64
    events = [e async for e in world.curation.WatchPreferenceSet(WatchJobRequest(name=made.name))]
    assert events[-1].status.state == JobStatus.SUCCEEDED, events[-1]
    artifact = events[-1].status.artifact
    taken = world.lines(artifact, "preferences.jsonl")
    assert len(taken) == 6
    assert all(row["rejected"][0]["content"] == row["chosen"][0]["content"].replace(" mg", "0 mg") for row in taken)
    assert sorted(drop["reason"] for drop in world.lines(artifact, "drops.jsonl")) == [
        "exact", "no_preference", "whole_question",
    ]  # fmt: skip
    spec.preferences.uri = "file:/etc/own.jsonl"
    with pytest.raises(PermissionDenied, match=r"own\.jsonl"):
        await world.curation.CreatePreferenceSet(request_of(spec))
    spec.preferences.uri = f"file:{folder}/own.jsonl"
    spec.preferences.weak_answers = pb.Preferences.TEACHER
    with pytest.raises(InvalidInput, match="leave weakAnswers out"):
        await world.curation.CreatePreferenceSet(request_of(spec))
    with pytest.raises(InvalidInput, match="dataset is needed"):
        await world.curation.CreatePreferenceSet(request_of(pb.PreferenceSetSpec(preferences=pb.Preferences())))


def request_of(spec: pb.PreferenceSetSpec) -> pb.CreatePreferenceSetRequest:
    return pb.CreatePreferenceSetRequest(parent=PARENT, preference_set_id="refused", spec=spec, validate_only=True)
