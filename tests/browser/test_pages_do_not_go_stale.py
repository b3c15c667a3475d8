"""A page says what is, however fast things change behind it: what the server wrote first is replaced when it is not so.

Each case serves a page as an earlier moment would have had it, which is what a reader of a fast machine gets.
"""

import re
from collections.abc import Callable

import pytest
from browser.conftest import Console
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.slow


def first_as(page: Page, path: str, change: Callable[[str], str]) -> None:
    """Have the first answer of a page changed; later ones are true."""
    seen: list[str] = []

    def answer(route: Route) -> None:
        if seen or route.request.resource_type != "document":
            route.continue_()
            return
        seen.append(route.request.url)
        got = route.fetch()
        route.fulfill(response=got, body=change(got.text()))

    page.route(re.compile(re.escape(path) + "$"), answer)


def running(html: str) -> str:
    return html.replace('chip good">succeeded', 'chip busy">running').replace('chip good">passed', 'chip busy">open')


@pytest.mark.parametrize(("path", "part"), [("/runs/micro", "#now"), ("/runs/micro", "#stages"), ("/runs", "#runs")])
def test_what_ended_since_is_shown_as_ended(page: Page, path: str, part: str) -> None:
    first_as(page, path, running)
    page.goto(path, wait_until="commit")
    expect(page.locator(part)).to_contain_text("succeeded", timeout=15_000)
    expect(page.locator(f"{part} .chip.busy")).to_have_count(0)


def test_a_decision_that_somebody_else_has_made_is_offered_to_nobody(page: Page) -> None:
    form = '<form method="post" action="/runs/micro/decide"><input name="comment"><button>Approve</button></form>'
    begin = '<div id="decisions" data-live>'
    first_as(page, "/runs/micro", lambda html: html.replace(begin, begin + form))
    page.goto("/runs/micro", wait_until="commit")
    expect(page.locator("text=Approve")).to_have_count(0, timeout=15_000)


def test_stages_that_began_since_have_their_buttons(page: Page) -> None:
    first_as(
        page, "/runs/micro", lambda html: re.sub(r'<button class="plain" data-(log|curve)=[^/]*/button>', "", html)
    )
    page.goto("/runs/micro", wait_until="commit")
    page.click("[data-log=curate]", timeout=15_000)
    expect(page.locator("#log")).to_contain_text("sources read")
    page.click("[data-curve=sft]")
    expect(page.locator("#curve .uplot").first).to_be_visible()


def test_what_somebody_types_stays_while_the_rest_is_replaced(console: Console, page: Page) -> None:
    page.goto("/runs/micro")
    kept = page.evaluate(
        """() => { const same = '<label>Reason <input name="reason"></label>';
                   const box = () => document.querySelector("[name=reason]");
                   Live.swap("actions", same); box().value = "because"; box().focus();
                   Live.swap("actions", same); const value = box().value;
                   Live.swap("actions", same + "<p>more</p>");
                   return [value, document.activeElement === box()]; }"""
    )
    assert kept == ["because", True]


def test_the_review_s_own_numbers_follow_what_was_rated(console: Console, browser: Browser) -> None:
    console.open_review("numbers")
    page = console.person(browser, "Ada", "numbers")
    page.wait_for_selector("#screen:not([hidden])")
    page.click("text=How the review stands")
    for number in range(6):
        expect(page.locator("#count")).to_contain_text(f"{number} of 6 rated")
        page.keyboard.press("1")  # at once: what is asked for meanwhile does not know of it yet
    expect(page.locator("#standing")).to_contain_text("6 of 6", timeout=10_000)
    assert page.locator("#standing").get_attribute("open") is not None
    page.click("text=Confirm my ratings")
    expect(page.locator("#head .chip")).to_have_text("passed", timeout=15_000)
    expect(page.locator("#done")).to_contain_text("The review is passed")
    page.context.close()


def test_a_spec_that_is_being_written_can_t_be_sent_as_the_one_before(page: Page) -> None:
    answers = [{"message": "", "violations": [], "stages": ["plan"]}, {"message": "wrong", "violations": []}]
    page.route("**/runs/validate", lambda route: route.fulfill(json=answers.pop(0)))
    page.goto("/runs/new?from=micro")
    expect(page.locator("#submit")).to_be_enabled()
    page.focus("#spec")
    page.keyboard.type("x")
    expect(page.locator("#submit")).to_be_disabled(timeout=400)  # half a second passes before it is checked
    expect(page.locator("#checked")).to_have_text("wrong")


def test_a_spec_that_is_refused_comes_back_with_its_text(page: Page) -> None:
    page.goto("/runs/new?from=micro")
    text = page.input_value("#spec").replace("micro-2", "micro")
    page.fill("#spec", text + "# mine\n")
    expect(page.locator("#checked")).not_to_have_text("checking …", timeout=15_000)
    page.evaluate("document.getElementById('submit').disabled = false")
    page.click("#submit")
    expect(page.locator("[role=alert]")).to_contain_text("not submitted")
    assert page.input_value("#spec").endswith("# mine\n")
