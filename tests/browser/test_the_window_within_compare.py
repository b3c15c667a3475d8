"""The therapeutic window where runs are compared: picture, recommended dose and reason, under the strict policy."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect
from unit.cli.test_window_is_shown import message

from posology.cli import show
from posology.client import gate_table
from posology.console import guard, pages
from posology.console.runs import doses
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

pytestmark = pytest.mark.slow


def compared(csrf: str) -> str:
    """The page of two runs, one of which is a sweep."""
    sweep = FineTuneRun(name="namespaces/default/fineTuneRuns/sweep", phase=FineTuneRun.SUCCEEDED, window=message())
    plain = FineTuneRun(name="namespaces/default/fineTuneRuns/plain", phase=FineTuneRun.FAILED)
    with ThreadPoolExecutor(1) as apart:  # the browser's own loop runs in this thread
        windows = [apart.submit(asyncio.run, doses.of(sweep)).result()]
    values: dict[str, Any] = {
        "path": "/runs/compare", "session": type("Session", (), {"csrf": csrf, "person": None}), "may": {""},
        "runs": [], "both": [sweep, plain], "changed": [], "gates": [], "show": show, "lost": [], "skipped": "",
        "outcomes": Verdict.Outcome, "measured": gate_table.measured, "windows": windows, "first": "",
    }  # fmt: skip
    return pages.environment().get_template("runs/compare.html").render(values)


@pytest.fixture
def window(page: Page) -> Page:
    """The page with the headers that the console sends."""

    def answer(route: Route) -> None:
        route.fulfill(body=compared("x"), content_type="text/html", headers=dict(guard.HEADERS))

    page.route("**/runs/compare?*", answer)
    page.goto("/runs/compare?run=micro&run=micro", wait_until="domcontentloaded")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dose_its_reason_and_the_picture_are_there(window: Page, scheme: Any) -> None:
    window.emulate_media(color_scheme=scheme)
    expect(window.locator("main")).to_contain_text(message().comparison.sentence or message().sentence)
    expect(window.locator("main")).to_contain_text("recommended")
    picture = window.locator("figure.window svg")
    expect(picture).to_have_attribute("role", "img")
    ink = picture.locator("text").first.evaluate("text => getComputedStyle(text).fill")
    paper = window.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ink != paper
    assert picture.evaluate("svg => svg.getBoundingClientRect().width") > 500
    assert Axe().run(window).response["violations"] == []
    window.set_viewport_size({"width": 390, "height": 800})
    assert window.evaluate("document.documentElement.scrollWidth") <= 390


def test_no_style_that_pages_forbid_is_left(window: Page) -> None:
    assert window.evaluate("document.querySelectorAll('[style], style').length") == 0
