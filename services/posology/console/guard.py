"""Before any page: who is it, does the request come from our own page, and what the browser may do with the answer."""

import hmac
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posology.console import permitted
from posology.console.sessions import Session, Sessions, token
from posology.console.settings import Settings
from posology.core.errors import PermissionDenied, Unauthenticated

OPEN = ("/sign-in", "/static/", "/ready")
"""What is answered without a session."""
MAX_BODY = 1 << 20
MAX_SHEET = 32 << 20
"""Of a filled-in spreadsheet."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


def cookie_name(settings: Settings) -> str:
    """The session's cookie; over https under a name that no other host and no plain page can set."""
    return "__Host-posology-console" if settings.console_url.startswith("https://") else "posology-console"


class Guard:
    """ASGI middleware around all pages; behind it `request.state.session` and `request.state.may` are set, and calls
    carry the token of the session's user."""

    def __init__(self, app: ASGIApp, sessions: Sessions, settings: Settings) -> None:
        self._app = app
        self._sessions = sessions
        self._cookie = cookie_name(settings)
        self._host = urlsplit(settings.console_url).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith("/static/"):
                    headers["cache-control"] = "no-store"
                if self._cookie.startswith("__Host-"):
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        refusal = self._refused(request) or await self._unknown(request)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refused(self, request: Request) -> Response | None:
        """What is answered to no session at all."""
        most = MAX_SHEET if request.url.path.endswith("/ratings.csv") else MAX_BODY
        length = request.headers.get("content-length") or "0"
        if not length.isdigit() or int(length) > most:
            return PlainTextResponse("the request is too large", 413)
        if self._host and request.headers.get("host") != self._host and request.url.path != "/ready":
            return PlainTextResponse(f"these pages are at {self._host}", 421)
        if not _names_this_host(request.headers, request):
            return PlainTextResponse("this request comes from another site", 403)
        return None

    async def _unknown(self, request: Request) -> Response | None:
        """Sets the session, or sends to sign in whoever has none."""
        if request.url.path.startswith(OPEN):
            return None
        session = await self._session(request)
        if session is None:
            return self.to_sign_in(request)
        request.state.session = session
        request.state.key = request.cookies[self._cookie]
        try:
            request.state.may = await permitted.calls(request.app.state.client, session)
        except Unauthenticated:  # the services no longer take the token
            self._sessions.end(request.state.key)
            return self.to_sign_in(request)
        return None

    async def _session(self, request: Request) -> Session | None:
        key = request.cookies.get(self._cookie, "")
        session = self._sessions.of(key)
        if session is None or session.person is None:
            return session
        if not await _lasts(request, session):
            self._sessions.end(key)
            return None
        token.set(session.person.token)
        return session

    @staticmethod
    def to_sign_in(request: Request) -> Response:
        """The page to sign in on, which then leads back; scripts are told in a status."""
        if request.method != "GET" or request.headers.get("sec-fetch-mode", "navigate") != "navigate":
            return PlainTextResponse("sign in", 401)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/sign-in" if wanted == "/" else f"/sign-in?then={quote(wanted, safe='/')}", 303)


async def _lasts(request: Request, session: Session) -> bool:
    """Whether the user's token still is good, or was renewed."""
    assert session.person is not None
    provider = request.app.state.provider
    if provider is not None:
        return bool(await provider.renew(session.person))
    return not session.person.over


def _names_this_host(headers: Headers, request: Request) -> bool:
    """A page of another site may link here, but not write, and a name that is rebound to loopback is not ours."""
    if request.method in ("GET", "HEAD"):
        return True
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def check_csrf(session: Session, given: str) -> None:
    """PermissionDenied unless a form or script holds the session's own token."""
    if not hmac.compare_digest(session.csrf.encode(), given.encode("utf-8", "replace")):
        raise PermissionDenied("this page is not of this session; load it again")


async def form(request: Request) -> dict[str, str]:
    """The fields of a form as browsers encode them; of a field that comes twice, the last."""
    return dict(
        parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
    )


async def own_form(request: Request) -> dict[str, str]:
    """The same, of a form that belongs to this session."""
    fields = await form(request)
    check_csrf(request.state.session, fields.get("csrf", ""))
    return fields
