"""report, explain, recall, stale, verify."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from posology.cli import evidence, output, state, targets
from posology.client.explain import explain as explain_answer
from posology.client.recall import Recall, withdraw_all
from posology.client.recall import recall as recall_source
from posology.client.stale import Stale
from posology.client.stale import stale as stale_labels
from posology.client.stored import Stored
from posology.core.errors import Cancelled, FailedPrecondition, InvalidInput, Violation
from posology.core.files import write_atomically
from posology.core.release.document import FILE as POLICY_FILE


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (report, explain, recall, stale, verify):
        app.command()(command)


def report(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's name.")],
    to: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page about a run: verdict, gates, curves, data, lineage; also while it runs."""
    from posology.cli import report as page  # brings matplotlib, which no other command should wait for

    at = state.of(context)
    targets.check_file("--to", to)
    content = at.call(lambda client: page.gather(client, run))
    write_atomically(to, page.render(content))
    at.write.value({"path": str(to), **output.plain(content)}, f"{to}: {content.run} {content.headline}")


def explain(
    context: typer.Context,
    answer: Annotated[str, typer.Argument(help="The answer's id, from its x-posology-answer header.")],
    question: Annotated[str, typer.Option(help="What was asked, where the gateway keeps hashes only.")] = "",
    sentences: Annotated[int, typer.Option(min=0, help="Most label sentences to show.")] = 5,
) -> None:
    """Say what stands behind an answer: deployment, weights, verdict, adapters, data, reviews, and near label text."""
    at = state.of(context)
    explanation = at.call(lambda client: explain_answer(client, answer, question=question, count=sentences))
    at.write.value(explanation, "\n".join(evidence.explanation_lines(explanation)))


def recall(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A section's id, a label's set id, a drug or a source file.")],
    withdraw: Annotated[str, typer.Option("--quarantine", help="Withdraw what is affected, for this reason.")] = "",
    stop_serving: Annotated[
        bool, typer.Option("--stop-serving", help="With --quarantine: also drain and remove their deployments.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before withdrawing.")] = False,
) -> None:
    """Say what rests on a label section, a label or a drug: data, models, verdicts, deployments and answers."""
    at = state.of(context)
    if stop_serving and not withdraw:
        raise InvalidInput.of([Violation("--stop-serving", "goes with --quarantine, which says why")])
    recalled = at.call(lambda client: recall_source(client, what))
    if not withdraw:
        at.write.value(recalled, "\n".join(evidence.recall_lines(recalled)))
        return
    if not yes:
        at.write.note("\n".join(evidence.recall_lines(recalled)))
        if not typer.confirm(_question(recalled, stop_serving=stop_serving), err=True):
            raise Cancelled("nothing was withdrawn")
    done = at.call(lambda client: withdraw_all(client, recalled, reason=withdraw, stop_serving=stop_serving))
    lines = evidence.withdrawn_lines(done, () if stop_serving else recalled.serving)
    at.write.value({**output.plain(recalled), **output.plain(done)}, "\n".join(lines))


def _question(recalled: Recall, *, stop_serving: bool) -> str:
    also = f" and stop {len(recalled.serving)} deployments" if stop_serving else ""
    return f"Withdraw these {len(recalled.affected)} artifacts{also}?"


def stale(
    context: typer.Context,
    sources: Annotated[Path, typer.Option(help="Folder or file of new labels: SPL (.xml), openFDA (.json, .jsonl).")],
    on_boxed_warning: Annotated[
        str,
        typer.Option(
            "--quarantine-on-boxed-warning", help="Withdraw for this reason if a boxed warning is new or other."
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before withdrawing.")] = False,
) -> None:
    """Say which facts newer labels change, and which data, models, deployments and answers rest on them."""
    at = state.of(context)
    compared = at.call(lambda client: stale_labels(client, sources))
    if not (on_boxed_warning and compared.boxed_warnings and compared.recall.affected):
        at.write.value(_stale_json(compared), "\n".join(evidence.stale_lines(compared)))
        return
    if not yes:
        at.write.note("\n".join(evidence.stale_lines(compared)))
        if not typer.confirm(_question(compared.recall, stop_serving=False), err=True):
            raise Cancelled("nothing was withdrawn")
    done = at.call(lambda client: withdraw_all(client, compared.recall, reason=on_boxed_warning))
    lines = evidence.withdrawn_lines(done, compared.recall.serving)
    at.write.value({**_stale_json(compared), **output.plain(done)}, "\n".join(lines))


def _stale_json(compared: Stale) -> dict[str, object]:
    return {**output.plain(compared), "boxedWarnings": len(compared.boxed_warnings)}


def verify(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A run, a verdict's digest or name, the weights' digest, or a file.")],
    keys: Annotated[
        Path | None, typer.Option(help="Folder of public keys (*.pub) to trust (default: the installation's own).")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Signed release policy to hold it against (default: the installation's own).")
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Check every service's audit chain, and the heads that the verdict anchors.")
    ] = False,
) -> None:
    """Check a verdict and ask no service: signatures, bytes, engine, gates, outcome. Exit code 1 if one fails."""
    from posology.client import verification  # brings SQLAlchemy, which no other command should wait for

    at = state.of(context)
    settings = at.installation.settings
    connected = at.installation.connected
    if connected and keys is None:
        raise FailedPrecondition(
            "this installation is on a cluster, and whom to trust is not for it to say: name a folder with its public "
            "keys, --keys FOLDER (its ConfigMap <release>-public-keys holds them, and the release policy)"
        )
    folder = keys or settings.keys_dir
    held_against = policy or (_beside(folder) if connected else settings.release_policy_file)
    if "/verdicts/" in target:  # the one name that the bytes do not carry
        target = at.call(lambda client: client.verdict(target)).artifact
    keyring, chains = verification.TrustedKeys.load(folder), settings.data_dir / "db" if audit else None

    def checked(stored: Stored) -> verification.Verification:
        return verification.verify(
            verification.find(target, stored), stored, keyring, audit=chains, policy=held_against
        )

    if connected:
        if audit:
            raise FailedPrecondition(
                "--audit reads the databases of an embedded installation; this one is on a cluster"
            )
        verified = at.call(lambda client: asyncio.to_thread(checked, client.stored()))
    else:
        verified = checked(Stored.of(settings))
    if held_against is None:
        at.write.note(
            "not held against a release policy: it is on the cluster, and not among these keys; --policy FILE names it"
        )
    at.write.value(
        {
            **output.plain(verified),
            "ok": verified.ok,
            "keys": str(folder),
            "policy": str(held_against or ""),
        },
        "\n".join(evidence.verification_lines(verified, keys=folder, own=keys is None)),
    )
    if not verified.ok:
        raise typer.Exit(1)


def _beside(keys: Path) -> Path | None:
    """The signed policy that lies beside public keys, as a cluster's ConfigMap has both; None if nobody brought it."""
    file = keys / POLICY_FILE
    return file if file.exists() else None
