"""Candidates and releases have credentials of their own, and settings only say where those are."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.servers import S3

from posology.core.artifacts import ArtifactStore, Staging
from posology.core.errors import InvalidInput, PermissionDenied

OPTIONS: dict[str, Any] = {"kind": "model", "producer": "test/1"}
READ = ["s3:GetObject", "s3:ListBucket"]
WRITE = [*READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"]


def allow(s3: S3, bucket: str, users: dict[str, list[str]]) -> None:
    admin: Any = ArtifactStore(bucket, options=s3.options)._backend
    name = bucket.removeprefix("s3://")
    resources = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": [user]}, "Action": action, "Resource": resource}
        for user, actions in users.items()
        for action in actions
        for resource in resources
        if action.endswith(("Object", "Upload")) == resource.endswith("/*")
    ]
    admin._files.call_s3("put_bucket_policy", Bucket=name, Policy=json.dumps({"Statement": statements}))


def test_an_engine_reads_releases_and_nothing_else(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/config.json").write_text("{}")
    evaluation, engine = s3.user("evaluation"), s3.user("engine")
    candidates, released = s3.bucket(), s3.bucket()
    allow(s3, candidates, {"evaluation": WRITE})
    allow(s3, released, {"evaluation": WRITE, "engine": READ})
    draft = ArtifactStore(candidates, options=evaluation)
    digest = draft.publish(tmp_path / "data", **OPTIONS)

    with pytest.raises(PermissionDenied):
        ArtifactStore(candidates, options=engine).materialize(digest, tmp_path / "cache")
    readable = ArtifactStore(released, options=engine)
    with pytest.raises(PermissionDenied):
        readable.publish(tmp_path / "data", **OPTIONS)
    ArtifactStore(released, options=evaluation).copy_from(draft, digest)
    assert (readable.materialize(digest, tmp_path / "cache") / "config.json").read_text() == "{}"
    with pytest.raises(PermissionDenied):
        readable.delete(digest)


def test_credentials_come_from_the_environment_or_a_file(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.bucket()
    monkeypatch.setenv("TEST_STORE", json.dumps(s3.options))
    (tmp_path / "store.json").write_text(json.dumps(s3.options))
    for reference in ("env:TEST_STORE", f"file:{tmp_path}/store.json"):
        assert list(ArtifactStore(bucket, credentials_from=reference).list()) == []
        assert list(ArtifactStore(f"{bucket}/candidates#{reference}").list()) == []
        Staging(f"{bucket}/staging#{reference}").remove("jobs/j1")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE.* is not set"),
        ("file:/nowhere/store.json", "/nowhere/store.json can't be read"),
        ("env:TEST_STORE", "are not JSON"),
        ('{"key": "secret"}', "env:NAME or file:PATH"),
    ],
)
def test_a_reference_that_leads_nowhere_is_said(reference: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_STORE", "key=secret")
    with pytest.raises(InvalidInput, match=message) as caught:
        ArtifactStore("s3://bucket", credentials_from=reference)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["relative/folder", "file:relative", "gopher://host/x"])
def test_a_store_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        ArtifactStore(url)
