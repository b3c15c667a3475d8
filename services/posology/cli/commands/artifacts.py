"""artifacts, push, pull, inspect, pin, unpin, withdraw, gc."""

import getpass
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from posology.cli import hub, model_card, output, show, state
from posology.cli.model_card import Card
from posology.client import Client
from posology.core.artifacts import Manifest
from posology.core.errors import FailedPrecondition, InvalidInput, Violation
from posology.core.files import write_atomically
from posology.v1alpha1 import catalog_pb2


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (artifacts, push, pull, inspect, pin, unpin, withdraw, gc):
        app.command()(command)


def push(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to publish, for example a Hugging Face model.")],
    kind: Annotated[str, typer.Option(help="Kind of the artifact.")] = "base-model",
) -> None:
    """Publish a folder as an artifact; use it as baseModel.uri: artifact:sha256:..."""
    at = state.of(context)
    if not folder.is_dir():
        raise InvalidInput.of([Violation("folder", f"{folder} is no folder")])
    made = at.call(lambda client: client.push(folder, kind=kind))
    at.write.value(made, made.digest)


Digest = Annotated[str, typer.Argument(help="The artifact's digest (sha256:...).")]
Holder = Annotated[str, typer.Option(help="In whose name (default: your login name).")]


def artifacts(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="Only this kind, such as model or dataset.")] = "",
) -> None:
    """List artifacts, newest first."""
    at = state.of(context)
    listed = at.call(lambda client: client.artifacts(kind))
    rows = [
        (a.digest, a.kind, f"{a.size_bytes / 2**20:,.1f} MiB", show.age(a.create_time), ", ".join(a.pins), _state(a))
        for a in listed
    ]
    at.write.rows(listed, ("DIGEST", "KIND", "SIZE", "AGE", "HELD BY", ""), rows)


def _state(artifact: catalog_pb2.Artifact) -> str:
    return f"withdrawn: {artifact.quarantine_reason}" if artifact.quarantine_reason else ""


def pull(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A run, or an artifact's digest.")],
    to: Annotated[Path, typer.Option(help="Folder that is made, or is empty.")],
    adapter: Annotated[bool, typer.Option("--adapter", help="Of a run: its adapter, not the merged weights.")] = False,
    to_hub: Annotated[str, typer.Option("--hub", help="Put it into this repository of a hub too: OWNER/NAME.")] = "",
    private: Annotated[bool, typer.Option("--private/--public", help="What a new repository on the hub is.")] = True,
) -> None:
    """Copy weights and their model card into a folder, each file checked. What is withdrawn is refused.

    A hub gets what has a signed PASS, and nothing else; a copy is no release.
    """
    at = state.of(context)
    if adapter and what.startswith("sha256:"):
        raise InvalidInput.of([Violation("--adapter", "goes with a run; a digest names its artifact itself")])
    if to_hub:
        hub.check(to_hub)

    async def work(client: Client) -> tuple[Card, Manifest]:
        card = await _card(client, what, adapter=adapter)
        bad = next((one for one in await client.trace(card.digest) if one.quarantine_reason), None)
        if bad is not None:
            raise FailedPrecondition(
                f"{card.digest} rests on {bad.digest}, which was withdrawn: {bad.quarantine_reason}"
            )
        if to_hub and not card.released:
            raise FailedPrecondition(f"{card.digest} {_why(card)}: it is not released, and no hub gets it")
        return card, await client.pull(card.digest, to)

    card, manifest = at.call(work)
    card = replace(card, kind=manifest.kind)
    if manifest.kind in ("model", "adapter"):
        name = model_card.OTHER if (to / model_card.NAME).exists() else model_card.NAME
        write_atomically(to / name, model_card.render(card))
        if not card.released:
            at.write.note(f"[yellow]warning:[/] {card.digest} {_why(card)}: it is not released, and must not be served")
    address = hub.upload(to, to_hub, private=private, message=f"{card.digest} by posology") if to_hub else ""
    text = f"{to}: {output.count(len(manifest.files), 'file')}, {manifest.size / 2**20:,.1f} MiB of {card.digest}"
    answer = {"folder": to, "digest": card.digest, "kind": manifest.kind, "released": card.released}
    at.write.value(answer | ({"hub": address} if address else {}), f"{text}\n{address}".rstrip())


def _why(card: Card) -> str:
    return f"has a PASS that does not release it today ({card.missing[0]})" if card.passed else "has no PASS"


async def _card(client: Client, what: str, *, adapter: bool) -> Card:
    """What is known of a run's weights, or of an artifact; FailedPrecondition before there are any."""
    if what.startswith("sha256:"):
        return await model_card.of_digest(client, what)
    run = await client.show(what)
    by_stage = {stage.stage: stage.artifact for stage in run.stages}
    digest = (by_stage.get("dpo") or by_stage.get("sft", "")) if adapter else by_stage.get("merge", "")
    if not digest:
        raise FailedPrecondition(f"{run.name} has no {'adapter' if adapter else 'weights'} yet: {run.message}")
    return await model_card.of_run(client, run, digest)


def inspect(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="artifact:sha256:..., file:/path, or a folder.")],
) -> None:
    """Say what a base model is: architecture, parameters, and the modules that can be tuned."""
    at = state.of(context)
    uri = f"file:{Path(model).resolve()}" if Path(model).is_dir() else model
    inspection = at.call(lambda client: client.inspect(uri))
    lines = [
        f"{inspection.architecture}, {inspection.parameters:,} parameters, {inspection.max_length:,} tokens at most, "
        f"{'with' if inspection.has_chat_template else 'without'} a chat template",
        *(f"  {group.name:<24}{group.count}" for group in inspection.modules),
    ]
    at.write.value(inspection, "\n".join(escape(line) for line in lines))


def pin(context: typer.Context, digest: Digest, holder: Holder = "") -> None:
    """Keep an artifact, and all that it was made from, from garbage collection."""
    at = state.of(context)
    pinned = at.call(lambda client: client.pin(digest, holder=holder or getpass.getuser()))
    at.write.value(pinned, f"{pinned.digest} is held by {', '.join(pinned.pins)}.")


def unpin(context: typer.Context, digest: Digest, holder: Holder = "") -> None:
    """Let go of an artifact."""
    at = state.of(context)
    left = at.call(lambda client: client.unpin(digest, holder=holder or getpass.getuser()))
    at.write.value(left, f"{left.digest} is held by {', '.join(left.pins) or 'nobody'}.")


def withdraw(
    context: typer.Context,
    digest: Digest,
    reason: Annotated[str, typer.Option(help="Why, for the record and for whoever is refused.")],
) -> None:
    """Withdraw an artifact: nothing may be built on it or served from it any more. `recall` finds what to withdraw."""
    at = state.of(context)
    withdrawn = at.call(lambda client: client.quarantine(digest, reason=reason))
    at.write.value(withdrawn, f"{withdrawn.digest} ({withdrawn.kind}) is withdrawn: {escape(reason)}")


def gc(
    context: typer.Context,
    older_than: Annotated[int, typer.Option(help="Only artifacts older than this many seconds.")] = 24 * 3600,
    delete: Annotated[bool, typer.Option(help="Really delete; without it, only say what would go.")] = False,
) -> None:
    """Delete artifacts that no run, deployment or person holds."""
    at = state.of(context)
    collected = at.call(lambda client: client.gc(older_than_seconds=older_than, dry_run=not delete))
    verb = "were deleted" if delete else f"would be deleted ({at.hint('gc --delete')})"
    text = f"{output.count(len(collected.digests), 'artifact')}, {collected.freed_bytes / 2**20:,.1f} MiB {verb}."
    at.write.value(collected, "\n".join([*collected.digests, text]))
