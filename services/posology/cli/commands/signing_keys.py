"""signing-keys list, rotate, revoke: the keys that services sign with."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from posology.cli import state
from posology.cli.state import State
from posology.client import Client
from posology.client import reissue as reissuing
from posology.core import key_rotation
from posology.core.attestations.deny_list import FILE as DENY_LIST
from posology.core.errors import FailedPrecondition, PosologyError
from posology.core.key_rotation import ROLES
from posology.core.release.document import FILE as POLICY
from posology.core.times import rfc3339, utc_now

Keys = Annotated[Path | None, typer.Option("--keys", help="Folder of keys (default: this installation's).")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keys that services sign with: expiry, rotation, revocation.", no_args_is_help=True)
    group.command("list")(list_keys)
    group.command()(rotate)
    group.command()(revoke)
    app.add_typer(group, name="signing-keys")


def list_keys(context: typer.Context, keys: Keys = None) -> None:
    """List public keys, until when each signs, and what it is good for."""
    at = state.of(context)
    moment = utc_now()
    rows = [
        {
            "file": f"{one.file}.pub",
            "id": one.key.id,
            "notAfter": rfc3339(one.key.window.not_after) if one.key.window.not_after else "",
            "state": one.state(moment),
        }
        for one in key_rotation.known_keys(_folder(at, keys))
    ]
    columns = ("KEY", "ID", "SIGNS UNTIL", "STATE")
    at.write.rows(rows, columns, [(r["file"], r["id"][:16], r["notAfter"] or "no end", r["state"]) for r in rows])


def rotate(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help=f"Whose key: {', '.join(ROLES)}.")],
    days: Annotated[int, typer.Option(help="For how long the new key signs; 0 = without an end.")] = 365,
    keys: Keys = None,
) -> None:
    """Replace a key. What the old one signed goes on verifying; running services sign with the new one at once."""
    at = state.of(context)
    done = key_rotation.rotate(_folder(at, keys), role, days=days)
    old = f"; {done.old[:16]} verifies on" if done.old else ""
    text = f"{ROLES[role]}: signed with {done.new.id[:16]} now, {done.new.window}{old}"
    at.write.value({"role": role, "old": done.old, "new": done.new.id, "window": str(done.new.window)}, text)


def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The key's id, or its first 8 digits or more.")],
    reason: Annotated[str, typer.Option(help="Why, for the list.")],
    keys: Keys = None,
) -> None:
    """Let nothing count that a key signed. Sign what must go on counting with another key first."""
    at = state.of(context)
    folder = _folder(at, keys)
    if keys is None:
        known = key_rotation.find(folder, key)
        _check_unused(at, known.key.id)
        _warn_of_what_rests(at, known.key.id)
    revoked = key_rotation.revoke(folder, key, reason=reason)
    at.write.value({"id": revoked.key.id, "file": str(folder / key_rotation.REVOKED)}, f"{revoked.key.id} is revoked")


def _check_unused(at: State, key_id: str) -> None:
    """What the installation rests on must not be signed with it: without a policy or a deny-list no engine runs."""
    needs = {POLICY: "posology policy sign FILE", DENY_LIST: "the catalog does so within a second while it runs"}
    for file, how in needs.items():
        path = at.data_dir / file
        if path.exists() and key_id in path.read_text(encoding="utf-8", errors="replace"):
            raise FailedPrecondition(f"{path} is signed with this key; have it signed anew first: {how}")


def _warn_of_what_rests(at: State, key_id: str) -> None:
    """A stolen key is revoked whatever serves; but whoever does it learns what will load no more."""
    try:
        resting = at.call(lambda client: _resting(client, key_id))
    except PosologyError as error:
        at.write.note(f"Not known is which deployments rest on it: {escape(error.message)}")
        return
    for name in resting:
        at.write.note(
            f"{name} rests on a verdict of this key: it loads no more, and fails once its engine starts anew."
        )
    if resting:
        at.write.note(f"Issue them again, also afterwards: posology verdicts reissue --key {key_id[:16]} --deploy")


async def _resting(client: Client, key_id: str) -> list[str]:
    digests = {one.artifact for one in await reissuing.signed_with(client, key_id)}
    return [one.name for one in await reissuing.live(client) if one.verdict in digests]


def _folder(at: State, keys: Path | None) -> Path:
    return keys or at.installation.settings.keys_dir
