"""Labels, questions, answers and names are written by strangers: nothing of them runs, hides or breaks a page."""

from pathlib import Path

import pytest
from browser.conftest import Console
from browser.rows import HOSTILE, pair, preference, section
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


def looked_at(page: Page, path: str) -> None:
    """Open a page, and hold it against what hostile text would have done."""
    answer = page.goto(path)
    assert answer is not None
    assert answer.status < 500, path
    page.wait_for_timeout(400)
    assert page.evaluate("document.querySelectorAll('img[src=\"x\"], main script, [onerror]').length") == 0, path
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_no_page_runs_or_hides_what_strangers_wrote(console: Console, browser: Browser, tmp_path: Path) -> None:
    tags = {"tags": ["possible-contradiction"]}
    rows = [pair(n, f"{n} {HOSTILE}", HOSTILE, evidence=HOSTILE, drug=HOSTILE) | tags for n in range(6)]
    drops = [{"reason": HOSTILE, "detail": HOSTILE, "source": HOSTILE}]
    gaps = [{"missing": HOSTILE, "reason": HOSTILE, "drug": HOSTILE, "source": HOSTILE}]
    sections = [section(0, HOSTILE * 3, title=HOSTILE, drug=HOSTILE)]
    subject = console.publish(tmp_path / "set", "dataset", train=rows, sections=sections, drops=drops, gaps=gaps)
    pairs = [preference(n, f"{n} {HOSTILE}", HOSTILE, f"other {HOSTILE}") for n in range(6)]
    chosen = console.publish(tmp_path / "pairs", "preferences", preferences=pairs, sections=sections)
    console.open_review("hostile", sample=6, subject=subject)
    console.open_review("hostile-pairs", sample=6, subject=chosen)
    page = console.person(browser, HOSTILE[:200], "hostile")
    complaints: list[str] = []
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    page.wait_for_selector("#screen:not([hidden])")
    assert "[U+202E]" in page.inner_text("#question")
    assert "<script>alert(1)</script>" in page.inner_text("#answers")
    page.keyboard.press("c")
    page.fill("#comment", HOSTILE[:300])
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    for path in (
        "/review", "/review/hostile", "/review/hostile-pairs", f"/data/{subject}", f"/data/{subject}?q=alert",
        f"/data/{chosen}",
        f"/evidence/artifacts/{subject}", "/evidence/search?what=%3Cscript%3Ealert(1)%3C/script%3E",
        "/runs?name=%3Cimg%20src=x%20onerror=alert(1)%3E", "/runs/%3Cscript%3E", "/runs/new?from=%22%3E%3Cscript%3E",
        "/sign-in?then=/%22onmouseover=alert(1)",
    ):  # fmt: skip
        looked_at(page, path)
    assert complaints == []
