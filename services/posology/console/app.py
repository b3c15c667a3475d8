"""Composition root: `python -m posology.console.app` serves the pages."""

import asyncio
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from posology.client import Client, Installation
from posology.console import pages
from posology.console.data import routes as data
from posology.console.evidence import routes as evidence
from posology.console.guard import COOKIE, Guard, form, own_form
from posology.console.playground import routes as playground
from posology.console.review import routes as review
from posology.console.runs import routes as runs
from posology.console.sessions import Sessions
from posology.console.settings import Settings
from posology.core import errors, files, telemetry
from posology.core import settings as environment
from posology.core.settings import split_address

log = logging.getLogger("posology.console")
_STATUS: tuple[tuple[type[errors.PosologyError], int], ...] = (
    (errors.InvalidInput, 400),
    (errors.NotFound, 404),
    (errors.PermissionDenied, 403),
    (errors.FailedPrecondition, 409),
    (errors.Unavailable, 503),
)


async def home(request: Request) -> Response:
    """The first page."""
    return RedirectResponse("/runs", 303)


async def ready(request: Request) -> Response:
    """For supervisors."""
    return PlainTextResponse("ready")


async def sign_in(request: Request) -> Response:
    """The page behind a one-time link, or how to get one. The secret comes in the fragment, so no log holds it."""
    if request.method == "GET":
        return pages.page(request, "sign-in.html")
    sessions: Sessions = request.app.state.sessions
    key = sessions.sign_in((await form(request)).get("secret", ""))
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, key, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer


async def sign_out(request: Request) -> Response:
    """End the session."""
    await own_form(request)
    request.app.state.sessions.end(request.cookies[COOKIE])
    return RedirectResponse("/sign-in", 303)


async def on_error(request: Request, error: Exception) -> Response:
    """One clear sentence, as JSON to scripts and as a page to people; a defect of ours is logged and named as one."""
    status, message, violations = 500, "something went wrong here; the console's log has more", []
    if isinstance(error, errors.PosologyError):
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 502)
        message = error.message
        violations = [{"field": one.field, "description": one.description} for one in error.violations]
    else:
        log.error("a page failed", exc_info=error, extra={"path": request.url.path})
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"message": message, "violations": violations}, status)
    return pages.page(request, "error.html", status=status, message=message, violations=violations)


def build(settings: Settings, installation: Installation | None = None) -> Starlette:
    """The application; the client is opened with it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        behind = installation or Installation.discover(settings.data_dir)
        async with Client(behind, namespace=settings.console_namespace) as client:
            app.state.client = client
            yield

    sessions = Sessions(settings.data_dir, settings.session_hours * 3600)
    sessions.new_link()
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/ready", ready),
            Route("/sign-in", sign_in, methods=["GET", "POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
            *review.ROUTES,
            *runs.ROUTES,
            *evidence.ROUTES,
            *data.ROUTES,
            *playground.ROUTES,
        ],
        middleware=[Middleware(Guard, sessions=sessions)],
        exception_handlers={errors.PosologyError: on_error, Exception: on_error},
        lifespan=lifespan,
    )
    app.state.sessions = sessions
    return app


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    host, port = split_address(settings.console_listen)
    listener = socket.create_server((host, port))
    config = uvicorn.Config(
        build(settings), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32768, limit_concurrency=512,
    )  # fmt: skip
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    address = f"http://{host}:{listener.getsockname()[1]}"
    if settings.console_ready_file:
        files.write_atomically(Path(settings.console_ready_file), json.dumps({"url": address}))
    log.info("the console is at %s", address)
    await server.serve(sockets=[listener])


def main() -> None:
    """Entry point."""
    settings = environment.load(Settings)
    telemetry.log_as_json("console", level=settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
