"""keys create, list, revoke."""

from typing import Annotated

import typer

from posology.cli import show, state
from posology.v1alpha1.gateway_pb2 import ApiKey


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="API keys of applications.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_keys)
    group.command()(revoke)
    app.add_typer(group, name="keys")


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    requests_per_minute: Annotated[
        int, typer.Option(help="Most requests in a minute; 0 = the installation's limit.")
    ] = 0,
) -> None:
    """Make a key; it is shown this once."""
    at = state.of(context)
    made = at.call(lambda client: client.create_key(name, requests_per_minute=requests_per_minute))
    at.write.note(f"{made.name}: keep the key, it is not shown again")
    at.write.value(made, made.secret)


def list_keys(context: typer.Context) -> None:
    """List keys, without their secrets."""
    at = state.of(context)
    keys = at.call(lambda client: client.keys())
    rows = [(k.name.rsplit("/", 1)[1], k.display_name, k.prefix, show.age(k.create_time), _state(k)) for k in keys]
    at.write.rows(keys, ("ID", "NAME", "PREFIX", "AGE", ""), rows)


def revoke(context: typer.Context, key: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """Make a key useless, at once."""
    at = state.of(context)
    revoked = at.call(lambda client: client.revoke_key(key))
    at.write.value(revoked, f"{revoked.name} is revoked.")


def _state(key: ApiKey) -> str:
    return "revoked" if key.HasField("revoke_time") else ""
