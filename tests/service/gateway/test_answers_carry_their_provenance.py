"""What clients get and what is remembered of it."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from service.gateway.gateway_world import DATASET, MODEL, VERDICT, World, said, world
from sqlalchemy import text
from support.servers import Postgres

from posology.core.errors import NotFound
from posology.v1alpha1 import gateway_pb2 as pb

PROVENANCE = {
    "x-posology-model-digest": MODEL,
    "x-posology-verdict": VERDICT,
    "x-posology-run": "namespaces/default/fineTuneRuns/demo",
    "x-posology-dataset": DATASET,
    "x-posology-deployment": "namespaces/default/deployments/first",
}


async def test_a_whole_answer_has_provenance_and_a_record(gateway: World) -> None:
    response = await gateway.chat()
    assert response.status_code == 200
    assert PROVENANCE.items() <= dict(response.headers).items()
    said_text = response.json()["choices"][0]["message"]["content"]
    record = await gateway.rpc.GetAnswer(pb.GetAnswerRequest(name=response.headers["x-posology-answer"]))
    assert record.state == pb.Answer.COMPLETE
    assert record.text_sha256 == hashlib.sha256(said_text.encode()).hexdigest()
    assert (record.model, record.verdict, record.finish_reason) == (MODEL, VERDICT, "length")
    assert (record.prompt_tokens, record.completion_tokens) == (4, 8)
    assert (record.prompt, record.text) == ("", "")  # hashes only, unless the installation says otherwise


async def test_a_streamed_answer_has_the_same_provenance_and_record(gateway: World) -> None:
    body = {"model": "labels", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5, "stream": True}
    async with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert PROVENANCE.items() <= dict(response.headers).items()
        lines = [line[6:] async for line in response.aiter_lines() if line]
    assert lines[-1] == "[DONE]"
    record = await gateway.rpc.GetAnswer(pb.GetAnswerRequest(name=response.headers["x-posology-answer"]))
    assert (record.state, record.streamed) == (pb.Answer.COMPLETE, True)
    assert record.text_sha256 == hashlib.sha256(said(lines).encode()).hexdigest()
    assert (record.completion_tokens, record.finish_reason) == (5, "length")


async def test_the_id_in_the_body_is_the_id_of_the_record(gateway: World) -> None:
    response = await gateway.chat()
    assert response.json()["id"].removeprefix("chatcmpl-") == response.headers["x-posology-answer"].rpartition("/")[2]


async def test_a_completion_is_answered_too(gateway: World) -> None:
    response = await gateway.http.post(
        "/v1/completions", json={"model": "labels", "prompt": "Take it", "max_tokens": 3}
    )
    assert response.status_code == 200
    assert len(response.json()["choices"][0]["text"].split()) == 3
    assert PROVENANCE.items() <= dict(response.headers).items()


async def test_usage_reaches_a_streaming_client_only_when_asked_for(gateway: World) -> None:
    plain = [json.loads(line) for line in (await gateway.stream())[:-1]]
    asked = [json.loads(line) for line in (await gateway.stream(stream_options={"include_usage": True}))[:-1]]
    assert not any(event.get("usage") for event in plain)
    assert asked[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 8, "total_tokens": 12}


async def test_an_installation_may_keep_the_texts(tmp_path: Path) -> None:
    async with world(tmp_path, keep_text=True) as gateway:
        kept = (await gateway.chat("Is it safe?")).json()["choices"][0]["message"]["content"]
        [record] = await gateway.answers()
    assert record.text == kept
    assert json.loads(record.prompt) == [{"role": "user", "content": "Is it safe?"}]
    assert record.prompt_sha256 == hashlib.sha256(record.prompt.encode()).hexdigest()


async def test_a_client_that_leaves_stops_its_engine_and_is_recorded(gateway: World) -> None:
    body = {"model": "labels", "messages": [{"role": "user", "content": "[wait 0.05] hi"}], "max_tokens": 200}
    async with gateway.http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
        await anext(response.aiter_lines())
    for _ in range(100):
        [record] = await gateway.answers()
        if record.state == pb.Answer.CLIENT_LEFT and not gateway.agents[0].engine.running:
            break
        await asyncio.sleep(0.05)
    assert record.state == pb.Answer.CLIENT_LEFT
    assert gateway.agents[0].engine.running == 0


async def test_a_client_that_leaves_a_whole_answer_stops_its_engine(gateway: World) -> None:
    asking = asyncio.ensure_future(gateway.chat("[wait 0.05] hi", max_tokens=200))
    await gateway.until_busy()
    asking.cancel()
    async with asyncio.timeout(5):
        await gateway.gateway.door.drained()
        await gateway.agents[0].proxy.idle()
        while gateway.agents[0].engine.running:
            await asyncio.sleep(0.01)
    assert gateway.agents[0].engine.finished == 0
    assert await gateway.answers() == []


@pytest.mark.parametrize("how", ["cut", "abort"])
async def test_an_answer_that_breaks_off_says_so_and_never_ends_with_done(gateway: World, how: str) -> None:
    lines = await gateway.stream(f"[{how} 3] hi")
    assert json.loads(lines[-1])["error"]["code"] == "engine_lost"
    [record] = await gateway.answers()
    assert record.state == pb.Answer.FAILED


async def test_answers_are_listed_newest_first_in_pages(gateway: World) -> None:
    names = [(await gateway.chat()).headers["x-posology-answer"] for _ in range(3)]
    page = await gateway.rpc.ListAnswers(pb.ListAnswersRequest(parent="namespaces/default", page_size=2))
    rest = await gateway.rpc.ListAnswers(
        pb.ListAnswersRequest(parent="namespaces/default", page_size=2, page_token=page.next_page_token)
    )
    assert [a.name for a in (*page.answers, *rest.answers)] == names[::-1]
    none = pb.ListAnswersRequest(parent="namespaces/default", model="sha256:" + "0" * 64)
    assert not (await gateway.rpc.ListAnswers(none)).answers


async def test_answers_live_in_postgresql_too(tmp_path: Path, postgres: Postgres) -> None:
    async with world(tmp_path, database_url=postgres.url()) as gateway:
        await asyncio.gather(*(gateway.stream() for _ in range(5)), *(gateway.chat() for _ in range(5)))
        found = await gateway.answers()
        assert [a.state for a in found] == [pb.Answer.COMPLETE] * 10
        page = await gateway.rpc.ListAnswers(pb.ListAnswersRequest(parent="namespaces/default", page_size=3))
        assert page.answers[0].name == found[0].name


async def test_an_answer_that_cant_be_recorded_is_not_given(gateway: World) -> None:
    async with gateway.gateway.db.begin() as tx:
        await tx.execute(text("alter table answers rename to elsewhere"))
    refused = [await gateway.chat(), await gateway.chat(stream=True)]
    assert [r.status_code for r in refused] == [500, 500]
    assert all(r.json()["error"]["type"] == "server_error" for r in refused)


async def test_an_unknown_answer_says_where_ids_are(gateway: World) -> None:
    with pytest.raises(NotFound, match="x-posology-answer"):
        await gateway.rpc.GetAnswer(pb.GetAnswerRequest(name="namespaces/default/answers/none"))
