"""Which engine a request goes to, and how often a key may ask."""

from datetime import UTC, datetime
from random import Random

import pytest

from posology.gateway.domain import ApiKey, Backend, Endpoint, KeyLimits, Provenance, RateLimited, Route
from posology.gateway.limits import Limiter
from posology.gateway.routes import Balance

FIRST = Provenance("sha256:1", "sha256:2")


def backend(name: str, weight: int, engines: int = 1) -> Backend:
    endpoints = tuple(Endpoint(f"http://{name}-{i}", "t") for i in range(engines))
    return Backend(f"namespaces/n/deployments/{name}", FIRST, 512, weight, endpoints)


def route(*backends: Backend) -> Route:
    return Route("n", "labels", backends)


def test_shares_follow_the_weights() -> None:
    balance, canary = Balance(draw=Random(1)), route(backend("old", 95), backend("new", 5))
    firsts = [next(balance.order(canary))[0].deployment for _ in range(4000)]
    assert 0.035 < firsts.count("namespaces/n/deployments/new") / 4000 < 0.065


def test_a_user_always_meets_the_same_deployment() -> None:
    canary = route(backend("old", 50), backend("new", 50))
    assert len({next(Balance().order(canary, user="ada"))[0].deployment for _ in range(50)}) == 1


def test_every_engine_is_tried_before_giving_up() -> None:
    canary = route(backend("old", 50, 2), backend("new", 50, 2))
    assert len({e.url for _, e in Balance().order(canary)}) == 4


def test_a_deployment_without_share_answers_only_when_no_other_can() -> None:
    balance = Balance()
    waiting = route(backend("old", 100), backend("new", 0))
    assert {next(balance.order(waiting))[0].deployment[-3:] for _ in range(50)} == {"old"}
    alone = route(backend("old", 100, 0), backend("new", 0))
    assert next(balance.order(alone))[0].deployment.endswith("new")
    assert list(balance.order(route())) == []


def test_the_engine_with_fewest_requests_is_first() -> None:
    balance, both = Balance(), route(backend("old", 100, 2))
    busy = both.backends[0].endpoints[0]
    with balance.running(busy):
        assert {next(balance.order(both))[1].url for _ in range(20)} == {both.backends[0].endpoints[1].url}


def key(**limits: int) -> ApiKey:
    return ApiKey("k", "n", "tests", "posology_k", "hash", datetime.now(UTC), KeyLimits(**limits))


async def test_a_bucket_refills_evenly() -> None:
    now = [0.0]
    limiter = Limiter(KeyLimits(), clock=lambda: now[0])
    asking = key(requests_per_minute=60)
    for _ in range(60):
        async with limiter.admit(asking):
            pass
    with pytest.raises(RateLimited) as refused:
        async with limiter.admit(asking):
            pass
    assert refused.value.retry_after == 1
    now[0] = 1.0
    async with limiter.admit(asking) as headers:
        assert headers == {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}


async def test_a_key_without_limits_has_none() -> None:
    limiter = Limiter(KeyLimits())
    async with limiter.admit(key()) as first, limiter.admit(key()) as second:
        assert (first, second) == ({}, {})


async def test_the_gateways_limit_holds_for_keys_that_name_none() -> None:
    limiter = Limiter(KeyLimits(concurrent_requests=1))
    async with limiter.admit(key()):
        with pytest.raises(RateLimited, match="1 requests at once"):
            async with limiter.admit(key()):
                pass
