"""An import that is cancelled ends soon, with its processes, and leaves nothing that anybody sees."""

import asyncio
import json
import time
from pathlib import Path

import psutil
import pytest
from support.training_bench import python
from support.training_world import PARENT, world

from posology.core.jobs.environment import SPEC_VARIABLE
from posology.v1alpha1 import catalog_pb2
from posology.v1alpha1 import training_pb2 as pb
from posology.v1alpha1.job_pb2 import JobStatus

LOOPS = "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}"
CLOCK = "{{ strftime_now('%d %b %Y') }}"


def processes(root: Path) -> list[psutil.Process]:
    """Workers of a test's folder, and what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(SPEC_VARIABLE, "").startswith(str(root)):
                found += [process, *process.children(recursive=True)]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.mark.slow
async def test_a_cancelled_import_ends_and_leaves_nothing_and_the_clock_can_be_pinned(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "tiny"
    python("tiny_model.py", json.dumps({str(folder): {}}))
    template = folder / "chat_template.jinja"
    text = template.read_text()
    async with world(tmp_path, allowed_model_folders=(tmp_path,)) as found:
        template.write_text(LOOPS + text)
        spec = pb.BaseModelSpec(uri=f"file:{folder}")
        request = pb.CreateBaseModelRequest(parent=PARENT, base_model_id="endless", spec=spec)
        name = (await found.training.CreateBaseModel(request)).name
        while len(processes(tmp_path)) < 3:  # the worker and its two trials
            await asyncio.sleep(0.05)
        began = time.monotonic()
        await found.training.CancelBaseModel(pb.CancelBaseModelRequest(name=name))
        ended = await found.over(name)
        assert ended.status.state == JobStatus.CANCELLED
        assert time.monotonic() - began < 15
        while processes(tmp_path):
            assert time.monotonic() - began < 20
            await asyncio.sleep(0.05)

        template.write_text(CLOCK + text)
        request = pb.CreateBaseModelRequest(parent=PARENT, base_model_id="clock", spec=spec)
        refused = await found.over((await found.training.CreateBaseModel(request)).name)
        assert refused.status.state == JobStatus.FAILED
        assert "templateDate" in refused.status.error.message
        listed = await found.catalog.ListArtifacts(catalog_pb2.ListArtifactsRequest(parent=PARENT))
        assert not listed.artifacts

        spec.template_date = "2025-01-02"
        request = pb.CreateBaseModelRequest(parent=PARENT, base_model_id="pinned", spec=spec)
        pinned = await found.over((await found.training.CreateBaseModel(request)).name)
        assert pinned.status.state == JobStatus.SUCCEEDED, pinned.status.error
        with found.store.open(pinned.status.artifact, "chat_template.jinja") as stream:
            assert b"02 Jan 2025" in stream.read()
