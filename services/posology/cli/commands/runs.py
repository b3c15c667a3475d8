"""validate, plan, submit, runs, show, watch, cancel, approve, logs."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import yaml
from google.protobuf import json_format
from rich.markup import escape

from posology.cli import show as shown
from posology.cli import state
from posology.cli.commands import completion
from posology.cli.plan_notes import once
from posology.client import Client, RunFile, is_job, load_run
from posology.client.client import ENDED
from posology.client.specfile import name_misfit
from posology.core import schema
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable, Violation
from posology.v1alpha1 import job_pb2, training_pb2
from posology.v1alpha1 import orchestrator_pb2 as pb

T = TypeVar("T")
File = Annotated[Path, typer.Argument(help="The run's file (YAML).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Parameter of the file, NAME=VALUE; repeat for more.")]
Name = Annotated[str, typer.Argument(help="The run's name.", autocompletion=completion.runs)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (validate, plan, submit, runs, watch, cancel, approve, logs):
        app.command()(command)
    app.command("show")(show)


def validate(
    context: typer.Context,
    file: File,
    parameters: Set = None,
    defaults: Annotated[bool, typer.Option(help="Print the spec with every default written out.")] = False,
) -> None:
    """Check a run's file: names, values, and what each service says of its part."""
    at = state.of(context)
    run = _load(at, file, parameters)
    try:
        checked = _placed(run, lambda: at.call(lambda client: client.validate(run)))
        stages = ", ".join(stage.stage for stage in checked.stages)
        tries = at.call(lambda client: client.tries(checked.spec, run.name))
        text = "\n".join([f"{file} is valid; its stages are {stages}.", *map(escape, tries)])
        spec = checked.spec
    except (Unavailable, FailedPrecondition) as error:
        # Names and values are checked without any service; say what was not.
        at.write.note(f"only names and values were checked: {escape(error.message)}")
        text, spec = f"{file} names only what exists.", _with_defaults(run)
    mapping = schema.to_mapping(spec)
    at.write.value(mapping, yaml.safe_dump(mapping, sort_keys=False) if defaults else text)


def plan(context: typer.Context, file: File, parameters: Set = None) -> None:
    """Say what a run would take: parameters, memory, steps, time, warnings and advice. No GPU, no weights."""
    at = state.of(context)
    run = _load(at, file, parameters)
    if run.spec.HasField("sweep"):
        _plan_doses(at, run)
        return
    planned = _placed(run, lambda: at.call(lambda client: client.plan(run)))
    at.write.value(planned, "\n".join(_plan_lines(planned)))


def _plan_doses(at: state.State, run: RunFile) -> None:
    """Every dose of a sweep, and what they take together; what is said of several is said once."""
    planned = _placed(run, lambda: at.call(lambda client: client.plan_doses(run)))
    steps, seconds = sum(plan.sft_steps for _, plan in planned), sum(plan.seconds for _, plan in planned)
    memory = max((plan.memory_mib.get("total", 0.0) for _, plan in planned), default=0.0)
    lines = [
        f"{label}: {plan.trainable_parameters:,} parameters are trained in {plan.sft_steps:,} steps, "
        f"{plan.memory_mib.get('total', 0.0):,.0f} MiB" + (f", {shown.duration(plan.seconds)}" if plan.seconds else "")
        for label, plan in planned
    ]
    together = f" and about {shown.duration(seconds)} of training" if seconds else ""
    lines.append(
        f"{len(planned)} doses take {steps:,} steps{together} before one is chosen, {memory:,.0f} MiB at most; "
        "each is merged and scored on the development suites too. The chosen one's training is not repeated."
    )
    notes = [
        *(
            f"[yellow]warning:[/] {escape(text)}"
            for text in once(text for _, plan in planned for text in plan.warnings)
        ),
        *(f"[dim]advice:[/] {escape(text)}" for text in once(text for _, plan in planned for text in plan.advice)),
    ]
    mapping = {
        "doses": [{"label": label, "plan": schema.to_mapping(plan)} for label, plan in planned],
        "sftSteps": steps,
        "seconds": seconds,
        "memoryMib": memory,
    }
    at.write.value(mapping, "\n".join([*lines, *notes]))


def _plan_lines(planned: training_pb2.TrainingPlan) -> list[str]:
    if not planned.parameters:
        return [f"[yellow]no figures:[/] {escape(text)}" for text in planned.warnings]
    return [
        f"{planned.trainable_parameters:,} of {planned.parameters:,} parameters are trained.",
        f"SFT takes {planned.sft_steps:,} steps" + (f", DPO {planned.dpo_steps:,}." if planned.dpo_steps else "."),
        "Memory (MiB): " + ", ".join(f"{name} {value:,.0f}" for name, value in sorted(planned.memory_mib.items())),
        *([f"Estimated time: {shown.duration(planned.seconds)}."] if planned.seconds else []),
        *(f"[yellow]warning:[/] {escape(text)}" for text in planned.warnings),
        *(f"[dim]advice:[/] {escape(text)}" for text in planned.advice),
    ]


def submit(
    context: typer.Context,
    file: File,
    parameters: Set = None,
    name: Annotated[str, typer.Option(help="Name of the run instead of the file's.")] = "",
    wait: Annotated[bool, typer.Option(help="Stay until the run ends; exit code 1 if it fails.")] = False,
) -> None:
    """Submit a run."""
    at = state.of(context)
    run = _load(at, file, parameters)
    if name and (misfit := name_misfit(name)):
        raise InvalidInput.of([Violation("--name", misfit)])
    made = _placed(run, lambda: at.call(lambda client: client.submit(run, name=name)))
    short = made.name.rsplit("/", 1)[1]
    if not wait:
        at.write.value(made, f"{made.name} is admitted; follow it with: {at.hint(f'watch {short}')}")
        return
    at.write.note(f"{made.name} is admitted")
    _end_with(at, _follow(at, made.name))


def runs(context: typer.Context) -> None:
    """List runs, newest first."""
    at = state.of(context)
    listed = at.call(lambda client: client.runs())
    rows = [(r.name.rsplit("/", 1)[1], shown.phase(r), shown.age(r.create_time), r.message) for r in listed]
    at.write.rows(listed, ("NAME", "PHASE", "AGE", "MESSAGE"), rows)


def show(context: typer.Context, run: Name) -> None:
    """Show one run: every stage with its state, time, progress and reason."""
    at = state.of(context)
    fetched = at.call(lambda client: client.show(run))
    if not at.write.json:
        phase = shown.coloured(shown.phase(fetched))
        at.write.console.print(f"[bold]{fetched.name}[/]  {phase}  {escape(fetched.message)}")
    columns = ("STAGE", "STATE", "TIME", "PROGRESS", "REASON")
    if at.write.json:
        at.write.value(fetched, "")
    else:
        at.write.rows([], columns, shown.stage_rows(fetched))


def watch(context: typer.Context, run: Name) -> None:
    """Follow a run until it ends; exit code 1 if it fails."""
    at = state.of(context)
    _end_with(at, _follow(at, run))


def cancel(
    context: typer.Context, run: Name, reason: Annotated[str, typer.Option(help="Why, for the record.")] = ""
) -> None:
    """Stop a run and what it started; a deployment stays."""
    at = state.of(context)

    async def work(client: Client) -> pb.FineTuneRun:
        before = await client.show(run)
        if before.phase in ENDED:
            raise FailedPrecondition(
                f"{before.name} has ended: it is {shown.phase(before)}; there is nothing to cancel"
            )
        return await client.cancel(run, reason=reason)

    cancelled = at.call(work)
    at.write.value(cancelled, f"{cancelled.name} is being cancelled.")


def approve(
    context: typer.Context,
    run: Name,
    stage: Annotated[str, typer.Option(help="Stage that waits.")] = "deploy",
    reject: Annotated[bool, typer.Option(help="Refuse instead; the run ends.")] = False,
    comment: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Decide what waits for a person."""
    at = state.of(context)
    decided = at.call(lambda client: client.approve(run, stage=stage, approved=not reject, comment=comment))
    at.write.value(decided, f"{stage} of {decided.name} is {'refused' if reject else 'approved'}.")


def logs(
    context: typer.Context,
    run: Name,
    stage: Annotated[
        str,
        typer.Argument(
            help="Stage, for example sft (default: the newest that has a log).", autocompletion=completion.stages
        ),
    ] = "",
) -> None:
    """Print what the workers of a stage said and measured, from the start, until the stage ends."""
    at = state.of(context)

    async def work(client: Client) -> None:
        fetched = await client.show(run)
        chosen, resource = _with_log(fetched, stage)
        if not stage:
            others = [s.stage for s in fetched.stages if is_job(s.resource) and s.stage != chosen]
            also = f"; also: {', '.join(others)}" if others else ""
            at.write.note(f"[dim]the log of {chosen}{also}[/]")
        async for event in client.job_events(resource):
            if text := _event_text(event):
                at.write.event(event, text)

    at.call(work)


# --- shared ----------------------------------------------------------------------------------------


def _load(at: state.State, file: Path, parameters: list[str] | None) -> RunFile:
    wrong = [p for p in parameters or [] if "=" not in p]
    if wrong:
        raise InvalidInput.of([Violation("--set", f"{p!r} is not NAME=VALUE") for p in wrong])
    values = dict(p.split("=", 1) for p in parameters or [])
    if missing := [p for p in values.items() if _is_missing_path(p[1])]:
        raise InvalidInput.of([Violation(f"--set {name}", f"there is no {value} here") for name, value in missing])
    run = load_run(file, parameters={name: _from_here(value) for name, value in values.items()})
    return replace(run, namespace=at.namespace) if at.namespace != "default" else run


def _placed(run: RunFile, work: Callable[[], T]) -> T:
    """Do it; what a service has against the run is said with the lines of its file, and what `up` can do about it."""
    try:
        return work()
    except InvalidInput as error:
        raise run.at_lines(_with_option(error)) from None


def _with_option(error: InvalidInput) -> InvalidInput:
    """Of an embedded installation, folders are allowed by an option, and not by the variable behind it."""
    old, new = "add its folder to POSOLOGY_ALLOWED_SOURCE_FOLDERS", "run posology down, then posology up --allow FOLDER"
    if not error.violations:
        return InvalidInput(error.message.replace(old, new))
    return InvalidInput.of([replace(v, description=v.description.replace(old, new)) for v in error.violations])


def _is_missing_path(value: str) -> bool:
    """Whether it can only be a path of this machine, and nothing is there."""
    return value.startswith(("/", "./", "../", "~/")) and not Path(value).expanduser().exists()


def _from_here(value: str) -> str:
    """A path that is typed is taken from the current folder, not from the file's; shells leave the ~ in a=~/b alone."""
    path = Path(os.path.expanduser(value)) if value.startswith("~") else Path(value)
    return str(path.resolve()) if value and path.exists() else value


def _with_defaults(run: RunFile) -> pb.FineTuneRunSpec:
    spec = pb.FineTuneRunSpec()
    spec.CopyFrom(run.spec)
    schema.apply_defaults(spec)
    return spec


def _follow(at: state.State, name: str) -> pb.FineTuneRun:
    async def work(client: Client) -> pb.FineTuneRun:
        progress = asyncio.create_task(_say_progress(at, client, name))
        try:
            async for event in client.watch(name):
                at.write.event(event, shown.event_line(event))
        finally:
            progress.cancel()
        return await client.show(name)

    return at.call(work)


async def _say_progress(at: state.State, client: Client, name: str) -> None:
    """On a terminal, one line on stderr with what is going on between two events."""
    last = ""
    while at.write.console.is_terminal and not at.write.json:
        await asyncio.sleep(5)
        run = await client.show(name)
        busy = [f"{s.stage} {shown.progress(s)}" for s in run.stages if shown.progress(s)]
        if busy and (text := "; ".join(busy)) != last:
            last = text
            at.write.note(f"[dim]         {text}[/]")


def _end_with(at: state.State, run: pb.FineTuneRun) -> None:
    if run.phase != pb.FineTuneRun.SUCCEEDED:
        at.write.note(f"{run.name}: {shown.coloured(shown.phase(run))} {escape(run.message)}")
        raise typer.Exit(1)


def _with_log(run: pb.FineTuneRun, stage: str) -> tuple[str, str]:
    """The stage that is meant, the newest with a log where none is named, and the job behind it."""
    with_log = [s for s in run.stages if is_job(s.resource)]
    if not stage and with_log:
        return with_log[-1].stage, with_log[-1].resource
    chosen = next((s for s in run.stages if s.stage == stage), None)
    if chosen is None or not chosen.resource:
        known = ", ".join(s.stage for s in with_log) or "none yet"
        raise NotFound(f"{run.name} has no log of {stage or 'any stage'}; stages with a log: {known}")
    return chosen.stage, chosen.resource


def _short(value: object) -> object:
    """Numbers of the wire are all fractions: 150.0 was 150."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _event_text(event: job_pb2.JobEvent) -> str:
    kind: Any = event.WhichOneof("event")
    at = f"[dim]{event.time.ToDatetime(UTC).astimezone():%H:%M:%S}[/] " if event.HasField("time") else ""
    if kind == "log":
        named = json_format.MessageToDict(event.log.fields)
        beside = "  " + ", ".join(f"{name} {_short(value)}" for name, value in sorted(named.items())) if named else ""
        return f"{at}{escape(event.log.message)}[dim]{escape(beside)}[/]"
    if kind == "metric":
        values = ", ".join(f"{name} {value:.4g}" for name, value in sorted(event.metric.values.items()))
        return f"{at}[dim]step {event.metric.step}:[/] {values}"
    if kind == "status":
        name = job_pb2.JobStatus.State.Name(event.status.state)
        return f"{at}{shown.coloured(name)} {escape(event.status.error.message)}".rstrip()
    return ""
