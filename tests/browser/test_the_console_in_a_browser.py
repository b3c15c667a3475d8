"""The console as its users have it: real Chromium, the services behind it, the keyboard."""

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.conftest import DATASET, Console
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow

PAGES = (
    "/review", "/runs", "/runs/micro", "/runs/new?from=micro", "/runs/compare?run=micro&run=micro", "/evidence",
    "/evidence/micro", "/evidence/search?what=Limranib", f"/evidence/artifacts/{DATASET}", f"/data/{DATASET}", "/data",
    "/playground",
)  # fmt: skip


def introduce(page: Page, name: str = "Ada") -> None:
    """Say who reviews, unless this session has said so."""
    if page.locator("[name=reviewer]").count():
        page.fill("[name=reviewer]", name)
        page.select_option("[name=kind]", "pharmacist")
        page.click("text=Begin")
    page.wait_for_selector("#screen:not([hidden])")


def test_a_link_signs_in_once(console: Console, browser: Browser) -> None:
    link = console.link()
    first, second = browser.new_context().new_page(), browser.new_context().new_page()
    first.goto(link)
    first.wait_for_url("**/runs")
    assert "#" not in first.url
    second.goto(link)
    expect(second.locator("h1")).to_have_text("That was not done")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_without_a_fault_of_accessibility_on_desk_and_phone(page: Page, path: str) -> None:
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200
    page.wait_for_timeout(300)
    faults = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(fault["id"], [node["html"] for node in fault["nodes"]][:3]) for fault in faults] == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_review_is_done_with_one_key_an_item_and_taken_back_with_one(console: Console, page: Page) -> None:
    console.open_review("by-keyboard")
    page.goto("/review/by-keyboard")
    introduce(page)
    first = page.inner_text("#answers") + page.inner_text("#section")
    page.keyboard.press("1")
    expect(page.locator("#count")).to_contain_text("1 of 6 rated")
    page.keyboard.press("u")
    assert page.inner_text("#answers") + page.inner_text("#section") == first
    page.keyboard.press("3")
    expect(page.locator("#saving")).to_have_text("saved")
    expect(page.locator("#count")).to_contain_text("1 of 6 rated, 5 left")
    for _ in range(5):
        page.wait_for_function("document.getElementById('saving').textContent === 'saved'")
        page.keyboard.press("1")
        page.wait_for_timeout(150)
    expect(page.locator("#done")).to_contain_text("Nothing is left for you")
    page.keyboard.press("u")
    page.keyboard.press("1")
    page.click("text=Confirm my ratings")
    expect(page.locator("#done")).to_contain_text("The review is failed. The error rate is under 58.18%")


def test_what_was_judged_while_the_network_was_away_is_sent_later(console: Console, page: Page) -> None:
    console.open_review("away")
    page.goto("/review/away")
    introduce(page)
    page.context.set_offline(True)
    page.keyboard.press("2")
    expect(page.locator("#saving")).to_contain_text("kept in this browser")
    page.context.set_offline(False)
    expect(page.locator("#saving")).to_have_text("saved", timeout=15_000)
    expect(page.locator("#count")).to_contain_text("1 of 6 rated")


def test_a_spec_is_checked_as_it_is_written(page: Page) -> None:
    page.goto("/runs/new?from=micro")
    text = page.input_value("#spec")
    page.fill("#spec", text.replace("rank: 4", "rnak: 4", 1))
    expect(page.locator("#checked")).to_contain_text("rnak")
    expect(page.locator("#submit")).to_be_disabled()


def test_a_run_shows_its_curves_and_logs(page: Page) -> None:
    page.goto("/runs/micro")
    page.click("[data-curve=sft]")
    expect(page.locator("#curve .uplot").first).to_be_visible()
    page.click("[data-log=curate]")
    expect(page.locator("#log")).to_contain_text("sources read")


def test_nothing_is_fetched_from_elsewhere(console: Console, page: Page) -> None:
    elsewhere: list[str] = []
    page.on(
        "request", lambda request: elsewhere.append(request.url) if not request.url.startswith(console.url) else None
    )
    page.goto("/runs/micro")
    page.goto("/evidence/micro")
    assert [url for url in elsewhere if not url.startswith((console.url, "data:"))] == []


# --- who lies to it --------------------------------------------------------------------------------------


def cookies(signed_in: dict[str, object]) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in signed_in["cookies"]}  # type: ignore[attr-defined]


def test_without_a_session_there_is_only_the_sign_in(console: Console) -> None:
    for path in PAGES:
        answer = httpx.get(f"{console.url}{path}")
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")
    assert httpx.post(f"{console.url}/runs/micro/cancel").status_code == 401
    for secret in ("", "x", "é", "a" * 100_000):
        assert httpx.post(f"{console.url}/sign-in", data={"secret": secret}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}, {}],
)
def test_another_site_s_form_is_refused(
    console: Console, signed_in: dict[str, object], headers: dict[str, str]
) -> None:
    answer = httpx.post(
        f"{console.url}/runs/micro/cancel", headers=headers, cookies=cookies(signed_in), data={"csrf": "guessed"}
    )
    assert answer.status_code == 403


def test_answers_tell_browsers_to_run_nothing_inline(console: Console, signed_in: dict[str, object]) -> None:
    answer = httpx.get(f"{console.url}/runs", cookies=cookies(signed_in))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/runs/..%2f..%2fetc", "/evidence/artifacts/nope", "/data/sha256:00", "/review/none", "/runs?page=forged"]
)
def test_what_is_not_there_is_said_in_a_sentence(console: Console, signed_in: dict[str, object], path: str) -> None:
    answer = httpx.get(f"{console.url}{path}", cookies=cookies(signed_in))
    assert 400 <= answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


def test_the_model_card_is_a_file_about_the_weights_that_the_run_made(page: Page) -> None:
    card = page.request.get("/evidence/micro/card.md")
    assert card.status == 200, card.text()
    assert card.headers["content-disposition"] == 'attachment; filename="micro-card.md"'
    assert "sha256:" in card.text()
