"""audit checkpoint, verify."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from posology.cli import output, state, targets
from posology.core import signing
from posology.core.audit.chain import Entry, verify_chain
from posology.core.audit.checkpoint import Checkpoint, compare
from posology.core.errors import InvalidInput, Violation
from posology.core.files import write_atomically


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Audit chains: ends to keep elsewhere, and checks against them.", no_args_is_help=True)
    group.command()(checkpoint)
    group.command()(verify)
    app.add_typer(group, name="audit")


def checkpoint(
    context: typer.Context,
    to: Annotated[Path, typer.Option(help="File to write; keep it where the installation's operators can't reach it.")],
    key: Annotated[
        Path | None, typer.Option(help="Your own signing key (*.key), made on first use (default: keys/auditor.key).")
    ] = None,
) -> None:
    """Write down how long each audit chain is and how it ends, signed with your key. A broken chain is refused."""
    at = state.of(context)
    if to.exists():
        raise InvalidInput.of([Violation("--to", f"{to} is there already; each checkpoint is a file of its own")])
    targets.check_file("--to", to)
    signer = signing.Signer.load_or_create(key or at.installation.settings.keys_dir / "auditor.key")
    heads = {service: verify_chain(chain) for service, chain in _chains(at).items()}
    taken = Checkpoint(datetime.now(UTC), heads)
    write_atomically(to, json.dumps(taken.sign(signer), sort_keys=True) + "\n")
    lines = [f"  {service}: {head.seq} entries, {head.digest}" for service, head in sorted(heads.items())]
    at.write.value({"path": str(to), "key": signer.id, "heads": output.plain(heads)}, "\n".join([str(to), *lines]))


def verify(
    context: typer.Context,
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoint files, in any order.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key (*.pub) of who took them (default: keys/auditor.pub).")
    ] = None,
    databases: Annotated[
        Path | None, typer.Option(help="Folder of *.sqlite files to read instead, such as a copy; asks no service.")
    ] = None,
) -> None:
    """Hold every audit chain against checkpoints: a cut, rewritten, forked or missing chain is named. Exit code 1."""
    at = state.of(context)
    taken = _read(checkpoints, key, at.installation.settings.keys_dir / "auditor.pub")
    results = list(compare(_chains(at, databases), taken))
    lines = [
        f"{'[bold red]FAILED[/]' if one.problem else '[green]ok    [/]'}  {one.service}: "
        + (one.problem or f"{one.length} entries, unbroken, and every checkpoint is in it")
        for one in results
    ]
    at.write.value(output.plain(results), "\n".join(lines))
    if any(one.problem for one in results):
        raise typer.Exit(1)


def _read(files: list[Path], key: Path | None, own: Path) -> list[Checkpoint]:
    """Checkpoints that the key signed; where none was named and this installation's does not fit, that one can be."""
    envelopes = [_envelope(path) for path in files]
    hint = "" if key else "; name the public key of who took it: --key FILE.pub"
    try:
        trusted = signing.PublicKey.load(key or own)
    except InvalidInput as error:
        raise InvalidInput(f"{error.message}{hint}") from error
    try:
        return [Checkpoint.read(envelope, [trusted]) for envelope in envelopes]
    except signing.SignatureInvalid as error:
        raise type(error)(f"{error.message}{hint}") from error


def _chains(at: state.State, databases: Path | None = None) -> Mapping[str, list[Entry]]:
    """Of the databases of an embedded installation, running or not; of a cluster's through its services."""
    from posology.client.verification import chains_in  # brings SQLAlchemy, which no other command should wait for

    if at.installation.connected and databases is None:
        return at.call(lambda client: client.audit_chains())
    return chains_in(databases or at.installation.settings.data_dir / "db")


def _envelope(path: Path) -> Mapping[str, Any]:
    try:
        envelope = json.loads(path.read_text())
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is no checkpoint: {error}") from error
    if not isinstance(envelope, dict):
        raise InvalidInput(f"{path} is no checkpoint")
    return envelope
