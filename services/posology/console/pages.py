"""Templates: one environment, autoescaped and strict, with the few filters that every page uses."""

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from posology.core.visible import visible

HERE = Path(__file__).parent
AREAS = (
    ("/review", "Review", "Curation/ListReviews"),
    ("/runs", "Runs", "Orchestrator/ListRuns"),
    ("/evidence", "Evidence", "Evaluation/ListVerdicts"),
    ("/data", "Data", "Catalog/ListArtifacts"),
    ("/playground", "Playground", "Gateway/CreateApiKey"),
)
"""Path, name, and the call without which there is nothing to see."""


def short(name: str) -> str:
    """The last part of a resource name; the first twelve digits of a digest."""
    if name.startswith("sha256:"):
        return name[7:19]
    return name.rpartition("/")[2]


def when(stamp: Timestamp | None, *, seconds: bool = False) -> str:
    """A time of the wire in UTC, to the minute or the second; "" for none."""
    if stamp is None or stamp.seconds == 0:
        return ""
    return datetime.fromtimestamp(stamp.seconds, UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def lasted(seconds: float) -> str:
    """A span of time as people say it."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def environment() -> Environment:
    """The pages' templates, found by area: `runs/list.html`."""
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"visible": visible, "short": short, "when": when, "lasted": lasted}
    made.globals["AREAS"] = AREAS
    return made


_ENVIRONMENT = environment()


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page. Text in `values` is escaped by the environment, and made visible where a template says so."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(_context(request, values)), status)


def parts(request: Request, template: str, names: Sequence[str], **values: Any) -> dict[str, str]:
    """Blocks of a page, as the page itself would have them."""
    made = _ENVIRONMENT.get_template(template)
    context = made.new_context(dict(_context(request, values)))
    return {name: "".join(made.blocks[name](context)) for name in names}


def _context(request: Request, values: Mapping[str, Any]) -> Mapping[str, Any]:
    session = getattr(request.state, "session", None)
    may: Container[str] = getattr(request.state, "may", frozenset())
    return {"path": request.url.path, "session": session, "may": may, **values}
