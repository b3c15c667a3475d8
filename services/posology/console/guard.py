"""Before any page: who is it, does the request come from our own page, and what the browser may do with the answer."""

import hmac
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posology.console.sessions import Session, Sessions
from posology.core.errors import PermissionDenied

COOKIE = "posology-console"
OPEN = ("/sign-in", "/static/", "/ready")
"""What is answered without a session."""
MAX_BODY = 1 << 20
_HEADERS = {
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


class Guard:
    """ASGI middleware around all pages; `request.state.session` is set behind it."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith("/static/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        refusal = self._refusal(request)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        path = request.url.path
        if int(request.headers.get("content-length") or 0) > MAX_BODY:
            return PlainTextResponse("the request is too large", 413)
        if not _names_this_host(request.headers, request):
            return PlainTextResponse("this request comes from another site", 403)
        if path.startswith(OPEN):
            return None
        session = self._sessions.of(request.cookies.get(COOKIE, ""))
        if session is None:
            return RedirectResponse("/sign-in", 303) if request.method == "GET" else PlainTextResponse("sign in", 401)
        request.state.session = session
        return None


def _names_this_host(headers: Headers, request: Request) -> bool:
    """A page of another site may link here, but not write, and a name that is rebound to loopback is not ours."""
    if request.method in ("GET", "HEAD"):
        return True
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def check_csrf(session: Session, token: str) -> None:
    """PermissionDenied unless a form or script holds the session's own token."""
    if not hmac.compare_digest(session.csrf.encode(), token.encode("utf-8", "replace")):
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
