"""The clients that applications use, as they are, over five turns: each turn sends back what the one before got."""

import os
from collections.abc import Sequence
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError
from service.gateway.gateway_world import World

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would fetch prices from the network on import
TURNS = ("May I take it with milk?", "And with juice?", "At night?", "For how long?", "With aspirin?")


@pytest.fixture
def openai(gateway: World) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=gateway.key, base_url=f"{gateway.gateway.http.url}/v1", max_retries=0)


def last_prompt(gateway: World) -> list[dict[str, Any]]:
    """What the engine got at the last turn."""
    return list(gateway.agents[0].engine.seen[-1]["messages"])


def assert_all_turns_arrived(gateway: World, answers: Sequence[str]) -> None:
    """Questions and answers in turn, as the engine got them at the fifth."""
    assert all(answers)
    expected: list[dict[str, Any]] = []
    for question, answer in zip(TURNS, answers, strict=True):
        expected += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    assert last_prompt(gateway) == expected[:-1]


async def test_openai_appends_the_message_that_it_got(gateway: World, openai: AsyncOpenAI) -> None:
    messages: list[Any] = []
    for question in TURNS:
        messages.append({"role": "user", "content": question})
        response = await openai.chat.completions.create(model="labels", messages=messages, max_tokens=4)
        assert response.created > 1.7e9
        messages.append(response.choices[0].message)
    assert_all_turns_arrived(gateway, [message.content for message in messages[1::2]])


async def test_openai_sends_back_the_dump_of_the_message(gateway: World, openai: AsyncOpenAI) -> None:
    messages: list[Any] = []
    for question in TURNS:
        messages.append({"role": "user", "content": question})
        response = await openai.chat.completions.create(model="labels", messages=messages, max_tokens=4)
        messages.append(response.choices[0].message.model_dump())
    assert_all_turns_arrived(gateway, [message["content"] for message in messages[1::2]])


async def test_openai_streams_five_turns(gateway: World, openai: AsyncOpenAI) -> None:
    messages: list[Any] = []
    for question in TURNS:
        messages.append({"role": "user", "content": question})
        stream = await openai.chat.completions.create(
            model="labels", messages=messages, max_tokens=4, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage is not None
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        messages.append({"role": "assistant", "content": said})
    assert_all_turns_arrived(gateway, [message["content"] for message in messages[1::2]])


async def test_openai_completes(gateway: World, openai: AsyncOpenAI) -> None:
    for question in TURNS:
        whole = await openai.completions.create(model="labels", prompt=question, max_tokens=4)
        stream = await openai.completions.create(model="labels", prompt=question, max_tokens=4, stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == whole.choices[0].text


async def test_openai_reads_models_ids_and_errors(gateway: World, openai: AsyncOpenAI) -> None:
    models = [model async for model in openai.models.list()]
    assert [model.id for model in models] == ["labels"]
    raw = await openai.chat.completions.with_raw_response.create(
        model="labels", messages=[{"role": "developer", "content": "Short."}, {"role": "user", "content": "May I?"}]
    )
    assert raw.headers["x-posology-answer"].endswith(raw.headers["x-request-id"])
    with pytest.raises(BadRequestError) as refused:
        await openai.chat.completions.create(
            model="labels", messages=[{"role": "user", "content": "x"}], response_format={"type": "json_object"}
        )
    assert refused.value.param == "response_format"
    assert refused.value.request_id


async def test_langchain_talks_for_five_turns(gateway: World) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model="labels",
        api_key=gateway.key,  # type: ignore[arg-type]
        base_url=f"{gateway.gateway.http.url}/v1",
        max_retries=0,
        max_completion_tokens=4,
    )
    messages: list[Any] = []
    for question in TURNS:
        messages += [("human", question)]
        messages += [await model.ainvoke(messages)]
    assert_all_turns_arrived(gateway, [message.content for message in messages[1::2]])


async def test_langchain_streams_for_five_turns(gateway: World) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model="labels",
        api_key=gateway.key,  # type: ignore[arg-type]
        base_url=f"{gateway.gateway.http.url}/v1",
        max_retries=0,
        max_completion_tokens=4,
        stream_usage=True,
    )
    messages: list[Any] = []
    for question in TURNS:
        messages += [("human", question)]
        whole: Any = None
        async for chunk in model.astream(messages):
            whole = chunk if whole is None else whole + chunk
        assert whole.usage_metadata["output_tokens"] == 4
        messages += [whole]
    assert_all_turns_arrived(gateway, [message.content for message in messages[1::2]])


async def test_langchain_completes(gateway: World) -> None:
    from langchain_openai import OpenAI

    model = OpenAI(
        model="labels",
        api_key=gateway.key,  # type: ignore[arg-type]
        base_url=f"{gateway.gateway.http.url}/v1",
        max_retries=0,
        max_tokens=4,
    )
    for question in TURNS:
        assert "".join([text async for text in model.astream(question)]) == await model.ainvoke(question)


async def test_litellm_talks_for_five_turns(gateway: World) -> None:
    import litellm

    whole, streamed = list[Any](), list[Any]()
    common = {"model": "openai/labels", "api_key": gateway.key, "api_base": f"{gateway.gateway.http.url}/v1"}
    for question in TURNS:
        for messages in (whole, streamed):
            messages.append({"role": "user", "content": question})
        response = await litellm.acompletion(**common, messages=whole, max_tokens=4)
        whole.append(response.choices[0].message)
        stream = await litellm.acompletion(**common, messages=streamed, max_tokens=4, stream=True)
        rebuilt = litellm.stream_chunk_builder([chunk async for chunk in stream])
        assert rebuilt is not None
        streamed.append(rebuilt.choices[0].message.model_dump())  # type: ignore[union-attr]
    assert_all_turns_arrived(gateway, [message["content"] for message in streamed[1::2]])
    assert [message["content"] for message in whole] == [message["content"] for message in streamed]


async def test_litellm_completes(gateway: World) -> None:
    import litellm

    common = {
        "model": "text-completion-openai/labels",
        "api_key": gateway.key,
        "api_base": f"{gateway.gateway.http.url}/v1",
    }
    for question in TURNS:
        whole = await litellm.atext_completion(**common, prompt=question, max_tokens=4)
        stream = await litellm.atext_completion(**common, prompt=question, max_tokens=4, stream=True)
        assert "".join([c.choices[0].text or "" async for c in stream]) == whole.choices[0].text


async def test_openai_s_responses_go_on_for_five_turns(gateway: World, openai: AsyncOpenAI) -> None:
    turns: list[Any] = []
    answers = []
    for question in TURNS:
        turns.append({"role": "user", "content": question})
        response = await openai.responses.create(model="labels", input=turns, max_output_tokens=4)
        assert (response.status, response.usage.output_tokens) == ("incomplete", 4)  # type: ignore[union-attr]
        turns += response.output
        answers.append(response.output_text)
    assert_all_turns_arrived(gateway, answers)


async def test_openai_s_responses_stream(gateway: World, openai: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "labels", "instructions": "Short.", "input": "May I?", "max_output_tokens": 4}
    whole = await openai.responses.create(**asked)
    assert last_prompt(gateway) == [{"role": "system", "content": "Short."}, {"role": "user", "content": "May I?"}]
    events = [event async for event in await openai.responses.create(**asked, stream=True)]
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == whole.output_text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == 4
    assert [event.sequence_number for event in events] == list(range(len(events)))
    with pytest.raises(BadRequestError) as refused:
        await openai.responses.create(**asked, tools=[{"type": "web_search"}])
    assert refused.value.param == "tools"
    with pytest.raises(BadRequestError) as refused:
        await openai.responses.create(**asked, previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"
