"""Signing in at an OpenID Connect provider: code flow with PKCE, renewal, and the provider's own word that it is over.

What a token says is checked by the same code as at the services (`core.rpc.oidc`); they check it again at each call.
"""

import hmac
import logging
import secrets
import ssl
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from posology.console.sessions import Person
from posology.console.settings import Settings
from posology.core.errors import PermissionDenied, Unauthenticated, Unavailable
from posology.core.rpc.authentication import users_of_a_provider
from posology.core.rpc.oidc import IdTokens
from posology.core.visible import visible

log = logging.getLogger("posology.console.provider")

CALLBACK = "/sign-in/callback"
_BEGUN_SECONDS, _MOST_BEGUN = 600.0, 10_000
_DOCUMENT_SECONDS = 3600.0
_RENEW_BEFORE_SECONDS = 30.0
_LOGGED_OUT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Begun:
    """A sign-in that has left for the provider."""

    state: str
    nonce: str
    verifier: str
    then: str
    until: float


@dataclass
class Provider:
    """One provider, and the sign-ins that are under way to it."""

    settings: Settings
    tokens: IdTokens
    client: Any
    _document: Mapping[str, Any] = field(default_factory=dict)
    _document_until: float = 0.0
    _begun: dict[str, Begun] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people know it by: its host."""
        return urlsplit(self.settings.oidc_issuer).netloc

    async def begin(self, then: str) -> tuple[str, str]:
        """The provider's address to go to, and the key of this sign-in, which only this browser gets as a cookie."""
        document = await self._discovered()
        now = time.monotonic()
        self._begun = {key: begun for key, begun in self._begun.items() if begun.until > now}
        while len(self._begun) >= _MOST_BEGUN:
            del self._begun[next(iter(self._begun))]
        key = secrets.token_urlsafe(32)
        begun = self._begun[key] = Begun(
            secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), then, now + _BEGUN_SECONDS
        )
        url, _ = self.client.create_authorization_url(
            document["authorization_endpoint"], state=begun.state, nonce=begun.nonce, code_verifier=begun.verifier
        )
        return str(url), key

    async def finish(self, key: str, answer: Mapping[str, str]) -> tuple[Person, str]:
        """Who came back, and where they were going; PermissionDenied when this browser began no such one.

        `answer` holds the parameters of the address that the provider sent the browser to.
        """
        begun = self._begun.pop(key, None)
        if begun is None or begun.until < time.monotonic():
            raise PermissionDenied("this sign-in was not begun in this browser, or too long ago; begin it again")
        if not hmac.compare_digest(begun.state.encode(), answer.get("state", "").encode("utf-8", "replace")):
            raise PermissionDenied("this answer belongs to another sign-in; begin it again")
        if answer.get("iss", self.settings.oidc_issuer) != self.settings.oidc_issuer:  # RFC 9207: mixed-up providers
            raise PermissionDenied(f"this answer is not of {self.settings.oidc_issuer}; begin again")
        if error := answer.get("error"):
            why = answer.get("error_description") or error
            raise PermissionDenied(f"{self.name} did not sign you in: {visible(why)[:500]}")
        document = await self._discovered()
        fetched = await self._fetch(
            self.client.fetch_token(
                document["token_endpoint"], grant_type="authorization_code", code=answer.get("code", ""),
                code_verifier=begun.verifier, redirect_uri=self.settings.console_url + CALLBACK,
            )
        )  # fmt: skip
        return await self._person(fetched, nonce=begun.nonce), begun.then

    async def renew(self, person: Person) -> bool:
        """Get a new token for somebody whose own is about to end; False when the session is to end instead."""
        if time.time() < person.expires - _RENEW_BEFORE_SECONDS:
            return True
        async with person.renewing:
            if time.time() < person.expires - _RENEW_BEFORE_SECONDS:
                return True  # by another request meanwhile
            if not person.refresh_token:
                return time.time() < person.expires
            try:
                document = await self._discovered()
                fetched = await self._fetch(
                    self.client.refresh_token(document["token_endpoint"], refresh_token=person.refresh_token)
                )
                renewed = await self._person(fetched)
            except Unavailable as error:
                log.warning("a session is not renewed yet: %s", error.message)
                return time.time() < person.expires
            except (PermissionDenied, Unauthenticated) as error:
                log.info("a session ends: %s", error.message)
                return False
            if renewed.subject != person.subject:
                return False
            person.token, person.expires = renewed.token, renewed.expires
            person.refresh_token = renewed.refresh_token or person.refresh_token
            return True

    async def forget(self, person: Person) -> None:
        """Make the refresh token of somebody who signs out worthless, where the provider can."""
        try:
            endpoint = (await self._discovered()).get("revocation_endpoint")
            if endpoint and person.refresh_token:
                await self.client.revoke_token(endpoint, token=person.refresh_token, token_type_hint="refresh_token")
        except (httpx.HTTPError, AuthlibBaseError, Unavailable) as error:
            log.warning("a refresh token is not revoked: %s", error)

    async def way_out(self) -> str:
        """Where people end the provider's own session; "" where it has no such page. No token stands in it."""
        endpoint = (await self._discovered()).get("end_session_endpoint", "")
        if not endpoint:
            return ""
        query = {
            "client_id": self.settings.audience,
            "post_logout_redirect_uri": f"{self.settings.console_url}/sign-in",
        }
        return f"{endpoint}?{urlencode(query)}"

    async def logged_out(self, logout_token: str) -> tuple[str, str]:
        """Session id and subject whose sessions the provider ends (back-channel logout); PermissionDenied."""
        try:
            claims = await self.tokens.claims(logout_token, require=("iat", "events"))
        except jwt.PyJWTError as error:
            raise PermissionDenied(f"this is no logout token of {self.name}: {error}") from None
        if _LOGGED_OUT not in claims["events"] or "nonce" in claims or not (claims.get("sid") or claims.get("sub")):
            raise PermissionDenied("this token does not say whose session is over")
        name = claims.get(self.settings.oidc_username_claim, "")
        return str(claims.get("sid", "")), f"{self.settings.oidc_username_prefix}{name}" if name else ""

    async def _person(self, fetched: Mapping[str, Any], *, nonce: str = "") -> Person:
        token = str(fetched.get("id_token") or "")
        if not token:
            raise Unauthenticated(f"{self.name} sent no ID token")
        try:
            claims = await self.tokens.claims(token)
            if nonce and not hmac.compare_digest(nonce.encode(), str(claims.get("nonce", "")).encode()):
                raise jwt.InvalidTokenError("it was made for another sign-in")
            if (
                isinstance(claims["aud"], list)
                and len(claims["aud"]) > 1
                and claims.get("azp") != self.settings.audience
            ):
                raise jwt.InvalidTokenError("it was given to another client")
            user = self.tokens.user(claims)
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token of {self.name} is not right: {error}") from None
        return Person(
            user.subject,
            token,
            float(claims["exp"]),
            str(fetched.get("refresh_token") or ""),
            str(claims.get("sid", "")),
        )

    async def _fetch(self, call: Any) -> Mapping[str, Any]:
        try:
            fetched: Mapping[str, Any] = await call
        except httpx.HTTPError as error:
            raise Unavailable(f"{self.name} does not answer now ({type(error).__name__}); try again") from error
        except AuthlibBaseError as error:
            raise PermissionDenied(f"{self.name} gave no token: {visible(str(error))[:500]}") from None
        return fetched

    async def _discovered(self) -> Mapping[str, Any]:
        """The provider's own description, at most an hour old."""
        if time.monotonic() < self._document_until:
            return self._document
        url = f"{self.settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            answer = await self.client.request("GET", url, withhold_token=True)
            document: Mapping[str, Any] = answer.raise_for_status().json()
            if document.get("issuer") != self.settings.oidc_issuer:
                raise ValueError(f"it calls itself {document.get('issuer')!r}")
            for name in ("authorization_endpoint", "token_endpoint"):
                if not str(document[name]).startswith("https://"):
                    raise ValueError(f"its {name} is not https")
        except (httpx.HTTPError, ValueError, KeyError, AttributeError) as error:
            if self._document:
                return self._document
            raise Unavailable(f"{self.settings.oidc_issuer} is not to be read: {error}") from error
        methods = document.get("token_endpoint_auth_methods_supported") or ("client_secret_basic",)
        if self.client.client_secret and "client_secret_basic" not in methods:
            self.client.token_endpoint_auth_method = "client_secret_post"
        self._document, self._document_until = document, time.monotonic() + _DOCUMENT_SECONDS
        return document


async def open_provider(settings: Settings, stack: AsyncExitStack) -> Provider:
    """The provider that the settings name; its connections are closed by `stack`."""
    secret = settings.console_client_secret_file.read_text().strip() if settings.console_client_secret_file else ""
    client = AsyncOAuth2Client(
        settings.audience, secret or None, scope=" ".join(settings.console_scopes), code_challenge_method="S256",
        redirect_uri=settings.console_url + CALLBACK, timeout=10.0,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        verify=ssl.create_default_context(cafile=settings.oidc_ca_file),
    )  # fmt: skip
    await stack.enter_async_context(client)
    return Provider(settings, await users_of_a_provider(settings, stack), client)
