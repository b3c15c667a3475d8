"""Text is kept only by setting, without what names a person, for so many days, and until somebody erases it."""

from datetime import timedelta
from pathlib import Path

import pytest
from service.gateway.gateway_world import World, world
from sqlalchemy import update

from posology.core import audit
from posology.core.errors import NotFound
from posology.core.store import now
from posology.gateway import answers
from posology.gateway.tables import answers as table
from posology.v1alpha1 import gateway_pb2 as pb

ASKED = "Patient: Mary Jones, DOB 04/12/1961, mary@example.org: may I take 5 mg?"


async def record(gateway: World) -> pb.Answer:
    [answer] = await gateway.answers()
    return answer


async def test_by_default_no_text_is_kept(gateway: World) -> None:
    await gateway.chat(ASKED)
    answer = await record(gateway)
    assert (answer.prompt, answer.text) == ("", "")
    assert answer.prompt_sha256


async def test_kept_text_names_nobody_and_keeps_the_dose(tmp_path: Path) -> None:
    async with world(tmp_path, keep_text=True) as gateway:
        await gateway.chat(ASKED)
        await gateway.stream(ASKED)
        for answer in await gateway.answers():
            assert not any(word in answer.prompt for word in ("Mary", "1961", "example.org"))
            assert "may I take 5 mg?" in answer.prompt
        assert ASKED in gateway.agents[0].engine.seen[-1]["messages"][0]["content"]


async def test_text_is_forgotten_after_its_days_and_hashes_stay(tmp_path: Path) -> None:
    async with world(tmp_path, keep_text=True) as gateway:
        await gateway.chat("old")
        async with gateway.gateway.db.begin() as tx:
            old = await now(tx) - timedelta(days=31)
            await tx.execute(update(table).values(created_at=old))
        await gateway.chat("new")
        async with gateway.gateway.db.begin() as tx:
            assert await answers.erase_text(tx, older_than=timedelta(days=30)) == 1
        newer, older = await gateway.answers()
        assert (bool(newer.text), bool(older.text), bool(older.text_sha256)) == (True, False, True)


async def test_an_erased_answer_says_nothing_and_the_chain_is_whole(tmp_path: Path) -> None:
    async with world(tmp_path, keep_text=True) as gateway:
        await gateway.chat(ASKED)
        name = (await record(gateway)).name
        erased = await gateway.rpc.EraseAnswer(pb.EraseAnswerRequest(name=name))
        again = await gateway.rpc.EraseAnswer(pb.EraseAnswerRequest(name=name))
        assert (erased.prompt, erased.text, erased.prompt_sha256, erased.text_sha256) == ("", "", "", "")
        assert erased.HasField("erase_time")
        assert again == erased
        assert erased.model
        assert erased.completion_tokens == 8
        async with gateway.gateway.db.read() as tx:
            entries = [entry async for entry in audit.entries(tx)]
            assert audit.verify_chain(entries) == await audit.head(tx)
        assert [entry.action for entry in entries].count("EraseAnswer") == 1


async def test_an_answer_of_another_namespace_is_not_found(gateway: World) -> None:
    await gateway.chat()
    name = (await record(gateway)).name.replace("namespaces/default", "namespaces/other")
    with pytest.raises(NotFound):
        await gateway.rpc.EraseAnswer(pb.EraseAnswerRequest(name=name))


SECRET = "the ulcer of the mayor bleeds"


def on_disk(root: Path) -> list[str]:
    """Files of the installation that hold the text."""
    files = [file for file in root.rglob("*") if file.is_file()]
    return [str(file) for file in files if SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize("how", ["erased", "old"])
async def test_what_is_forgotten_is_on_no_page_of_the_disk(tmp_path: Path, how: str) -> None:
    async with world(tmp_path, keep_text=True) as gateway:
        for number in range(20):
            await gateway.chat(f"{number}: {SECRET}" if number % 2 else f"{number}: nothing")
        assert on_disk(tmp_path)
        if how == "erased":
            for answer in await gateway.answers():
                await gateway.rpc.EraseAnswer(pb.EraseAnswerRequest(name=answer.name))
        else:
            async with gateway.gateway.db.begin() as tx:
                await tx.execute(update(table).values(created_at=await now(tx) - timedelta(days=31)))
            await gateway.gateway._sweep()
        assert on_disk(tmp_path) == []


async def test_no_log_and_no_error_repeats_what_was_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with world(tmp_path, keep_text=True) as gateway:
        await gateway.chat(SECRET)
        await gateway.stream(SECRET)
        assert SECRET not in caplog.text
