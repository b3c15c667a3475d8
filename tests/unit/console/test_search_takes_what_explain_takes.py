"""The search box takes an answer's id as `posology explain` does, bare or whole; what is none is a source."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from posology.console import pages
from posology.console.evidence import routes
from posology.core.errors import NotFound
from posology.gateway.answers import new_answer_id

KNOWN, GONE = new_answer_id(), new_answer_id()


@pytest.fixture(autouse=True)
def _services(monkeypatch: pytest.MonkeyPatch) -> None:
    async def explain(_: object, answer: str) -> str:
        if answer.rpartition("/")[2] != KNOWN:
            raise NotFound(f"there is no answer {answer}")
        return answer

    async def recall(_: object, what: str) -> str:
        return what

    monkeypatch.setattr(routes, "explain", explain)
    monkeypatch.setattr(routes, "recall", recall)
    monkeypatch.setattr(pages, "page", lambda _, template, **__: PlainTextResponse(template))


def page_of(what: str) -> str:
    state = SimpleNamespace(client=None)
    scope: dict[str, Any] = {
        "type": "http", "query_string": f"what={what}".encode(), "app": SimpleNamespace(state=state), "headers": [],
    }  # fmt: skip
    return bytes(asyncio.run(routes.search(Request(scope))).body).decode()


@pytest.mark.parametrize("form", ["{}", "answer:{}", "namespaces/default/answers/{}"])
def test_an_answers_id_leads_to_what_stands_behind_it(form: str) -> None:
    assert page_of(form.format(KNOWN)) == "evidence/answer.html"


@pytest.mark.parametrize(
    "what", ["Limranib", "0123456789ab", pytest.param(GONE, id="gone"), "5a2b5c1e-6d5f-4a1c-9a55-0f0f0f0f0f0f"]
)
def test_anything_else_is_a_source(what: str) -> None:
    assert page_of(what) == "evidence/recall.html"


def test_a_whole_name_of_no_answer_is_said_to_be_none() -> None:
    with pytest.raises(NotFound):
        page_of(f"namespaces/default/answers/{GONE}")
