"""Users of an OpenID Connect provider: who they are is in their signed token."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.identity_provider import IdentityProvider, identity_provider

from posology.core.errors import InvalidInput, PosologyError, Unauthenticated, Unavailable
from posology.core.rpc import authentication
from posology.core.rpc.context import Identity
from posology.core.settings import ServiceSettings, load


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[IdentityProvider]:
    with identity_provider(tmp_path / "provider") as found:
        yield found


@asynccontextmanager
async def directory(provider: IdentityProvider, **overrides: Any) -> AsyncIterator[authentication.Directory]:
    """Who knows the users of this provider, as a service's settings say it."""
    values = {"authentication": "oidc", "oidc_issuer": provider.issuer, "oidc_ca_file": provider.authority}
    settings = load(ServiceSettings, **(values | overrides))
    async with AsyncExitStack() as stack:
        yield await authentication.users_of_a_provider(settings, stack)


async def refused(users: authentication.Directory, token: str, kind: type[PosologyError] = Unauthenticated) -> str:
    with pytest.raises(kind) as error:
        await users.identify(token)
    return error.value.message


async def test_a_signed_token_says_user_and_groups(provider: IdentityProvider) -> None:
    async with directory(provider) as users:
        assert await users.identify(provider.token()) == Identity("jane", ("team-a", "system:authenticated"))


async def test_names_are_those_that_the_api_server_uses(provider: IdentityProvider) -> None:
    given = {
        "oidc_username_claim": "email", "oidc_username_prefix": "corp:", "oidc_groups_claim": "roles",
        "oidc_groups_prefix": "corp:",
    }  # fmt: skip
    async with directory(provider, **given) as users:
        found = await users.identify(provider.token(email="jane@hospital.example", roles="pharmacist"))
        assert found == Identity("corp:jane@hospital.example", ("corp:pharmacist", "system:authenticated"))
        unverified = provider.token(email="jane@hospital.example", email_verified=False)
        assert "its email is not verified" in await refused(users, unverified)


async def test_no_token_makes_anybody_a_part_of_the_cluster(provider: IdentityProvider) -> None:
    async with directory(provider) as users:
        found = await users.identify(provider.token(groups=["system:masters", "team-a"]))
        assert found.groups == ("team-a", "system:authenticated")
        assert "is no user's name" in await refused(users, provider.token(sub="system:serviceaccount:posology:x"))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 1000}, "Signature has expired"),
        ({"exp": None}, 'missing the "exp" claim'),
        ({"aud": "another"}, "Audience doesn't match"),
        ({"iss": "https://another.example"}, "Invalid issuer"),
        ({"nbf": 9999999999}, "not yet valid"),
        ({"sub": None}, 'missing the "sub" claim'),
        ({"groups": [1]}, "its groups are no names"),
    ],
)
async def test_a_token_that_is_not_right_is_refused(
    provider: IdentityProvider, claims: dict[str, Any], said: str
) -> None:
    async with directory(provider) as users:
        assert said in await refused(users, provider.token(**claims))


FORGERIES: dict[str, Callable[[IdentityProvider], str]] = {
    "unsigned": lambda p: jwt.encode({"sub": "jane", "iss": p.issuer, "aud": "posology"}, "", algorithm="none"),
    "by a shared secret": lambda p: jwt.encode({"sub": "jane"}, "x" * 32, algorithm="HS256", headers={"kid": "first"}),
    "altered": lambda p: _altered(p.token()),
    "no token": lambda p: "not-a-token",
}


@pytest.mark.parametrize("how", FORGERIES)
async def test_a_forged_token_is_refused(provider: IdentityProvider, how: str) -> None:
    async with directory(provider) as users:
        assert "is no valid token of" in await refused(users, FORGERIES[how](provider))


def _altered(token: str) -> str:
    """The same signature under other claims."""
    header, _, signature = token.split(".")
    claims = jwt.encode({"sub": "admin"}, "x" * 32, algorithm="HS256").split(".")[1]
    return f"{header}.{claims}.{signature}"


async def test_a_new_key_of_the_provider_is_found_and_a_stranger_s_is_not(
    provider: IdentityProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with directory(provider) as users:
        await users.identify(provider.token())
        provider.new_key("second", elliptic=True)
        monkeypatch.setattr("posology.core.rpc.oidc._RELOAD_SECONDS", 0.0)
        assert (await users.identify(provider.token("second", sub="bob"))).subject == "bob"
        monkeypatch.setattr("posology.core.rpc.oidc._RELOAD_SECONDS", 60.0)
        with identity_provider(tmp_path / "other") as other:
            other.new_key("third")
            count = len(provider.asked)
            for number in range(20):
                forged = other.token("third", iss=provider.issuer, jti=str(number))
                assert "a key that" in await refused(users, forged)
            assert len(provider.asked) == count, "strangers can't make us ask the provider"


async def test_tokens_are_checked_without_asking_the_provider_each_time(provider: IdentityProvider) -> None:
    async with directory(provider) as users:
        for number in range(10):
            await users.identify(provider.token(sub=f"user-{number}"))
        provider.status = 500
        assert (await users.identify(provider.token(sub="jane"))).subject == "jane", "its keys are known"
    assert len(provider.asked) == 2


async def test_nobody_is_let_in_by_a_provider_that_was_never_read(provider: IdentityProvider) -> None:
    provider.status = 503
    async with directory(provider) as users:
        assert "who you are can't be checked now" in await refused(users, provider.token(), Unavailable)


def test_a_provider_is_named_by_https_and_a_token_is_for_somebody() -> None:
    with pytest.raises(InvalidInput, match="POSOLOGY_OIDC_ISSUER: name the provider's URL"):
        load(ServiceSettings, authentication="oidc", oidc_issuer="http://provider")
    with pytest.raises(InvalidInput, match="POSOLOGY_AUDIENCE: a provider's tokens are made for a client"):
        load(ServiceSettings, authentication="oidc", oidc_issuer="https://provider", audience="api-server")
