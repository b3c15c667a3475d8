"""An installation of curation and the catalog for tests: label files, calls, and waiting for jobs."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from posology.core import schema
from posology.core.artifacts import ArtifactStore
from posology.core.jobs.environment import SPEC_VARIABLE
from posology.core.rpc import client, server
from posology.core.rpc.auth import read_token
from posology.core.settings import load
from posology.curation import app, convert
from posology.curation.dataset.build import build
from posology.curation.dataset.corpus import gather
from posology.curation.screens.screening import ExactScreen
from posology.curation.settings import Settings as CurationSettings
from posology.curation.sources.location import Limits
from posology.curation.teachers.extractive import ExtractiveTeacher
from posology.v1alpha1 import catalog_pb2_grpc, curation_pb2_grpc
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1.job_pb2 import JobStatus
from support.catalogs import serving_catalog

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER_PYTHON = os.environ.get("POSOLOGY_WORKER_PYTHON", str(REPOSITORY / ".venv/worker/bin/python"))
HAS_WORKER = Path(WORKER_PYTHON).exists()
PARENT = "namespaces/default"
DONE = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass
class World:
    """What a test calls."""

    root: Path
    curation: curation_pb2_grpc.CurationAsyncStub
    catalog: catalog_pb2_grpc.CatalogAsyncStub
    store: ArtifactStore
    address: str = ""

    async def create(self, name: str, **curation: Any) -> pb.Dataset:
        """Ask for a data set of the labels under `sources/`, without the slower duplicate searches."""
        return await self.curation.CreateDataset(self.request(name, **curation))

    def request(self, name: str, **curation: Any) -> pb.CreateDatasetRequest:
        suites = curation.pop("suites", [])
        plain = {
            "sources": [{"uri": f"file://{self.root}/sources", "format": "SPL"}],
            "pairs": 60,
            "validation": 10,
            "deduplicate": {"minhash": 0, "semantic": 0},
            "filters": {"minWords": 4},
        }
        spec = schema.parse(pb.DatasetSpec, {"curation": plain | curation, "suiteUris": suites})
        return pb.CreateDatasetRequest(parent=PARENT, dataset_id=name, spec=spec, request_id=name)

    async def finished(self, name: str, *, seconds: float = 120) -> pb.Dataset:
        """The data set once its job is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = await self.curation.GetDataset(pb.GetDatasetRequest(name=name))
            if found.status.state in DONE:
                return found
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{name} is still {found.status}")

    async def made(self, name: str, **curation: Any) -> pb.Dataset:
        """A finished data set; fails with its error when there is none."""
        found = await self.finished((await self.create(name, **curation)).name)
        assert found.status.state == JobStatus.SUCCEEDED, found.status.error
        return found

    async def draft(self) -> str:
        """Digest of a data set of 60 pairs, made by the same code without a service or a worker."""
        return await asyncio.to_thread(self._draft)

    def _draft(self) -> str:
        limits = Limits((self.root / "sources",))
        spec = self.request("draft").spec
        schema.apply_defaults(spec)
        recipe = convert.recipe_from_proto(spec)
        corpus = gather(recipe.sources, limits, progress=lambda *_: None)
        built = build(recipe, corpus, ExtractiveTeacher(), [ExactScreen()], (), progress=lambda *_: None)
        folder = self.root / "draft"
        folder.mkdir(exist_ok=True)
        rows: dict[str, list[Any]] = {
            "train": built.train,
            "validation": built.validation,
            "sections": corpus.sections,
        }
        for name, found in rows.items():
            text = "".join(json.dumps(row.as_json()) + "\n" for row in found)
            (folder / f"{name}.jsonl").write_text(text)
        return self.store.publish(folder, kind="dataset", producer="test/0")

    def lines(self, digest: str, path: str) -> list[dict[str, Any]]:
        """The JSON lines of a file of an artifact."""
        with self.store.open(digest, path) as stream:
            return [json.loads(line) for line in stream.read().decode().splitlines()]

    async def rate_all(
        self, review: str, reviewer: str = "ann", *, wrong: int = 0, kind: str = "expert", confirm: bool = True
    ) -> None:
        """Rate everything in the queue; the first `wrong` items get a major error. Then make it final."""
        while True:
            asked = pb.NextReviewItemRequest(name=review, reviewer=reviewer)
            found = await self.curation.NextReviewItem(asked)
            if not found.HasField("item"):
                break
            judgement = "MAJOR_ERROR" if wrong > 0 else "CORRECT"
            wrong -= 1
            await self.rate(review, found.item.item_id, reviewer, judgement, kind=kind)
        if confirm:
            await self.confirm(review, reviewer)

    async def confirm(self, review: str, reviewer: str = "ann") -> pb.Review:
        """Make a reviewer's ratings final."""
        return await self.curation.ConfirmReview(pb.ConfirmReviewRequest(name=review, reviewer=reviewer))

    async def rate(
        self, review: str, item: str, reviewer: str, judgement: str, *, kind: str = "expert"
    ) -> pb.ReviewRating:
        value = pb.ReviewRating.Judgement.Value(judgement)
        rating = pb.ReviewRating(item_id=item, reviewer=reviewer, reviewer_kind=kind, judgement=value)
        return await self.curation.SubmitReviewItem(pb.SubmitReviewItemRequest(name=review, rating=rating))

    async def closed(self, review: str, *, seconds: float = 30) -> pb.Review:
        """The review once it is closed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = await self.curation.GetReview(pb.GetReviewRequest(name=review))
            if found.state != pb.Review.OPEN:
                return found
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{review} is still open: {found.summary}")

    async def open_review(
        self, name: str, subject: str, *, metadata: tuple[tuple[str, str], ...] = (), **policy: Any
    ) -> pb.Review:
        asked = schema.parse(pb.Review.Policy, {"sample": 20, "maxErrorRate": 0.25} | policy)
        return await self.curation.CreateReview(
            pb.CreateReviewRequest(parent=PARENT, review_id=name, subject=subject, policy=asked, request_id=name),
            metadata=metadata,
        )


async def serve(root: Path, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack) -> World:
    """Start both services on free ports; workers run in the worker environment when it is there."""
    (root / "sources").mkdir(exist_ok=True)
    write_labels(root / "sources")
    monkeypatch.setenv("POSOLOGY_DATA_DIR", str(root / "data"))
    monkeypatch.setenv("POSOLOGY_ALLOWED_SOURCE_FOLDERS", str(root / "sources"))
    monkeypatch.setenv("POSOLOGY_DRAIN_SECONDS", "2")
    if HAS_WORKER:
        monkeypatch.setenv("POSOLOGY_WORKER_PYTHON", WORKER_PYTHON)
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "token").write_text("secret-token-of-this-test")
    catalog_address = await stack.enter_async_context(serving_catalog(root / "data"))
    monkeypatch.setenv("POSOLOGY_CATALOG_ADDRESS", catalog_address)
    curation_settings = load(CurationSettings)
    address = await stack.enter_async_context(server.running(await app.build(curation_settings, stack)))
    token = read_token(curation_settings.token_file)
    curation = await stack.enter_async_context(client.channel(address, token=token, service="curation"))
    index = await stack.enter_async_context(client.channel(catalog_address, token=token, service="catalog"))
    return World(
        root,
        curation_pb2_grpc.CurationStub(curation),
        catalog_pb2_grpc.CatalogStub(index),
        ArtifactStore(curation_settings.candidates_url),
        address,
    )


def write_labels(folder: Path, *, drugs: int = 8) -> None:
    """A label per invented drug, with facts of its own."""
    for number in range(drugs):
        name = f"Drug{chr(97 + number)}vastin"
        (folder / f"{name.lower()}.xml").write_text(label(name, number))


def label(drug: str, number: int) -> str:
    """A small SPL document."""
    sections = {
        "34067-9": f"{drug} is indicated for the treatment of condition number {number + 1} in adult patients.",
        "34068-7": (
            f"The recommended dose of {drug} is {5 + number} mg once daily. The maximum dose of {drug} is "
            f"{50 + number} mg per day. {drug} should be taken with food."
        ),
        "34070-3": f"{drug} is contraindicated in patients with severe hepatic impairment.",
        "43682-4": (
            f"The half-life of {drug} is {3 + number} hours. About {20 + number}% of the dose is excreted in urine."
        ),
        "34073-7": (
            f"Avoid use of {drug} with warfarin. {drug} increases the concentration of digoxin by {30 + number}%."
        ),
        "44425-7": f"Store {drug} at {10 + number}°C to 25°C in the original carton.",
        "34088-5": f"Signs of an overdose of {drug} include tremor, confusion and a slow heart rate.",
        "34081-0": f"Safety of {drug} has not been established in pediatric patients below {number + 2} years of age.",
    }
    body = "".join(
        f'<component><section><code code="{code}"/><title>Section</title><text><paragraph>{text}</paragraph></text>'
        "</section></component>"
        for code, text in sections.items()
    )
    return (
        f'<document xmlns="urn:hl7-org:v3"><code code="34391-3"/><setId root="set-{number}"/><versionNumber value="1"/>'
        "<component><structuredBody><component><section><code code='48780-1'/><subject><manufacturedProduct>"
        f"<name>{drug}</name><asEntityWithGeneric><genericMedicine><name>{drug}</name></genericMedicine>"
        "</asEntityWithGeneric></manufacturedProduct></subject></section></component>"
        f"{body}</structuredBody></component></document>"
    )


def end_workers(root: Path) -> None:
    """Kill the workers that belong to a test's folder."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(SPEC_VARIABLE, "").startswith(str(root)):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
