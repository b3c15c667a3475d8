"""policy sign, show, withdraw: what weights must have proven to be released here."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from posology.cli import output, release_policy, state, targets
from posology.core.errors import InvalidInput, Violation
from posology.core.release import document
from posology.core.release.domain import RequiredGate, RequiredSuite, Requirements


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The release policy: what weights must have proven.", no_args_is_help=True)
    group.command()(sign)
    group.command()(show)
    group.command()(withdraw)
    app.add_typer(group, name="policy")


def sign(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The policy (YAML, kind ReleasePolicy).")],
    key: Annotated[
        Path | None, typer.Option(help="Private key, made on first use (default: the installation's own).")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Where the signed policy goes (default: the installation, which obeys at once).")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Write it as a custom resource, for `kubectl apply -f` on a cluster, instead.")
    ] = None,
) -> None:
    """Sign a policy."""
    at = state.of(context)
    if to is not None and manifest is not None:
        raise InvalidInput.of([Violation("--manifest", "goes without --to: one of them says where the policy goes")])
    for option, chosen in (("--to", to), ("--manifest", manifest)):
        if chosen is not None:
            targets.check_file(option, chosen)
    target = to or manifest or at.data_dir / document.FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} can't be read: {error}") from error
    signing_key = key or at.data_dir / "keys" / f"{document.KEY}.key"
    write = release_policy.sign_manifest if manifest is not None else release_policy.sign
    name = write(text, origin=str(file), key=signing_key, to=target)
    public = signing_key.with_suffix(".pub")
    at.write.value(
        {"name": name, "file": str(target), "publicKey": str(public)}, f"{name} is signed in {target} (key {public})."
    )


def withdraw(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, for the record and for whoever is refused.")],
    digest: Annotated[str, typer.Argument(help="Digest of the policy (default: the one that counts here).")] = "",
) -> None:
    """Withdraw a policy: nothing is released under it and engines stop, until another one is signed."""
    at = state.of(context)
    chosen = digest
    if not chosen:
        settings = at.installation.settings
        keys = document.keys_in(settings.keys_dir, settings.release_policy_keys, document.KEY)
        chosen = document.load(settings.release_policy_file, keys).digest
    withdrawn = at.call(lambda client: client.withdraw_digest(chosen, kind="release-policy", reason=reason))
    at.write.value(withdrawn, f"The policy {withdrawn.digest} is withdrawn: {escape(withdrawn.reason)}")


def show(context: typer.Context) -> None:
    """Say which policy counts here, and what it asks for."""
    at = state.of(context)
    settings = at.installation.settings
    policy = document.load(
        settings.release_policy_file,
        document.keys_in(settings.keys_dir, settings.release_policy_keys, document.KEY),
    )
    lines = [f"{policy.name} ({policy.digest}): {settings.release_policy_file}"]
    sections = [("everything else", policy.default)] if policy.default else []
    sections = [
        *(
            (f"{o.model_name or 'any model'} in {o.namespace or 'any namespace'}", o.requirements)
            for o in policy.overrides
        ),
        *sections,
    ]
    for where, requirements in sections:
        lines.append(f"{where}:")
        lines += [_gate_line(gate, suite) for suite in requirements.suites for gate in suite.gates]
        lines += [_gate_line(gate, None) for gate in requirements.gates]
        lines += [f"  review of the {r.of.lower()}: under {r.max_error_rate:.1%} errors" for r in requirements.reviews]
        roots = [root.name or sorted(root.weight_files)[0] for root in requirements.roots]
        lines.append(
            f"  roots: {', '.join([*roots, *(['any base that no run made'] if requirements.any_base else [])])}"
        )
    listed = [
        {"modelName": o.model_name, "namespace": o.namespace, "requirements": _plain(o.requirements)}
        for o in policy.overrides
    ]
    value = {
        "name": policy.name,
        "digest": policy.digest,
        "file": str(settings.release_policy_file),
        "default": _plain(policy.default) if policy.default else None,
        "overrides": listed,
    }
    at.write.value(value, "\n".join(lines))


def _gate_line(gate: RequiredGate, suite: RequiredSuite | None) -> str:
    """`  regression on what the base knew, sha256:...: maxDrop 0.05, 100 items or more`."""
    names = [one for one in (suite.name, suite.digest) if one] if suite else []
    where = f" on {', '.join(names) or f'any suite of kind {suite.kind}'}" if suite else ""
    demands = [f"{name} {value:g}" for name, value in sorted(gate.demands.items())]
    demands += [f"{output.count(gate.min_items, 'item')} or more"] if gate.min_items else []
    return f"  {gate.kind}{where}" + (f": {', '.join(demands)}" if demands else "")


def _plain(requirements: Requirements) -> dict[str, object]:
    """As JSON; the files of a root in order."""
    roots = [{"name": root.name, "weightFiles": sorted(root.weight_files)} for root in requirements.roots]
    plain: dict[str, object] = output.plain(requirements)
    return {**plain, "roots": roots}
