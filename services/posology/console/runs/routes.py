"""Runs: the list, one run live, its logs and curves, and the forms that start, stop and approve."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from posology.cli import show
from posology.client import Client, gate_table, is_job, yaml_text
from posology.client.specfile import API_VERSION, KIND, RunFile, at_lines, parse_run
from posology.console import pages
from posology.console.guard import check_csrf, own_form
from posology.console.runs import doses
from posology.core import schema
from posology.core.errors import AlreadyExists, FailedPrecondition, InvalidInput, NotFound, PosologyError, Violation
from posology.core.rpc.impersonation import same_person
from posology.core.visible import visible
from posology.v1alpha1.evaluation_pb2 import ListEvaluationItemsRequest, Verdict
from posology.v1alpha1.job_pb2 import JobStatus, QueueState
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun, ListRunsRequest, RunEvent, Stage, WatchRunRequest

_PAGE = 50
_ORIGIN = "spec"
"""What lines of the editor are counted in: `spec:12`."""
_LOOK_SECONDS, _TOGETHER_SECONDS, _TOGETHER = 2.0, 0.05, 200
"""How often a run is looked at in silence, how long events wait for each other, and how many go together."""
_ITEMS, _ITEM_PAGES = 200, 20
"""Items that a comparison shows, and pages of items that it reads of each run."""


async def listing(request: Request) -> Response:
    """Runs, newest first, by page; `phase` and `name` narrow what a page shows."""
    client: Client = request.app.state.client
    phase, name = request.query_params.get("phase", ""), request.query_params.get("name", "")
    token = request.query_params.get("page", "")
    one_page = ListRunsRequest(parent=client.names.parent, page_size=_PAGE, page_token=token)
    page = await client.orchestrator.ListRuns(one_page)
    runs = [run for run in page.runs if phase in ("", show.phase(run)) and name.lower() in run.name.lower()]
    phases = [value for value, _ in FineTuneRun.Phase.items() if value != "PHASE_UNSPECIFIED"]
    return pages.page(
        request, "runs/list.html", runs=runs, phase=phase, name=name, phases=phases, next=page.next_page_token,
        phase_of=show.phase,
    )  # fmt: skip


async def one(request: Request) -> Response:
    """One run: where it stands, its stages, what waits for a person."""
    client: Client = request.app.state.client
    run = await client.show(request.path_params["run"])
    return pages.page(request, "runs/run.html", spec=_as_yaml(run), **await _shown(request, run))


_LIVE = ("now", "decisions", "doses", "stages", "measured", "logged", "actions")
"""Parts of the page that change with the run; they are the template's blocks."""


async def _shown(request: Request, run: FineTuneRun) -> dict[str, Any]:
    """What the parts of a run's page are made from."""
    paused = [stage for stage in run.stages if stage.state == Stage.PAUSED]
    person = request.state.session.person
    own = person is not None and same_person(person.subject, run.creator)
    return {
        "run": run, "show": show, "queue": QueueState, "own": own,
        "waiting": [stage.stage for stage in paused if stage.stage == "deploy"],
        "reviewed": [stage for stage in paused if "/reviews/" in stage.resource],
        "decides": "Orchestrator/DecideApproval" in request.state.may and not own,
        "ended": show.phase(run) in ("SUCCEEDED", "FAILED", "CANCELLED"),
        "trained": [s.stage for s in run.stages if s.stage in ("sft", "dpo") and s.resource],
        "logs": [s.stage for s in run.stages if is_job(s.resource)],
        **await doses.of(run),
    }  # fmt: skip


async def events(request: Request) -> Response:
    """Server-sent: lines of what happened from behind Last-Event-ID on, and the parts of the page that changed.

    Progress is no event, so the run is looked at every few seconds too. It is read behind the events that came, so what
    a page shows last is never older than what it was told.
    """
    client: Client = request.app.state.client
    run = await client.show(request.path_params["run"])
    token = request.headers.get("last-event-id", "")
    watch = client.orchestrator.WatchRun(WatchRunRequest(name=run.name, resume_token=token))

    async def told() -> AsyncIterator[str]:
        last: dict[str, str] = {}
        resume = token
        try:
            async for came, over in _in_groups(watch):
                now = await client.show(run.name)
                parts = pages.parts(request, "runs/run.html", _LIVE, **await _shown(request, now))
                changed = {name: html for name, html in parts.items() if last.get(name) != html}
                last = parts
                resume = came[-1].resume_token if came else resume
                if came or changed:
                    data = {"lines": [visible(_event_line(event)) for event in came], "parts": changed}
                    yield f"id: {resume}\ndata: {json.dumps(data)}\n\n"
                if over and show.phase(now) in ("SUCCEEDED", "FAILED", "CANCELLED"):
                    yield "event: end\ndata: {}\n\n"
        except PosologyError as error:  # the browser asks again, with the last id it saw
            yield f": {error.message.splitlines()[0] if error.message else 'away'}\n\n"
        finally:
            watch.cancel()

    return _stream(told())


async def _in_groups(watch: Any) -> AsyncIterator[tuple[list[RunEvent], bool]]:
    """Events as they come, those together that come at once; none of them after some seconds of silence. The flag says
    that no more will come."""
    events = aiter(watch)
    following: asyncio.Future[RunEvent] = asyncio.ensure_future(anext(events))
    try:
        while True:
            came: list[RunEvent] = []
            within = _LOOK_SECONDS
            while (await asyncio.wait([following], timeout=within))[0]:
                try:
                    came.append(following.result())
                except StopAsyncIteration:
                    yield came, True
                    return
                following = asyncio.ensure_future(anext(events))
                within = _TOGETHER_SECONDS
                if len(came) >= _TOGETHER:
                    break
            yield came, False
    finally:
        following.cancel()


async def logs(request: Request) -> Response:
    """Server-sent log lines and measurements of a stage's job, from its start or from behind Last-Event-ID."""
    client: Client = request.app.state.client
    run = await client.show(request.path_params["run"])
    stage = next((s for s in run.stages if s.stage == request.path_params["stage"]), None)
    if stage is None or not is_job(stage.resource):
        raise NotFound(f"{request.path_params['stage']} has no log")
    token = request.headers.get("last-event-id", "")

    async def told() -> AsyncIterator[str]:
        try:
            async for event in client.job_events(stage.resource, resume_token=token):
                what = event.WhichOneof("event")
                data: dict[str, Any] = {}
                at = pages.when(event.time, seconds=True)
                if what == "log":
                    fields = " ".join(f"{key}={_plain(value)}" for key, value in event.log.fields.items())
                    data = {"log": visible(f"{at} {event.log.message} {fields}".rstrip())}
                elif what == "metric":
                    data = {"step": event.metric.step, "values": dict(event.metric.values)}
                elif what == "progress":
                    running = Stage(progress=event.progress, state=Stage.RUNNING)
                    message = f"{event.progress.message} {show.progress(running)}".strip()
                    data = {"progress": visible(message)}
                elif what == "status":
                    data = {"log": visible(f"{at} {_status_line(event.status)}")}
                if data:
                    yield f"id: {event.resume_token}\ndata: {json.dumps(data, allow_nan=False, default=str)}\n\n"
            yield "event: end\ndata: {}\n\n"
        except (PosologyError, ValueError) as error:
            yield f"event: end\ndata: {json.dumps({'error': visible(str(error))})}\n\n"

    return _stream(told())


async def cancel(request: Request) -> Response:
    """Stop a run."""
    client: Client = request.app.state.client
    form = await own_form(request)
    await client.cancel(request.path_params["run"], reason=form.get("reason", ""))
    return RedirectResponse(f"/runs/{request.path_params['run']}", 303)


async def decide(request: Request) -> Response:
    """Approve or refuse what waits for a person; the service decides whether this user may."""
    client: Client = request.app.state.client
    form = await own_form(request)
    if form.get("decision") not in ("approve", "refuse"):
        raise InvalidInput.of([Violation("decision", "is approve or refuse")])
    await client.approve(
        request.path_params["run"], stage=form.get("stage", "deploy"),
        approved=form["decision"] == "approve", comment=form.get("comment", ""),
    )  # fmt: skip
    return RedirectResponse(f"/runs/{request.path_params['run']}", 303)


async def editor(request: Request) -> Response:
    """A spec to write, empty or from an earlier run."""
    client: Client = request.app.state.client
    text = _EMPTY
    if source := request.query_params.get("from", ""):
        run = await client.show(source)
        text = _as_yaml(run, name=f"{pages.short(run.name)}-2")
    return pages.page(request, "runs/editor.html", text=text, refused="")


async def validate(request: Request) -> Response:
    """Check a spec as it is written: nothing is stored. 200 with `violations`, empty when all is right."""
    client: Client = request.app.state.client
    check_csrf(request.state.session, request.headers.get("x-csrf", ""))
    try:
        checked = await client.validate(_parsed((await request.body()).decode("utf-8", "replace")))
    except InvalidInput as error:
        wrong = [
            {"field": visible(f"{v.place} {v.field}".strip()), "description": visible(v.description)}
            for v in error.violations
        ]
        return JSONResponse({"message": visible(error.message), "violations": wrong, "stages": []})
    except FailedPrecondition as error:
        return JSONResponse({"message": visible(error.message), "violations": [], "stages": []})
    return JSONResponse({"message": "", "violations": [], "stages": [stage.stage for stage in checked.stages]})


async def submit(request: Request) -> Response:
    """Submit what the editor holds; what is refused comes back with its text, so that nothing written is lost."""
    client: Client = request.app.state.client
    form = await own_form(request)
    try:
        run = await client.submit(_parsed(form.get("spec", "")))
    except (InvalidInput, FailedPrecondition, AlreadyExists) as error:
        return pages.page(request, "runs/editor.html", status=400, text=form.get("spec", ""), refused=error.message)
    return RedirectResponse(f"/runs/{pages.short(run.name)}", 303)


async def compare(request: Request) -> Response:
    """Two runs side by side: what their specs differ in, and what each gate came to."""
    client: Client = request.app.state.client
    names = [name for name in request.query_params.getlist("run") if name][:2]
    if len(names) < 2:
        runs = await client.runs()
        sweep = await client.show(names[0]) if names else None
        return pages.page(
            request, "runs/compare.html", runs=runs[:200], both=None, changed=[], gates=[], lost=[], skipped="",
            first=pages.short(sweep.name) if sweep else "", windows=[await doses.of(sweep)] if sweep else [],
        )  # fmt: skip
    both = list(await asyncio.gather(*(client.show(name) for name in names)))
    specs = [_flat(schema.to_mapping(run.spec)) for run in both]
    keys = sorted(set(specs[0]) | set(specs[1]))
    changed = [
        (key, specs[0].get(key, "–"), specs[1].get(key, "–")) for key in keys if specs[0].get(key) != specs[1].get(key)
    ]
    verdicts = await asyncio.gather(*(client.verdict_of(run) for run in both))
    gates = sorted(gate_table.rows(verdicts), key=lambda row: row.difference or 0.0)
    lost, skipped = await _items(client, both, verdicts)
    return pages.page(
        request, "runs/compare.html", runs=[], both=both, changed=changed, gates=gates, show=show, lost=lost,
        skipped=skipped, outcomes=Verdict.Outcome, measured=gate_table.measured,
        windows=[await doses.of(run) for run in both if run.HasField("window")], first="",
    )  # fmt: skip


async def _items(
    client: Client, both: Sequence[FineTuneRun], verdicts: Sequence[Verdict | None]
) -> tuple[list[dict[str, Any]], str]:
    """Items on which the two tuned models differ, those that the second lost first; and why there are none to show."""
    evaluations = [verdict.evaluation if verdict else "" for verdict in verdicts]
    if not all(evaluations):
        return [], "both runs need an evaluation"
    first, second = await asyncio.gather(*(_scores(client, name) for name in evaluations))
    shared = first.keys() & second.keys()
    if not shared:
        return [], "they have no item with choices in common"
    rows = [
        {
            "suite": key[0],
            "item": key[1],
            "first": first[key],
            "second": second[key],
            "change": second[key] - first[key],
        }
        for key in shared
        if first[key] != second[key]
    ]
    return sorted(rows, key=lambda row: (row["change"], row["suite"], row["item"]))[:_ITEMS], ""


async def _scores(client: Client, evaluation: str) -> dict[tuple[str, str], float]:
    """Whether the tuned model chose right, 1 or 0, by suite and id of the items with choices; of the first pages."""
    scores: dict[tuple[str, str], float] = {}
    token = ""
    for _ in range(_ITEM_PAGES):
        request = ListEvaluationItemsRequest(name=evaluation, page_size=1000, page_token=token)
        page = await client.evaluation.ListEvaluationItems(request)
        for item in page.items:
            fields = item.fields
            choices = (
                [choice.number_value for choice in fields["scores"].list_value.values] if "scores" in fields else []
            )
            if choices and fields["model"].string_value == "tuned":
                chosen = choices.index(max(choices))
                right = float(chosen == int(fields["answer"].number_value))
                scores[(fields["suite"].string_value, fields["id"].string_value)] = right
        token = page.next_page_token
        if not token:
            break
    return scores


_EMPTY = f"""apiVersion: {API_VERSION}
kind: {KIND}
metadata: {{name: my-run}}
spec:
  baseModel: {{uri: "hf://org/name", revision: "<commit>"}}
  curation:
    sources: [{{uri: "file:/data/labels", format: SPL}}]
    pairs: 1000
    review: {{sample: 200}}
  training:
    sft: {{method: LORA}}
  evaluation:
    suites: []
    gates: []
"""


def _parsed(text: str) -> RunFile:
    document = yaml_text.read(text, _ORIGIN)
    try:
        return replace(parse_run(document.value), document=document, origin=_ORIGIN)
    except InvalidInput as error:
        raise at_lines(error, document, _ORIGIN, {}) from None


def _as_yaml(run: FineTuneRun, *, name: str = "") -> str:
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name or pages.short(run.name)},
        "spec": schema.to_mapping(run.spec),
    }
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            key: leaf
            for name, inner in value.items()
            for key, leaf in _flat(inner, f"{at}.{name}" if at else name).items()
        }
    if isinstance(value, list) and value:
        return {key: leaf for i, inner in enumerate(value) for key, leaf in _flat(inner, f"{at}[{i}]").items()}
    return {at: value}


def _event_line(event: RunEvent) -> str:
    return f"{pages.when(event.time, seconds=True)}  {event.stage or 'run'}: {event.state.lower()}. {event.reason}"


def _status_line(status: JobStatus) -> str:
    """What became of the job's worker: each attempt is another one."""
    state = JobStatus.State.Name(status.state).lower()
    worker = f"worker {status.attempt}: " if status.attempt else ""
    queue = f", {QueueState.Name(status.queue_state).lower()}" if status.queue_state else ""
    reason = status.error.message or status.reason
    return f"— {worker}{state}{queue}{'. ' + reason if reason else ''}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _stream(chunks: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(chunks, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


ROUTES = [
    Route("/runs", listing),
    Route("/runs/new", editor),
    Route("/runs/validate", validate, methods=["POST"]),
    Route("/runs/submit", submit, methods=["POST"]),
    Route("/runs/compare", compare),
    Route("/runs/{run}", one),
    Route("/runs/{run}/events", events),
    Route("/runs/{run}/cancel", cancel, methods=["POST"]),
    Route("/runs/{run}/decide", decide, methods=["POST"]),
    Route("/runs/{run}/stages/{stage}/log", logs),
]
