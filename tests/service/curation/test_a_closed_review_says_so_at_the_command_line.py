"""What the review commands say of a review that is over, of files without a row, and of files that are not there."""

import asyncio
from pathlib import Path

import pytest
from support.curation_world import World
from typer.testing import CliRunner, Result

from posology.cli.app import app
from posology.core.rpc.auth import read_token


async def typed(world: World, *words: str) -> Result:
    environment = {
        "POSOLOGY_TOKEN": read_token(world.root / "data" / "token"),
        "POSOLOGY_ORCHESTRATOR_ADDRESS": world.address,
        "POSOLOGY_CURATION_ADDRESS": world.address,
    }
    arguments = ["--data", str(world.root / "here"), "review", *words]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)


async def test_a_closed_review_is_said_to_be_closed_and_makes_no_empty_file(world: World, tmp_path: Path) -> None:
    review = await world.open_review("over", await world.draft(), sample=15)
    await world.rate_all(review.name, "ann")
    await world.closed(review.name)
    file = tmp_path / "items.csv"
    for words in (["next", "over"], ["rate", "over"]):
        ended = await typed(world, *words, "--reviewer", "ben")
        assert ended.exit_code == 0
        assert "review over is closed (PASSED) and takes no more ratings" in ended.output
        assert f"posology --data {world.root}/here review summary over" in " ".join(ended.output.split())
        assert "confirm" not in ended.output
    ended = await typed(world, "export", "over", str(file), "--reviewer", "ben")
    assert "is closed (PASSED)" in str(ended.exception)
    assert not file.exists()
    ended = await typed(world, "export", "over", str(file), "--reviewer", "ann")
    assert file.exists()
    assert "for the record" in ended.output
    assert "fill in" not in ended.output
    ended = await typed(world, "corrections", "over", str(tmp_path / "corrections.jsonl"))
    assert ended.exit_code == 0
    assert "no item of it was found wrong" in ended.output
    assert not (tmp_path / "corrections.jsonl").exists()


async def test_a_reviewer_who_is_done_with_an_open_review_is_told_to_confirm(world: World, tmp_path: Path) -> None:
    review = await world.open_review("open", await world.draft(), sample=15, reviewers=2)
    await world.rate_all(review.name, "ann", confirm=False)
    ended = await typed(world, "next", "open", "--reviewer", "ann")
    assert f"make it final: posology --data {world.root}/here review confirm open" in " ".join(ended.output.split())
    ended = await typed(world, "next", "open", "--reviewer", "ann", "--adjudicate")
    assert "nothing of open waits for adjudication" in ended.output
    ended = await typed(world, "export", "open", str(tmp_path / "new.csv"), "--reviewer", "ben")
    assert f"review import open {tmp_path}/new.csv" in " ".join(ended.output.split())
    ended = await typed(world, "import", "open", str(tmp_path / "new.csv"), "--reviewer", "ben")
    assert "has a judgement" in str(ended.exception)


@pytest.mark.parametrize("kind", ["missing", "folder", "latin"])
async def test_a_file_that_cannot_be_read_is_named_with_why(world: World, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "ratings.csv"
    if kind == "folder":
        file.mkdir()
    if kind == "latin":
        file.write_bytes("item_id,judgement\nä,CORRECT".encode("latin-1"))
    why = {"missing": "No such file or directory", "folder": "Is a directory", "latin": "is no UTF-8 text"}[kind]
    ended = await typed(world, "import", "any", str(file), "--reviewer", "ann")
    assert why in str(ended.exception)
    assert "Errno" not in str(ended.exception)
