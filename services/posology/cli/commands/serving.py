"""deploy, deployments, ask."""

import json
import os
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import typer

from posology.cli import state
from posology.cli.commands import completion
from posology.client import Client
from posology.core.errors import (
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PermissionDenied,
    PosologyError,
    Unauthenticated,
    Unavailable,
    Violation,
)
from posology.core.streamed_lines import lines
from posology.core.visible import visible
from posology.v1alpha1 import serving_pb2
from posology.v1alpha1.serving_pb2 import Deployment, ServingSpec

KEY_FILE = "cli-key"
"""The command line's own API key, below the data directory."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(deploy)
    app.command()(deployments)
    app.command()(promote)
    app.command()(rollback)
    app.command()(undeploy)
    app.command()(ask)


def deploy(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A run's name, or the digest of weights (sha256:...).")],
    name: Annotated[str, typer.Option(help="Name under which clients ask for it (default: the run's name).")] = "",
    replicas: Annotated[int, typer.Option(help="Engines; the fewest of them with --max-replicas.")] = 1,
    max_replicas: Annotated[
        int, typer.Option(help="Most engines, started while requests wait; 0 = always --replicas.")
    ] = 0,
    gpus: Annotated[int, typer.Option(help="GPUs of one engine; 0 = CPU.")] = 0,
) -> None:
    """Deploy weights that have a signed PASS; anything else is refused with the reason."""
    at = state.of(context)

    async def work(client: Client) -> Deployment:
        digest, label = model, name
        if not model.startswith("sha256:"):
            run = await client.show(model)
            digest = next((s.artifact for s in run.stages if s.stage == "merge"), "")
            label = name or run.spec.serving.model_name or run.name.rsplit("/", 1)[1]
            if not digest:
                raise FailedPrecondition(f"{run.name} has no weights yet: {run.message}")
        if not label:
            raise InvalidInput("weights by digest need --name")
        spec = ServingSpec(model_name=label, replicas=replicas, gpus=gpus)
        if max_replicas:
            spec.autoscaling.max_replicas = max_replicas
        return await client.deploy(digest, name=label, spec=spec)

    made = at.call(work)
    at.write.value(made, f"{made.name}: {Deployment.State.Name(made.state)} {made.reason}".rstrip())


def deployments(context: typer.Context) -> None:
    """List deployments, newest first."""
    at = state.of(context)

    async def work(client: Client) -> list[Deployment]:
        request = serving_pb2.ListDeploymentsRequest(parent=client.names.parent, page_size=1000)
        return list((await client.serving.ListDeployments(request)).deployments)

    listed = at.call(work)
    at.write.rows(listed, ("NAME", "MODEL", "STATE", "ENGINES", "TRAFFIC", "REASON"), map(_row, listed))


def _row(deployment: Deployment) -> tuple[str, ...]:
    name, state = deployment.name.rsplit("/", 1)[1], Deployment.State.Name(deployment.state)
    engines = f"{deployment.ready_replicas}/{deployment.wanted_replicas}"
    return name, deployment.model_name, state, engines, f"{deployment.traffic_percent}%", deployment.reason


DeploymentName = Annotated[
    str,
    typer.Argument(
        help="The deployment's name, as `posology deployments` lists it.", autocompletion=completion.deployments
    ),
]


def promote(context: typer.Context, deployment: DeploymentName) -> None:
    """Give a canary the next step of the traffic, or all of it."""
    at = state.of(context)
    _say(at, at.call(lambda client: client.promote(deployment)))


def rollback(context: typer.Context, deployment: DeploymentName) -> None:
    """Take the traffic from a deployment and give it back to the one before it."""
    at = state.of(context)
    _say(at, at.call(lambda client: client.roll_back(deployment)))


def undeploy(context: typer.Context, deployment: DeploymentName) -> None:
    """Drain and remove a deployment; requests that are being answered end first."""
    at = state.of(context)
    _say(at, at.call(lambda client: client.undeploy(deployment)))


def _say(at: state.State, deployment: Deployment) -> None:
    text = f"{deployment.name}: {Deployment.State.Name(deployment.state)}, {deployment.traffic_percent}% of the traffic"
    at.write.value(deployment, f"{text}. {deployment.reason}".rstrip())


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question.")],
    model: Annotated[str, typer.Option(help="Model name (default: the only one that is served).")] = "",
    max_tokens: Annotated[int, typer.Option(help="Most tokens of the answer.")] = 256,
    key: Annotated[
        str, typer.Option(envvar="POSOLOGY_API_KEY", help="API key (default: one of the command line's own).")
    ] = "",
) -> None:
    """Ask a served model; the answer streams, its provenance follows on stderr."""
    at = state.of(context)
    if not question.strip():
        raise InvalidInput.of([Violation("question", "must not be empty")])
    url = at.installation.require_gateway()
    if not key:
        _renew_if_revoked(at, url)
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key or _own_key(at)}"}, timeout=120) as http:
        body = {
            "model": model or _only_model(at, http),
            "messages": [{"role": "user", "content": question}],
            "max_tokens": max_tokens,
            "stream": True,
        }
        with http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code == 404 and model:
                raise _not_served(at, model) or _error(response)
            _check(response)
            pieces = []
            for piece in _pieces(response):
                pieces.append(piece)
                if not at.write.json:
                    at.write.console.print(visible(piece), end="", markup=False)
            provenance = {
                _camel(k.removeprefix("x-posology-")): v
                for k, v in response.headers.items()
                if k.startswith("x-posology-")
            }
    # "answer" is the name of the record, as in the header.
    at.write.value({"text": "".join(pieces), **provenance}, "")
    if answer := provenance.get("answer") or provenance.get("answerId"):
        at.write.note(f"[dim]answer {answer}; {at.hint(f'explain {answer}')}[/]")


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)


def _pieces(response: httpx.Response) -> Iterator[str]:
    """The pieces of an answer as they come; Unavailable where it breaks off, so that half is not taken for all."""
    for line in lines(response):
        if line == "data: [DONE]":
            return
        if line.startswith("data: {"):
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise Unavailable(f"the answer is not whole: {event['error'].get('message', 'it broke off')}")
            choices = event.get("choices") or [{}]
            yield choices[0].get("delta", {}).get("content") or ""
    raise Unavailable("the answer is not whole: its stream ended too early; ask again")


def _only_model(at: state.State, http: httpx.Client) -> str:
    response = http.get("/v1/models")
    _check(response)
    models = [model["id"] for model in response.json()["data"]]
    if len(models) != 1:
        if models:
            raise InvalidInput(f"name one with --model: {', '.join(models)}")
        raise _not_served(at, "") or Unavailable("no model is served; posology deploy serves a released one")
    return str(models[0])


def _not_served(at: state.State, model: str) -> Unavailable | None:
    """Why no engine answers for a model (any, where none is named) that has a deployment; None if it has none."""
    try:
        listed = at.call(lambda client: client.deployments())
    except PosologyError:  # whoever has an API key alone may not look
        return None
    states = [
        f"{one.name.rsplit('/', 1)[-1]} is {Deployment.State.Name(one.state)}"
        + (f": {one.reason}" if one.reason else "")
        for one in listed
        if model in ("", one.model_name) and one.state != Deployment.STOPPED
    ]
    if not states:
        return None
    return Unavailable(
        f"no engine serves {model or 'any model'} ({'; '.join(states)}); posology deployments shows them"
    )


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        raise _error(response)


def _error(response: httpx.Response) -> PosologyError:
    """What the gateway said, as the class with the exit code for it."""
    response.read()
    try:
        error: Any = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        error = response.text
    if response.status_code in (429, 502, 503, 504):
        return Unavailable(f"the gateway says: {error}")
    kinds: dict[int, type[PosologyError]] = {401: Unauthenticated, 403: PermissionDenied, 404: NotFound}
    kind = Unavailable if response.status_code >= 500 else kinds.get(response.status_code, InvalidInput)
    return kind(f"the gateway says ({response.status_code}): {error}")


def _renew_if_revoked(at: state.State, url: str) -> None:
    """The command line's own key may have been revoked, or belong to an installation that is gone: make another."""
    if (at.data_dir / KEY_FILE).exists():
        headers = {"authorization": f"Bearer {_own_key(at)}"}
        if httpx.get(f"{url}/v1/models", headers=headers, timeout=30).status_code == 401:
            (at.data_dir / KEY_FILE).unlink(missing_ok=True)


def _own_key(at: state.State) -> str:
    """The command line's key; made at its first use, kept with mode 0600."""
    path = at.data_dir / KEY_FILE
    if not path.exists():
        secret = at.call(lambda client: client.create_key("posology ask")).secret
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
    return path.read_text().strip()
