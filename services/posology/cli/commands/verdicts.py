"""verdicts list, reissue, redeploy: what was decided, and how it outlives the key that signed it."""

from collections.abc import Sequence
from typing import Annotated

import typer

from posology.cli import show, state
from posology.client import Client, envelopes
from posology.client import reissue as reissuing
from posology.client.reissue import Reissued
from posology.core.errors import InvalidInput, Violation
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.serving_pb2 import Deployment


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Verdicts: which there are, and issuing them again with another key.", no_args_is_help=True
    )
    group.command("list")(list_verdicts)
    group.command()(reissue)
    group.command()(redeploy)
    app.add_typer(group, name="verdicts")


def list_verdicts(context: typer.Context) -> None:
    """List verdicts, newest first, with the key that signed each."""
    at = state.of(context)
    listed = at.call(lambda client: client.verdicts())
    rows = [
        (v.name.rsplit("/", 1)[1], Verdict.Outcome.Name(v.outcome), v.artifact, _signers(v), show.age(v.create_time))
        for v in listed
    ]
    at.write.rows(listed, ("NAME", "OUTCOME", "DIGEST", "SIGNED WITH", "AGE"), rows)


def reissue(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="A run, the digest of a verdict or of weights, or a verdict's name.")
    ] = "",
    key: Annotated[
        str, typer.Option(help="Instead: every verdict of this key's id (8 digits or more) that a deployment rests on.")
    ] = "",
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Give what rests on the old verdict a successor, which takes over.")
    ] = False,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", help="With --key: in every namespace.")] = False,
) -> None:
    """Issue a verdict again on the same scores, signed with the key of now. Exit code 1 if one is no PASS."""
    at = state.of(context)
    if bool(target) == bool(key):
        raise InvalidInput.of([Violation("target", "name a run or a verdict, or a key by --key: one of them")])
    if everywhere and not key:
        raise InvalidInput.of([Violation("--all-namespaces", "goes with --key; a run or a verdict has a namespace")])

    async def work(client: Client) -> list[Reissued]:
        verdicts = await (
            reissuing.signed_with(client, key, everywhere=everywhere) if key else reissuing.named(client, target)
        )
        return await reissuing.reissue(client, verdicts, deploy=deploy)

    done = at.call(work)
    where = "any namespace" if everywhere else at.namespace
    at.write.value(done, "\n".join(_lines(done)) or f"no deployment in {where} rests on a verdict of this key")
    if any(one.outcome != "PASS" for one in done):
        raise typer.Exit(1)


def redeploy(context: typer.Context, deployment: Annotated[str, typer.Argument(help="The deployment's name.")]) -> None:
    """Give a deployment a successor under the newest verdict on its weights; it takes over once it answers."""
    at = state.of(context)
    made = at.call(lambda client: reissuing.redeploy(client, deployment))
    at.write.value(made, f"{made.name}: {Deployment.State.Name(made.state)} {made.reason}".rstrip())


def _lines(done: Sequence[Reissued]) -> list[str]:
    lines = []
    for one in done:
        lines.append(f"{one.outcome}  {one.name}  {one.verdict}, signed with {one.signer[:16]}")
        lines += [f"  {name} takes over" for name in one.successors]
        if not one.successors:
            lines += [f"  {name} rests on the old one: posology verdicts redeploy {name}" for name in one.deployments]
    return lines


def _signers(verdict: Verdict) -> str:
    return ", ".join(signer[:16] for signer in envelopes.signers(verdict.envelope))
