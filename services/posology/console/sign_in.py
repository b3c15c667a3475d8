"""The pages that open and end a session: a link that works once, a provider, or a token of the cluster."""

import time
from urllib.parse import urlsplit

import jwt
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from posology.console import pages, permitted
from posology.console.guard import cookie_name, form, own_form
from posology.console.provider import CALLBACK, Provider
from posology.console.sessions import Person, Sessions, token
from posology.console.settings import Settings
from posology.core.errors import PermissionDenied, Unauthenticated
from posology.core.rpc.oidc import ALGORITHMS

_BEGUN = "posology-sign-in"
"""Cookie of a sign-in that is under way; Lax, because the provider's site sends the browser back."""
_BEGUN_SECONDS = 600


async def sign_in(request: Request) -> Response:
    """How to sign in here; what a form of this page brings opens a session."""
    settings: Settings = request.app.state.settings
    provider: Provider | None = request.app.state.provider
    if request.method == "GET":
        then = local(request.query_params.get("then", ""))
        way = {"token": "link", "oidc": "provider", "kubernetes": "cluster"}[settings.authentication]
        return pages.page(
            request, "sign-in.html", way=way, then=then, provider=provider.name if provider else "",
            audience=settings.audience,
        )  # fmt: skip
    sessions: Sessions = request.app.state.sessions
    fields = await form(request)
    if settings.authentication == "token":
        return _opened(request, sessions.sign_in(fields.get("secret", "")), "/")
    if settings.authentication == "kubernetes":
        person = await _of_the_cluster(request, fields.get("token", "").strip())
        return _opened(request, sessions.open(person), local(fields.get("then", "")))
    raise PermissionDenied("people sign in at the provider here")


async def begin(request: Request) -> Response:
    """Off to the provider."""
    url, key = await _provider(request).begin(local(request.query_params.get("then", "")))
    answer = RedirectResponse(url, 303)
    answer.set_cookie(
        _BEGUN, key, max_age=_BEGUN_SECONDS, path="/sign-in", httponly=True, samesite="lax", secure=_secure(request)
    )
    return answer


async def callback(request: Request) -> Response:
    """Back from the provider. The page goes on by itself: a redirect would come from the provider's site, and the
    session's cookie travels from ours alone."""
    person, then = await _provider(request).finish(request.cookies.get(_BEGUN, ""), dict(request.query_params))
    page = pages.page(request, "signed-in.html", then=then)
    _set_session(request, page, request.app.state.sessions.open(person))
    page.delete_cookie(_BEGUN, path="/sign-in")
    return page


async def ended_at_provider(request: Request) -> Response:
    """The provider says that a session is over (OpenID Connect back-channel logout)."""
    session_id, subject = await _provider(request).logged_out((await form(request)).get("logout_token", ""))
    sessions: Sessions = request.app.state.sessions
    if session_id:
        sessions.end_where(lambda person: person.at_provider == session_id)
    else:
        sessions.end_where(lambda person: person.subject == subject)
    return PlainTextResponse("ended")


async def sign_out(request: Request) -> Response:
    """End the session here, and say where the provider's own is ended."""
    await own_form(request)
    provider: Provider | None = request.app.state.provider
    person = request.state.session.person
    request.app.state.sessions.end(request.cookies[cookie_name(request.app.state.settings)])
    if provider is None or person is None:
        return RedirectResponse("/sign-in", 303)
    await provider.forget(person)
    request.state.session = None
    return pages.page(request, "signed-out.html", provider=provider.name, way_out=await provider.way_out())


def local(path: str) -> str:
    """A path of this site, or the first page: nobody is sent elsewhere by a link to us."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith(("//", "/sign-")) and "\\" not in path and path.isprintable()
    return path if plain and not parts.scheme and not parts.netloc else "/"


async def _of_the_cluster(request: Request, presented: str) -> Person:
    """Whose token it is, as a service says; when it ends, as the token says. Unauthenticated for any other."""
    if not presented or len(presented) > 16384 or not presented.isascii():
        raise Unauthenticated("paste a token of the cluster")
    try:
        claims = jwt.decode(presented, options={"verify_signature": False}, algorithms=ALGORITHMS)
        expires = float(claims["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        raise Unauthenticated("this is no token that ends; get one with `kubectl create token`") from None
    token.set(presented)
    return Person(await permitted.subject(request.app.state.client), presented, min(expires, time.time() + 86400))


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise PermissionDenied("nobody signs in at a provider here")
    return provider


def _opened(request: Request, key: str, then: str) -> Response:
    answer = RedirectResponse(then, 303)
    _set_session(request, answer, key)
    return answer


def _set_session(request: Request, answer: Response, key: str) -> None:
    answer.set_cookie(
        cookie_name(request.app.state.settings), key, httponly=True, samesite="strict", secure=_secure(request)
    )


def _secure(request: Request) -> bool:
    return bool(request.app.state.settings.console_url.startswith("https://") or request.url.scheme == "https")


ROUTES = [
    Route("/sign-in", sign_in, methods=["GET", "POST"]),
    Route("/sign-in/begin", begin),
    Route(CALLBACK, callback),
    Route("/sign-in/ended", ended_at_provider, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
