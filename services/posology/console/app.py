"""Composition root: `python -m posology.console.app` serves the pages."""

import asyncio
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from posology.client import Client, Installation
from posology.console import pages, sign_in
from posology.console.data import routes as data
from posology.console.evidence import routes as evidence
from posology.console.guard import Guard
from posology.console.playground import routes as playground
from posology.console.provider import open_provider
from posology.console.review import routes as review
from posology.console.runs import routes as runs
from posology.console.sessions import Sessions, token
from posology.console.settings import Settings
from posology.core import errors, files, telemetry
from posology.core import settings as environment
from posology.core.settings import split_address

log = logging.getLogger("posology.console")
_STATUS: tuple[tuple[type[errors.PosologyError], int], ...] = (
    (errors.InvalidInput, 400),
    (errors.NotFound, 404),
    (errors.PermissionDenied, 403),
    (errors.Unauthenticated, 401),
    (errors.FailedPrecondition, 409),
    (errors.Unavailable, 503),
)


async def home(request: Request) -> Response:
    """The first area that this user may see; engineers see all of them and begin with the runs."""
    may = request.state.may
    seen = [path for path, _, call in pages.AREAS if call in may]
    reviews_only = "Orchestrator/CreateRun" not in may and "Curation/SubmitReviewItem" in may
    first = "/runs" if "/runs" in seen and not reviews_only else next(iter(seen), "/nothing")
    return RedirectResponse(first, 303)


async def nothing(request: Request) -> Response:
    """For whoever is known and may see nothing."""
    return pages.page(request, "nothing.html", namespace=request.app.state.settings.console_namespace)


async def ready(request: Request) -> Response:
    """For supervisors."""
    return PlainTextResponse("ready")


async def on_error(request: Request, error: Exception) -> Response:
    """One clear sentence, as JSON to scripts and as a page to people; a defect of ours is logged and named as one."""
    if isinstance(error, errors.Unauthenticated) and getattr(request.state, "session", None) is not None:
        request.app.state.sessions.end(request.state.key)  # the services no longer take its token
        return Guard.to_sign_in(request)
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
        whose = None if settings.authentication == "token" else token.get
        async with AsyncExitStack() as stack:
            if settings.authentication == "oidc":
                app.state.provider = await open_provider(settings, stack)
            client = Client(behind, namespace=settings.console_namespace, token=whose)
            app.state.client = await stack.enter_async_context(client)
            yield

    sessions = Sessions(settings.data_dir, settings.session_hours * 3600, settings.session_most_hours * 3600)
    if settings.authentication == "token":
        sessions.new_link()
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/nothing", nothing),
            Route("/ready", ready),
            *sign_in.ROUTES,
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
            *review.ROUTES,
            *runs.ROUTES,
            *evidence.ROUTES,
            *data.ROUTES,
            *playground.ROUTES,
        ],
        middleware=[Middleware(Guard, sessions=sessions, settings=settings)],
        exception_handlers={errors.PosologyError: on_error, Exception: on_error},
        lifespan=lifespan,
    )
    app.state.sessions, app.state.settings, app.state.provider = sessions, settings, None
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
    address = settings.console_url or f"http://{host}:{listener.getsockname()[1]}"
    if settings.console_ready_file:
        ready = {"url": address, "link": settings.authentication == "token"}
        files.write_atomically(Path(settings.console_ready_file), json.dumps(ready))
    log.info("the console is at %s", address)
    await server.serve(sockets=[listener])


def main() -> None:
    """Entry point."""
    settings = environment.load(Settings)
    telemetry.log_as_json("console", level=settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
