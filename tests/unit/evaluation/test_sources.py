"""What a spec may make the service read."""

from pathlib import Path

import pytest
from support.servers import S3

from posology.core.errors import InvalidInput, PermissionDenied
from posology.evaluation import sources
from posology.evaluation.sources import Allowed


def test_a_link_out_of_an_allowed_folder_is_followed_before_it_is_judged(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.write_text("secret")
    (inside / "link").symlink_to(outside)
    with pytest.raises(PermissionDenied, match="POSOLOGY_ALLOWED_SOURCE_FOLDERS"):
        sources.read((inside / "link").as_uri(), Allowed((inside,)))


@pytest.mark.parametrize("uri", ["file:relative", "file://host/x", "/plain/path", "http://x/y"])
def test_other_uris_are_refused_with_what_would_be_right(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        sources.read(uri, Allowed((tmp_path,)))


def test_missing_files_folders_and_huge_files_are_each_said(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 11)
    allowed = Allowed((tmp_path,), max_bytes=10)
    for name, reason in (("none", "does not exist"), ("", "folder"), ("big", "more than 10 bytes")):
        with pytest.raises(InvalidInput, match=reason):
            sources.read((tmp_path / name).as_uri(), allowed)


def test_a_suite_may_lie_in_an_object_store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.bucket()
    (s3.folder / bucket.removeprefix("s3://") / "suite.jsonl").write_bytes(b"line\n")
    for name, value in (("KEY_ID", s3.key), ("SECRET_ACCESS_KEY", s3.secret)):
        monkeypatch.setenv(f"AWS_ACCESS_{name}" if name == "KEY_ID" else f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    assert sources.read(f"{bucket}/suite.jsonl", Allowed(prefixes=(f"{bucket}/",))) == b"line\n"
    with pytest.raises(PermissionDenied, match="POSOLOGY_ALLOWED_SOURCE_URIS"):
        sources.read(f"{bucket}/suite.jsonl", Allowed(prefixes=("s3://other/",)))
