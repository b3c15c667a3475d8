"""What HTTP has a word for is said in that word, and every response can be found again by its id."""

import gzip

import pytest
from service.gateway.gateway_world import World


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/labels", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_and_says_which_is_right(
    gateway: World, method: str, path: str, allowed: str
) -> None:
    response = await gateway.http.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/embeddings", "/invocations", "/tokenize", "/v1/chat/completions/x"])
async def test_another_path_is_404(gateway: World, path: str) -> None:
    response = await gateway.http.post(path, json={})
    assert (response.status_code, response.json()["error"]["type"]) == (404, "invalid_request_error")
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
async def test_another_kind_of_body_is_415(gateway: World, media_type: str) -> None:
    response = await gateway.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": media_type})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
async def test_every_name_of_json_is_read(gateway: World, media_type: str) -> None:
    body = b'{"model": "labels", "messages": [{"role": "user", "content": "x"}]}'
    response = await gateway.http.post("/v1/chat/completions", content=body, headers={"content-type": media_type})
    assert response.status_code == 200


async def test_every_response_has_an_id_and_a_model_its_time(gateway: World) -> None:
    answered, refused = await gateway.chat(), await gateway.chat(foo=1)
    models = await gateway.http.get("/v1/models")
    ids = [response.headers["x-request-id"] for response in (answered, refused, models)]
    assert len(set(ids)) == 3
    assert answered.headers["x-posology-answer"].endswith(ids[0])
    assert answered.json()["id"].endswith(ids[0])
    assert models.json()["data"][0]["created"] == 1_760_000_000


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
async def test_a_slash_too_many_is_answered_and_never_redirected_to_plain_http(gateway: World, path: str) -> None:
    body = {"model": "labels", "messages": [{"role": "user", "content": "x"}]} if "chat" in path else None
    response = await gateway.http.request("POST" if body else "GET", f"{path}/", json=body)
    assert (response.status_code, response.history) == (200, [])
    elsewhere = await gateway.http.get("/health/")
    assert (elsewhere.status_code, elsewhere.headers.get("location")) == (404, None)


async def test_a_packed_body_is_415_by_its_encoding_and_a_missing_key_names_the_scheme(gateway: World) -> None:
    response = await gateway.http.post(
        "/v1/chat/completions", content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"}
    )
    assert (response.status_code, "Content-Encoding gzip" in response.json()["error"]["message"]) == (415, True)
    nobody = await gateway.http.get("/v1/models", headers={"authorization": "Basic x"})
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
