"""endpoints add, list, remove: where teachers and judges answer, and with which secret."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from posology.cli import state
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, PosologyError, Violation
from posology.core.files import write_atomically
from posology.core.model_endpoints import addresses, document
from posology.core.model_endpoints.domain import ModelEndpoint


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Model endpoints: where teachers and judges answer.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_endpoints)
    group.command()(remove)
    app.add_typer(group, name="endpoints")


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What specs call it: teacher: {modelEndpoint: NAME}.")],
    address: Annotated[str, typer.Option(help="Base URL of an OpenAI-compatible API.")] = "",
    model: Annotated[
        list[str] | None, typer.Option(help="Model that may be asked there; repeat for more, the default first.")
    ] = None,
    secret: Annotated[str, typer.Option(help="Name of the secret with the API key; empty = the API wants none.")] = "",
    key_from_stdin: Annotated[
        bool, typer.Option("--key-from-stdin", help="Read the key here and keep it as that secret.")
    ] = False,
    for_namespace: Annotated[
        list[str] | None,
        typer.Option(help="Namespace that may use it, '*' = all; repeat for more (default: --namespace)."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Most tokens of all runs together; 0 = no limit.")] = 0,
    max_cost: Annotated[float, typer.Option(help="Most cost of all runs together; needs both prices.")] = 0.0,
    prompt_price: Annotated[float, typer.Option(help="Price of a million prompt tokens.")] = 0.0,
    completion_price: Annotated[float, typer.Option(help="Price of a million answer tokens.")] = 0.0,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow addresses of private networks and of this machine.")
    ] = False,
    file: Annotated[Path | None, typer.Option(help="Take it from a file instead (YAML, kind ModelEndpoint).")] = None,
) -> None:
    """Define an endpoint, or define it anew; it counts from the next attempt on."""
    at = state.of(context)
    folder = _folder(at)
    if file is not None:
        endpoint = document.parse(_read(file), origin=str(file))
        if endpoint.name != name:
            raise InvalidInput.of([Violation("metadata.name", f"{file} defines {endpoint.name}, not {name}")])
    else:
        spec: dict[str, Any] = {
            "address": address,
            "models": model or [],
            "credentialsSecret": secret,
            "namespaces": for_namespace or [at.namespace],
            "budget": {
                "maxTokens": max_tokens,
                "maxCost": max_cost,
                "promptPrice": prompt_price,
                "completionPrice": completion_price,
            },
            "allowPrivate": allow_private,
        }
        endpoint = document.named(name, spec)
    secrets = at.data_dir / "secrets"
    if key_from_stdin:
        _keep_key(secrets, endpoint)
    path = document.write(folder, endpoint)
    at.write.value(
        {"name": name, "file": str(path)},
        f"{name} is defined in {path}; specs name it as teacher: {{modelEndpoint: {name}}}.",
    )
    if endpoint.credentials_secret and not (secrets / endpoint.credentials_secret).is_file():
        at.write.note(f"No secret {endpoint.credentials_secret} yet: put the key into {secrets}, mode 0600.")
    if reason := _unreachable(endpoint):
        at.write.note(reason)


def list_endpoints(context: typer.Context) -> None:
    """List what this namespace may use, and what of it is used."""
    at = state.of(context)
    endpoints = at.call(lambda client: client.model_endpoints())
    rows = [
        (
            one.name,
            ", ".join(one.models),
            f"{one.prompt_tokens + one.completion_tokens:,}",
            f"{one.budget.max_tokens:,}" if one.budget.max_tokens else "",
            f"{one.cost:.2f}" if one.budget.prompt_price or one.budget.completion_price else "",
            f"{one.budget.max_cost:.2f}" if one.budget.max_cost else "",
        )
        for one in endpoints
    ]
    at.write.rows(endpoints, ("NAME", "MODELS", "TOKENS", "OF", "COST", "OF"), rows)


def remove(context: typer.Context, name: Annotated[str, typer.Argument(help="The endpoint's name.")]) -> None:
    """Remove an endpoint: no attempt that starts after this uses it. Its secret stays."""
    at = state.of(context)
    if name not in document.Registry(_folder(at)).names():
        raise NotFound(f"no model endpoint {name} is defined in {_folder(at)}")
    (_folder(at) / f"{name}.yaml").unlink(missing_ok=True)
    at.write.value({"name": name}, f"{name} is removed.")


def _folder(at: state.State) -> Path:
    if at.installation.connected:
        raise FailedPrecondition("on a cluster the operator defines endpoints in the chart's values (modelEndpoints)")
    return at.data_dir / document.FOLDER


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} can't be read: {error}") from error


def _keep_key(secrets: Path, endpoint: ModelEndpoint) -> None:
    """From stdin, so that the key shows neither in `ps` nor in a shell's history."""
    if not endpoint.credentials_secret:
        raise InvalidInput.of([Violation("--key-from-stdin", "needs --secret, the name to keep the key under")])
    key = sys.stdin.readline().strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput.of([Violation("--key-from-stdin", "a key is one word of printable ASCII on the first line")])
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(secrets / endpoint.credentials_secret, key + "\n", mode=0o600)


def _unreachable(endpoint: ModelEndpoint) -> str:
    """What a connection would be refused for now; it is judged again at each one."""
    host, port = document.host_and_port(endpoint.address)
    try:
        addresses.checked(host, port, allow_private=endpoint.allow_private)
    except PosologyError as error:
        return f"As it is now, nothing will connect to it: {error.message}."
    return ""
