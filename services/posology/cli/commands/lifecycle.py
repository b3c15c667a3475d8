"""up, down, status, connect, console."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from posology.cli import cluster_health, hints, lifecycle, state
from posology.cli.cluster import Forwarded
from posology.cli.state import State
from posology.core.errors import FailedPrecondition, InvalidInput, Violation


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(connect)
    app.command()(console)


def up(
    context: typer.Context,
    allow: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that file: URIs may name, beside the current one; repeat for more."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(help="Setting for every service: NAME=VALUE, or NAME, which keeps a secret out of `ps`."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Release policy to sign (YAML); default: the one signed before, else `development`."),
    ] = None,
) -> None:
    """Start every service on this machine, in the background, and wait until all serve."""
    at = state.of(context)
    say = at.write.note
    allowed = tuple(allow or ())
    if missing := [folder for folder in allowed if not folder.is_dir()]:
        raise InvalidInput.of([Violation("--allow", f"there is no folder {folder}") for folder in missing])
    lifecycle.up(at.data_dir, environment=_pairs(env or []), allowed=allowed, say=say, policy=policy)
    installation = at.installation
    text = (
        f"All services run in {at.data_dir}. OpenAI-compatible API: {installation.gateway_url}/v1\n"
        f"Console, by a link that works once: {lifecycle.console_link(at.data_dir)}"
    )
    at.write.value({"dataDir": str(at.data_dir), "gatewayUrl": installation.gateway_url}, text)


def down(context: typer.Context) -> None:
    """Stop every service; running answers finish, training saves a checkpoint."""
    at = state.of(context)
    lifecycle.down(at.data_dir)
    at.write.value({"dataDir": str(at.data_dir)}, f"Nothing runs in {at.data_dir} any more.")


def status(context: typer.Context) -> None:
    """Say how each service stands."""
    at = state.of(context)
    if at.installation.connected:
        _status_of_cluster(at)
        return
    services = lifecycle.status(at.data_dir)
    values = [{**vars(health), "log": str(health.log)} for health in services]
    rows = [(h.service, h.state, h.address, h.pid or "", h.log) for h in services]
    at.write.rows(values, ("SERVICE", "STATE", "ADDRESS", "PID", "LOG"), rows)
    if not all(health.state == "serving" for health in services) or not services:
        at.write.note(f"Not everything serves; `{at.hint('up')}` starts what is missing.")
        raise typer.Exit(3)


def _status_of_cluster(at: State) -> None:
    """Each service by its own answer: processes of another machine are not to be seen from here."""
    states = asyncio.run(cluster_health.ask_all(at.installation))
    rows = [(one.service, one.state, one.address, one.reason) for one in states]
    at.write.rows(states, ("SERVICE", "STATE", "ADDRESS", "REASON"), rows)
    if not all(one.state == "serving" for one in states):
        at.write.note(f"Not everything answers; see kubectl get pods, and whether `{at.hint('connect')}` still runs.")
        raise typer.Exit(3)


def console(context: typer.Context) -> None:
    """Print a link to the web console that signs one browser in, once."""
    at = state.of(context)
    link = lifecycle.console_link(at.data_dir)
    at.write.value({"url": link}, link)


def connect(
    context: typer.Context,
    release: Annotated[str, typer.Option(help="Name of the Helm release.")] = "posology",
    release_namespace: Annotated[str, typer.Option(help="Kubernetes namespace of the release.")] = "posology",
    kube_context: Annotated[str, typer.Option(help="Context of the kubeconfig (default: the current one).")] = "",
) -> None:
    """Bring the services of a cluster to this machine until Ctrl-C; other commands then call them."""
    at = state.of(context)
    if lifecycle.supervisor_pid(at.data_dir) is not None:
        raise FailedPrecondition(f"an embedded installation runs in {at.data_dir}; choose another folder with --data")
    asyncio.run(_stay_connected(at, Forwarded(release_namespace, release, kube_context)))


async def _stay_connected(at: State, forwarded: Forwarded) -> None:
    own = os.environ.get("POSOLOGY_TOKEN")
    token = "" if own else await forwarded.token()
    with contextlib.ExitStack() as stack:
        await _forwarded_until_interrupted(at, forwarded, stack, token)


async def _forwarded_until_interrupted(
    at: State, forwarded: Forwarded, stack: contextlib.ExitStack, token: str
) -> None:
    async with forwarded.open():
        forwarded.write(at.data_dir, token)
        stack.callback(forwarded.forget, at.data_dir)
        forwarded.write_certificate(at.data_dir, await forwarded.certificate())
        endpoints = forwarded.endpoints()
        at.write.value(
            endpoints,
            f"Connected. In another terminal: {hints.command('runs', ['--data', str(at.data_dir)])} (Ctrl-C ends it)",
        )
        await asyncio.Event().wait()


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals and name not in os.environ:
            raise InvalidInput.of(
                [Violation("--env", f"{text!r} is neither NAME=VALUE nor a variable that is set here")]
            )
        pairs[name] = value if equals else os.environ[name]
    return pairs
