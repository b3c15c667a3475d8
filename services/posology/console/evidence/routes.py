"""Evidence: a run's verdict and why, an artifact's lineage, search, and recall with withdrawal."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from posology.cli import model_card as cards
from posology.client import Client
from posology.client.explain import explain
from posology.client.recall import recall, withdraw_all
from posology.console import pages
from posology.console.guard import own_form
from posology.core.errors import InvalidInput, NotFound, Violation
from posology.v1alpha1 import catalog_pb2
from posology.v1alpha1.evaluation_pb2 import ListVerdictsRequest, Verdict

_ANSWER_ID = re.compile(r"[0-9a-f]{30}")
"""As the gateway draws them; ids of sections and labels are longer, or have dashes."""


async def overview(request: Request) -> Response:
    """Verdicts, newest first, and one box to search by answer, label or drug."""
    client: Client = request.app.state.client
    newest = ListVerdictsRequest(parent=client.names.parent, page_size=50)
    verdicts = (await client.evaluation.ListVerdicts(newest)).verdicts
    runs = {stage.resource: run.name for run in await client.runs() for stage in run.stages if stage.stage == "verdict"}
    return pages.page(request, "evidence/overview.html", verdicts=verdicts, outcomes=Verdict.Outcome, runs=runs)


async def search(request: Request) -> Response:
    """An answer's id leads to what stands behind it; anything else is taken as section, label, drug or file."""
    what = request.query_params.get("what", "").strip()
    if not what:
        raise InvalidInput.of([Violation("what", "say an answer's id, a label's set id, a section, a drug or a file")])
    client: Client = request.app.state.client
    bare = _ANSWER_ID.fullmatch(what) is not None
    if bare or "/answers/" in what or what.startswith("answer:"):
        try:
            explained = await explain(client, what.removeprefix("answer:"))
            return pages.page(request, "evidence/answer.html", explained=explained)
        except NotFound:
            if not bare:
                raise  # a bare one may be the id of a section
    return pages.page(request, "evidence/recall.html", what=what, recalled=await recall(client, what))


async def withdraw(request: Request) -> Response:
    """Withdraw all that rests on a source; asks twice: the form names what it would withdraw, and wants it typed."""
    client: Client = request.app.state.client
    form = await own_form(request)
    what, reason = form.get("what", ""), form.get("reason", "").strip()
    if form.get("typed", "") != what:
        raise InvalidInput.of([Violation("typed", f"type {what} to say that you mean it")])
    if not reason:
        raise InvalidInput.of([Violation("reason", "say why; it stands in the audit trail")])
    await withdraw_all(client, await recall(client, what), reason=reason, stop_serving="stop" in form)
    return RedirectResponse(f"/evidence/search?what={quote(what)}", 303)


async def of_run(request: Request) -> Response:
    """Verdict first, then why."""
    from posology.cli import report  # brings matplotlib, which no other page should wait for
    from posology.cli.report.page import gate_plot

    client: Client = request.app.state.client
    gathered = await report.gather(client, request.path_params["run"])
    card = bool(_weights(gathered.lineage))
    return pages.page(request, "evidence/run.html", report=gathered, plot=gate_plot, card=card)


async def model_card(request: Request) -> Response:
    """The card of the run's weights, as a file beside them would say it."""
    from posology.cli import report

    client: Client = request.app.state.client
    run = await client.show(request.path_params["run"])
    weights = _weights(await report.lineage(client, client.stored(), run))
    if weights is None:
        raise NotFound(f"{pages.short(run.name)} has made no weights")
    card = await cards.of_run(client, run, weights.digest, kind=weights.kind)
    name = f"{pages.short(run.name)}-card.md"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(cards.render(card), media_type="text/markdown; charset=utf-8", headers=headers)


def _weights(lineage: Sequence[Any]) -> Any:
    """The weights that a run made last: merged ones, else the adapter; None before there are any."""
    of_kind = {one.kind: one for one in reversed(lineage)}
    return of_kind.get("model") or of_kind.get("adapter")


async def as_file(request: Request) -> Response:
    """The report as one page that can be kept; it is sent as a file, so its inline style never runs here."""
    from posology.cli import report

    client: Client = request.app.state.client
    gathered = await report.gather(client, request.path_params["run"])
    text = await asyncio.to_thread(report.render, gathered)
    name = f"{pages.short(gathered.run)}.html"
    return HTMLResponse(text, headers={"content-disposition": f'attachment; filename="{name}"'})


async def artifact(request: Request) -> Response:
    """One artifact with its parents and what was made from it: the graph, a step at a time."""
    client: Client = request.app.state.client
    digest = request.path_params["digest"]
    one = await client.catalog.GetArtifact(catalog_pb2.GetArtifactRequest(name=client.names.artifact(digest)))
    up, down = await asyncio.gather(client.trace(digest), client.trace(digest, down=True))
    known: dict[str, Any] = {each.digest: each for each in (*up, *down)}
    parents = [known[parent] for parent in one.parents if parent in known]
    children = [each for each in down if one.digest in each.parents]
    return pages.page(
        request, "evidence/artifact.html", artifact=one, parents=parents, children=children, behind=len(up) - 1,
        after=len(down) - 1,
    )  # fmt: skip


ROUTES = [
    Route("/evidence", overview),
    Route("/evidence/search", search),
    Route("/evidence/withdraw", withdraw, methods=["POST"]),
    Route("/evidence/artifacts/{digest}", artifact),
    Route("/evidence/{run}", of_run),
    Route("/evidence/{run}/report.html", as_file),
    Route("/evidence/{run}/card.md", model_card),
]
