"""Attacks by a worker that was taken over: what its job makes, and from what, is for the spec to say."""

from dataclasses import replace
from typing import Any

import pytest
from support.job_installation import COMMAND, Installation, finished, named

from posology.core.jobs.domain import Job, Origin, State

NAME = "namespaces/test/evaluations/a"
FOREIGN = "sha256:" + "9" * 64
TAKEN_OVER = replace(COMMAND, module="taken_over_worker")


async def ended(installation: Installation, **claims: Any) -> Job:
    installation.command = replace(TAKEN_OVER, origin_of=lambda job: Origin("model", (), {"task": "merge"}))
    async with installation.serving() as jobs:
        await jobs.create(named("a", **claims))
        return await finished(jobs, NAME)


@pytest.mark.parametrize("kind", ["base-model", "verdict", "dataset", "adapter", "review"])
async def test_a_product_of_another_kind_is_not_published(kind: str, installation: Installation) -> None:
    """A tuned model that calls itself a base would be a root; a file that calls itself a verdict would be looked at."""
    job = await ended(installation, reported=kind)
    assert job.state is State.FAILED
    assert f"the worker reported a {kind}, where this job makes a model" in job.reason
    assert (job.artifact, list(installation.store.list())) == ("", [])


async def test_parents_that_the_spec_does_not_name_are_not_published(installation: Installation) -> None:
    job = await ended(installation, parents=[FOREIGN])
    assert job.state is State.FAILED
    assert f"reported as parents {FOREIGN}, where this job was made from nothing" in job.reason


async def test_parents_that_are_left_out_are_not_published(installation: Installation) -> None:
    """Weights without parents would be the root of themselves."""
    installation.command = replace(TAKEN_OVER, origin_of=lambda job: Origin("model", (FOREIGN,)))
    async with installation.serving() as jobs:
        await jobs.create(named("a"))
        job = await finished(jobs, NAME)
    assert job.state is State.FAILED
    assert f"reported as parents nothing, where this job was made from {FOREIGN}" in job.reason


async def test_an_origin_that_the_worker_invents_is_left_out_and_the_specs_stays(installation: Installation) -> None:
    claims = {"uri": "hf://google/gemma-3-270m-it", "task": "sft", "revision": "0" * 40}
    job = await ended(installation, parameters=claims)
    assert job.state is State.SUCCEEDED
    assert installation.store.manifest(job.artifact).parameters == {"task": "merge"}


async def test_a_kind_of_job_of_which_nobody_says_what_it_makes_publishes_nothing(installation: Installation) -> None:
    installation.command = replace(TAKEN_OVER, origin_of=None)
    async with installation.serving() as jobs:
        await jobs.create(named("a"))
        job = await finished(jobs, NAME)
    assert job.state is State.FAILED
    assert "nothing here says what count jobs make" in job.reason


def test_every_service_says_what_each_of_its_jobs_makes(tmp_path: Any) -> None:
    from posology.core.artifacts import ArtifactStore
    from posology.curation import app as curation
    from posology.curation.settings import Settings as CurationSettings
    from posology.training import app as training
    from posology.training.base_models.models import Models
    from posology.training.origins import Origins
    from posology.training.settings import Settings as TrainingSettings

    settings = TrainingSettings(data_dir=tmp_path)
    stores = [ArtifactStore(settings.candidates_url)]
    models, origins = Models(stores, settings.rules), Origins(stores, settings.rules)
    commands = {
        **training.commands(settings, models, origins),
        **curation.commands(CurationSettings(data_dir=tmp_path)),
    }
    assert {kind for kind, command in commands.items() if command.origin_of is None} == set()
