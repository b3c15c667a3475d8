"""What a client may send, and in which words it is refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.gateway.gateway_world import World, world

from posology.v1alpha1 import gateway_pb2 as pb


async def test_a_bad_field_is_refused_by_name_before_any_engine_hears_of_it(gateway: World) -> None:
    response = await gateway.chat(temprature=0.2)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "temprature")
    assert gateway.agents[0].engine.seen == []


async def test_every_bad_field_is_named_at_once(gateway: World) -> None:
    response = await gateway.http.post("/v1/chat/completions", json={"n": -1, "foo": 1})
    assert all(name in response.json()["error"]["message"] for name in ("model", "messages", "n:", "foo"))


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, max_body_bytes=1000) as gateway:
        response = await gateway.chat("x" * 2000)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


async def test_more_tokens_than_the_model_has_room_for_are_cut_to_the_room(gateway: World) -> None:
    response = await gateway.chat("one two three four", max_tokens=100_000)
    assert response.status_code == 200
    assert response.json()["usage"] == {"prompt_tokens": 4, "completion_tokens": 508, "total_tokens": 512}


async def test_a_prompt_that_leaves_no_room_is_refused(gateway: World) -> None:
    response = await gateway.chat("word " * 600)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
    assert "600 tokens" in error["message"]


async def test_a_key_may_bound_the_tokens_of_an_answer(gateway: World) -> None:
    await use_key(gateway, max_tokens=3)
    assert (await gateway.chat(max_tokens=50)).json()["usage"]["completion_tokens"] == 3
    response = await gateway.http.post(
        "/v1/chat/completions", json={"model": "labels", "messages": [{"role": "user", "content": "hi"}]}
    )
    assert response.json()["usage"]["completion_tokens"] == 3


async def test_several_answers_share_one_record(gateway: World) -> None:
    response = await gateway.chat(n=3)
    assert len(response.json()["choices"]) == 3
    [record] = await gateway.answers()
    assert record.finish_reason == "length,length,length"


async def test_a_key_that_asks_too_often_waits(gateway: World) -> None:
    await use_key(gateway, requests_per_minute=2)
    statuses = [(await gateway.chat()).status_code for _ in range(2)]
    refused = await gateway.chat()
    assert statuses == [200, 200]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 30


async def test_a_key_runs_only_so_many_requests_at_once(gateway: World) -> None:
    await use_key(gateway, concurrent_requests=1)
    slow = asyncio.ensure_future(gateway.stream("[wait 0.05] hi"))
    await gateway.until_busy()
    assert (await gateway.chat()).status_code == 429
    await slow
    assert (await gateway.chat()).status_code == 200


async def test_a_request_without_a_valid_key_is_refused(gateway: World) -> None:
    gateway.http.headers.pop("authorization")
    for header in ("", "Basic x", "Bearer", "Bearer sk-123", "Bearer posology_abc_def"):
        headers = {"authorization": header} if header else {}
        for path in ("/v1/chat/completions", "/v1/completions"):
            response = await gateway.http.post(path, json={}, headers=headers)
            assert (response.status_code, response.json()["error"]["type"]) == (401, "authentication_error")
        assert (await gateway.http.get("/v1/models", headers=headers)).status_code == 401


async def test_a_revoked_key_is_useless_at_once(gateway: World) -> None:
    assert (await gateway.chat()).status_code == 200
    [key] = (await gateway.rpc.ListApiKeys(pb.ListApiKeysRequest(parent="namespaces/default"))).api_keys
    revoked = await gateway.rpc.RevokeApiKey(pb.RevokeApiKeyRequest(name=key.name))
    assert revoked.HasField("revoke_time")
    assert "revoked" in (await gateway.chat()).json()["error"]["message"]


async def test_an_expired_key_is_useless(gateway: World) -> None:
    request = pb.CreateApiKeyRequest(parent="namespaces/default", display_name="short")
    request.expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=0.2))
    key = await gateway.rpc.CreateApiKey(request)
    await asyncio.sleep(0.25)
    gateway.http.headers["authorization"] = f"Bearer {key.secret}"
    assert "expired" in (await gateway.chat()).json()["error"]["message"]


async def test_a_key_is_shown_once_and_stored_as_a_hash(gateway: World) -> None:
    request = pb.CreateApiKeyRequest(parent="namespaces/default", display_name="app", request_id="r1")
    first, again = await gateway.rpc.CreateApiKey(request), await gateway.rpc.CreateApiKey(request)
    assert first.secret.startswith(first.prefix + "_")
    assert (again.name, again.secret) == (first.name, "")
    stored = b"".join(path.read_bytes() for path in gateway.gateway.settings.data_dir.glob("db/*"))
    assert first.secret.rpartition("_")[2].encode() not in stored


async def test_what_the_gateway_does_not_serve_is_not_passed_through(gateway: World) -> None:
    for path in ("/invocations", "/tokenize", "/pause", "/collective_rpc", "/v1/embeddings", "/metrics"):
        response = await gateway.http.post(path, json={"model": "labels", "prompt": "hi"})
        assert response.status_code == 404
        assert "/v1/chat/completions" in response.json()["error"]["message"]
    assert gateway.agents[0].engine.seen == []


async def test_models_are_listed_with_where_they_come_from(gateway: World) -> None:
    [card] = (await gateway.http.get("/v1/models")).json()["data"]
    assert (card["id"], card["ready"], card["max_model_len"]) == ("labels", True, 512)
    assert (await gateway.http.get("/v1/models/labels")).json()["id"] == "labels"
    missing = await gateway.http.get("/v1/models/other")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


async def test_an_unknown_model_is_refused_with_the_known_ones(gateway: World) -> None:
    response = await gateway.chat(model="lables")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert "labels" in response.json()["error"]["message"]


async def test_a_key_of_another_namespace_sees_no_model(gateway: World) -> None:
    await use_key(gateway, parent="namespaces/other")
    assert (await gateway.http.get("/v1/models")).json()["data"] == []
    assert (await gateway.chat()).status_code == 404


async def use_key(gateway: World, *, parent: str = "namespaces/default", **limits: Any) -> None:
    """Ask with a new key of these limits from now on."""
    key = await gateway.rpc.CreateApiKey(pb.CreateApiKeyRequest(parent=parent, display_name="limited", **limits))
    gateway.http.headers["authorization"] = f"Bearer {key.secret}"
