"""The evaluation service over real gRPC, with a worker that replays recorded items."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from service.evaluation.evaluation_service import Service, write_suites
from support.catalogs import serving_catalog

from posology.core.artifacts import ArtifactStore
from posology.core.rpc import client, server
from posology.evaluation import app
from posology.evaluation.settings import Settings
from posology.v1alpha1 import audit_pb2_grpc, evaluation_pb2_grpc


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    write_suites(tmp_path / "suites")
    monkeypatch.setenv("RECORDED_ITEMS", str(tmp_path / "recorded"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o600)
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(serving_catalog(tmp_path))
        settings = Settings(
            catalog_address=catalog,
            data_dir=tmp_path,
            allowed_source_folders=(tmp_path / "suites",),
            metrics_port=-1,
            worker_python=sys.executable,
        )
        built = await app.build(settings, stack, worker="recorded_worker")
        address = await stack.enter_async_context(server.running(built))
        channel = client.channel(address, token="secret")
        stack.push_async_callback(channel.close)
        stub: evaluation_pb2_grpc.EvaluationAsyncStub = evaluation_pb2_grpc.EvaluationStub(channel)
        yield Service(
            stub, tmp_path, ArtifactStore(settings.candidates_url), catalog, audit_pb2_grpc.AuditStub(channel), address
        )
