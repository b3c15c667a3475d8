"""Users of an OpenID Connect provider: tokens are checked by the provider's published keys, without asking it.

What they may do is still the cluster's answer, for this user and these groups; name both as the API server would.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from typing import Any

import httpx
import jwt

from posology.core.errors import Unauthenticated, Unavailable
from posology.core.rpc.context import Identity
from posology.core.rpc.ttl_cache import TtlCache
from posology.core.settings import ServiceSettings

log = logging.getLogger("posology.oidc")

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a key pair; a shared secret, or none at all, is no signature of a provider."""
LEEWAY_SECONDS = 10.0
YES_SECONDS, NO_SECONDS = 60.0, 5.0
_KEYS_SECONDS = 3600.0
_RESERVED = "system:"
"""Names of the cluster itself, such as the group system:masters; a provider has no say in them."""
_RELOAD_SECONDS = 10.0
"""An unknown key makes us ask the provider again, at most this often: anybody can name unknown keys."""


class Provider:
    """The published keys of an issuer."""

    def __init__(self, http: httpx.AsyncClient, issuer: str) -> None:
        self._http = http
        self._issuer = issuer
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._loaded_at = float("-inf")
        self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def key(self, identity: str) -> jwt.PyJWK:
        """The key of this id; Unauthenticated if the provider has none, Unavailable if it can't be asked."""
        async with self._one_at_a_time:
            now = time.monotonic()
            old = now - self._loaded_at > _KEYS_SECONDS
            if old or (identity not in self._keys and now - self._asked_at > _RELOAD_SECONDS):
                await self._reload(needed=identity not in self._keys)
        if identity not in self._keys:
            raise Unauthenticated(f"this token is signed with a key that {self._issuer} does not publish")
        return self._keys[identity]

    async def _reload(self, *, needed: bool) -> None:
        self._asked_at = time.monotonic()
        try:
            document = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self._issuer:
                raise ValueError(f"it calls itself {document.get('issuer')!r}")
            if not str(document["jwks_uri"]).startswith("https://"):
                raise ValueError(f"its keys are at {document['jwks_uri']}, which is not https")
            listed = (await self._get(document["jwks_uri"]))["keys"]
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in listed if _signs(key)}
            self._loaded_at = time.monotonic()
        except (httpx.HTTPError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            if needed:
                raise Unavailable(
                    f"who you are can't be checked now: {self._issuer} is not to be read ({error})"
                ) from error
            log.warning("the provider's keys are as old as %.0f s: %s", self._asked_at - self._loaded_at, error)

    async def _get(self, url: str) -> Mapping[str, Any]:
        answer = (await self._http.get(url)).raise_for_status().json()
        if not isinstance(answer, Mapping):
            raise TypeError(f"{url} is no JSON object")
        return answer


class IdTokens:
    """Tokens of one issuer for one audience."""

    def __init__(self, provider: Provider, settings: ServiceSettings) -> None:
        self._provider = provider
        self._settings = settings
        self._known: TtlCache[bytes, Identity | str] = TtlCache()

    async def identify(self, token: str) -> Identity:
        """The user; Unauthenticated with what is wrong with the token."""
        digest = hashlib.sha256(token.encode()).digest()
        result = self._known.get(digest)
        if result is None:
            result, seconds = await self._check(token)
            self._known.put(digest, result, seconds)
        if isinstance(result, str):
            raise Unauthenticated(result)
        return result

    async def _check(self, token: str) -> tuple[Identity | str, float]:
        """The user or why there is none, and for how long that is so."""
        try:
            claims = await self.claims(token)
            left = claims["exp"] + LEEWAY_SECONDS - time.time()
            return self.user(claims), min(YES_SECONDS, left)
        except jwt.PyJWTError as error:
            return f"this is no valid token of {self._settings.oidc_issuer}: {error}", NO_SECONDS

    async def claims(self, token: str, *, require: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """What a token says, once signature, issuer, audience and time are right; jwt.PyJWTError says what is not.

        `require` names what it must say beside expiry, issuer and audience; by default the user's name.
        """
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError(f"the algorithm {header.get('alg')!r} is not taken")
        key = await self._provider.key(str(header.get("kid", "")))
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=self._settings.audience,
            issuer=self._settings.oidc_issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", *(require or (self._settings.oidc_username_claim,))]},
        )
        return claims

    def user(self, claims: Mapping[str, Any]) -> Identity:
        """Who it is, by the names that the settings give to users and groups; jwt.InvalidTokenError."""
        settings = self._settings
        name, groups = claims[settings.oidc_username_claim], claims.get(settings.oidc_groups_claim) or ()
        if not isinstance(name, str) or not name or name.startswith(_RESERVED):
            raise jwt.InvalidTokenError(f"its {settings.oidc_username_claim} is no user's name")
        if settings.oidc_username_claim == "email" and claims.get("email_verified") is False:
            raise jwt.InvalidTokenError("its email is not verified")
        listed = groups if isinstance(groups, list) else [groups] if groups else []
        if not all(isinstance(group, str) for group in listed):
            raise jwt.InvalidTokenError(f"its {settings.oidc_groups_claim} are no names")
        prefixed = (f"{settings.oidc_groups_prefix}{group}" for group in listed if not group.startswith(_RESERVED))
        return Identity(f"{settings.oidc_username_prefix}{name}", (*prefixed, "system:authenticated"))


def _signs(key: Mapping[str, Any]) -> bool:
    return key.get("use", "sig") == "sig" and "kid" in key and key.get("kty") in ("RSA", "EC", "OKP")
