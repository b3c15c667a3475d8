"""Importing a base model: fetch, check its files, and try its template before anybody trains on it."""

import shutil
from datetime import date
from pathlib import Path

from posology.core.errors import Exhausted, InvalidInput, Violation
from posology.core.jobs.worker.runtime import JobContext, Result, Stopped
from posology.core.settings import load
from posology.training import convert
from posology.training.base_models import fetching, folder, locations
from posology.training.settings import ModelSourceSettings

PROBE = {
    "id": "the template's own test",
    "prompt": [{"role": "user", "content": "What is the usual dose?"}],
    "completion": [{"role": "assistant", "content": "Ten milligrams once daily."}],
}


def run(ctx: JobContext) -> Result:
    """Import the model of a BaseModelSpec; the artifact holds safetensors, config, tokenizer and template only."""
    spec = convert.base_model_from_spec(ctx.spec)
    settings = load(ModelSourceSettings)
    source = locations.parse(spec.uri, spec.revision, settings.rules)
    parents: tuple[str, ...] = ()
    match source:
        case locations.LocalFolder():
            fetching.from_folder(source, ctx.output, allowed=settings.rules.locations)
        case locations.HubModel():
            _download(ctx, source, spec.credentials_secret, endpoint=settings.hub_endpoint or None)
        case locations.Pushed():
            parents = (source.digest,)
            _copy(ctx.input(source.digest), ctx.output)
    shape = folder.check(ctx.output)
    _stop_clock(ctx, spec.template_date)
    _render_apart(ctx)
    _try_template(ctx.output)
    return Result(
        kind="base-model",
        parents=parents,
        parameters={"uri": spec.uri, "revision": spec.revision} if isinstance(source, locations.HubModel) else {},
        summary=convert.shape_to_summary(shape),
    )


def _download(ctx: JobContext, source: locations.HubModel, secret: str, *, endpoint: str | None) -> None:
    """Into the workdir, so that a second attempt goes on where the first one broke off."""
    kept = ctx.workdir / "download"
    kept.mkdir(exist_ok=True)
    fetching.from_hub(
        source,
        kept,
        endpoint=endpoint,
        token=ctx.secret(secret) if secret else None,
        progress=lambda done, total, message: _progress(ctx, done, total, message),
    )
    _copy(kept, ctx.output)
    shutil.rmtree(kept)


def _progress(ctx: JobContext, done: float, total: float, message: str) -> None:
    """What is downloaded stays in the workdir until the job is over."""
    if ctx.stopping.is_set():
        raise Stopped
    ctx.progress(done, total, message)


def _copy(source: Path, target: Path) -> None:
    needed = sum(path.stat().st_size for path in source.iterdir() if folder.wanted(path.name))
    if needed > shutil.disk_usage(target).free:
        raise Exhausted(f"the model has {needed >> 20} MiB and the disk of {target} has less free")
    for path in source.iterdir():
        if path.is_file() and folder.wanted(path.name):
            shutil.copyfile(path, target / path.name)


def _stop_clock(ctx: JobContext, day: str) -> None:
    """The spec's date takes the clock's place; without one, a template that reads the clock is refused below."""
    from posology.training.worker import templates

    if not day:
        return
    try:
        at = date.fromisoformat(day)
    except ValueError:
        raise InvalidInput.of([Violation("spec.baseModel.templateDate", f"{day} is no day")]) from None
    if templates.stop_clock(ctx.output, at):
        ctx.log("the chat template's clock stands still", at=day)
    else:
        ctx.log("the chat template reads no clock, so templateDate changes nothing")


def _render_apart(ctx: JobContext) -> None:
    """In processes of their own, before anything renders it in this one."""
    from posology.training.worker import template_trial, tokens

    tokenizer = tokens.open_tokenizer(ctx.output)
    ctx.progress(0, 0, "rendering the chat template under two clocks")
    template_trial.check(tokenizer, stopping=ctx.stopping)


def _try_template(model: Path) -> None:
    """Render a conversation: a template without end of turn is better found now than after a night of training."""
    from posology.training.worker import row_checks, tokens

    tokenizer = tokens.open_tokenizer(model)
    row_checks.check_template(tokenizer, tokens.stop_ids(tokenizer, model), [PROBE])
