"""Who may call this process, as its settings say: the holder of a token, or users of a cluster or a provider too."""

import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import httpx

from posology.core.kube import ClusterConfig, Kube
from posology.core.rpc.auth import Authenticator, TokenFile, bearer
from posology.core.rpc.cluster import AccessReviews, TokenReviews
from posology.core.rpc.context import Identity, Kind
from posology.core.rpc.impersonation import named
from posology.core.rpc.oidc import IdTokens, Provider
from posology.core.rpc.rights import Authorizer
from posology.core.settings import API_SERVER, ServiceSettings

_PROVIDER_SECONDS = 10.0


class Directory(Protocol):
    """Knows whose token a token is."""

    async def identify(self, token: str) -> Identity:
        """The user; Unauthenticated, or Unavailable when that can't be found out."""
        ...


class ServicesAndUsers:
    """The installation's token stands for its services; any other is a user's."""

    def __init__(self, services: TokenFile, users: Directory) -> None:
        self._services = services
        self._users = users

    async def authenticate(self, metadata: Mapping[str, str | bytes]) -> Identity:
        """The service or user whose token came with the call."""
        token = bearer(metadata)
        return self._services.known(token) or named(await self._users.identify(token))


@dataclass(frozen=True)
class Callers:
    """Who calls, and who may do what; without an authorizer every caller may do everything."""

    authenticator: Authenticator
    authorizer: Authorizer | None = None


async def open_callers(settings: ServiceSettings, stack: AsyncExitStack) -> Callers:
    """What `settings.authentication` asks for; connections are closed by `stack`."""
    if settings.authentication == "token":
        return Callers(TokenFile(settings.token_file))
    kube = await stack.enter_async_context(Kube(ClusterConfig.discover()))
    users = await _users(settings, kube, stack)
    services = TokenFile(settings.token_file, Kind.SERVICE)
    return Callers(ServicesAndUsers(services, users), AccessReviews(kube))


async def users_of_a_provider(settings: ServiceSettings, stack: AsyncExitStack) -> IdTokens:
    """Those of the issuer that the settings name."""
    trusted = ssl.create_default_context(cafile=settings.oidc_ca_file)
    http = await stack.enter_async_context(httpx.AsyncClient(verify=trusted, timeout=_PROVIDER_SECONDS))
    return IdTokens(Provider(http, settings.oidc_issuer), settings)


async def _users(settings: ServiceSettings, kube: Kube, stack: AsyncExitStack) -> Directory:
    if settings.authentication == "oidc":
        return await users_of_a_provider(settings, stack)
    return TokenReviews(kube, audience="" if settings.audience == API_SERVER else settings.audience)
