"""Sources in an S3 bucket, read by the service and by the worker."""

from pathlib import Path

import pytest
from support.curation_world import World, label
from support.servers import S3


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with labels, allowed as a source; must come before `world`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    url = s3.bucket()
    monkeypatch.setenv("POSOLOGY_ALLOWED_SOURCE_URIS", f"{url}/labels/")
    folder = s3.folder / Path(url.removeprefix("s3://")) / "labels"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.xml").write_text(label(f"Drug{chr(97 + number)}vastin", number))
    return url


async def test_labels_in_a_bucket_give_the_same_pairs_as_in_a_folder(bucket: str, world: World) -> None:
    remote = await world.made("remote", sources=[{"uri": f"{bucket}/labels/", "format": "SPL"}])
    local = await world.made("local")

    def answers(digest: str) -> set[str]:
        return {row["completion"][0]["content"] for row in world.lines(digest, "train.jsonl")}

    assert len(answers(remote.status.artifact) & answers(local.status.artifact)) > 20
