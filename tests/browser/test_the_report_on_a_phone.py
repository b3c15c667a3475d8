"""The report of a run in a real browser: it fits a phone, and its contents lead to its sections."""

import dataclasses
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from unit.cli.test_report import FULL, REGRESSIONS

from posology.cli.report import render


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("report") / "report.html"
    whole = dataclasses.replace(
        FULL, regressions=REGRESSIONS, tries=("everyday: the 2nd use",), outcome="INSUFFICIENT_EVIDENCE"
    )
    page.write_text(render(whole), encoding="utf-8")
    return page


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_page(report: Path, browser: Browser, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_contents_lead_to_their_sections_and_axe_finds_no_fault(report: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="Worst regressions").click()
    assert page.evaluate("document.querySelector(':target').textContent") == "Worst regressions"
    faults = Axe().run(page).response["violations"]
    assert faults == [], [fault["id"] for fault in faults]
    page.close()
