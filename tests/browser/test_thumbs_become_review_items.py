"""An application developer asks, thinks the answer bad and says so; a lead has it reviewed; a pharmacist rates it."""

from collections.abc import Iterator

import pytest
from browser.answering import Model, answering
from browser.conftest import Console
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def playground(console: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Console, Model]]:
    with answering(console, tmp_path_factory.mktemp("answering")) as served:
        yield served


@pytest.fixture
def asking(playground: tuple[Console, Model], browser: Browser) -> Iterator[Page]:
    """A page that has asked, by the keyboard alone."""
    console, _ = playground
    context = browser.new_context(base_url=console.url)
    page = context.new_page()
    page.goto(console.link())
    page.wait_for_url("**/runs")
    page.goto("/playground")
    yield page
    context.close()


def ask(page: Page, question: str) -> None:
    page.focus("#question")
    page.keyboard.type(question)
    page.keyboard.press("Control+Enter")


def test_a_thumb_becomes_an_item_that_somebody_rates(
    asking: Page, console: Console, playground: tuple[Console, Model]
) -> None:
    page = asking
    ask(page, "My name is Mary Jones. What is the dose?")
    expect(page.locator(".answer")).to_contain_text("5 mg daily")
    page.focus("[data-thumb=DOWN]")
    page.keyboard.press("Enter")
    expect(page.locator(".marked")).to_contain_text("stored")
    page.keyboard.press("Tab")
    page.keyboard.type("The label says 10 mg")
    page.keyboard.press("Enter")
    expect(page.locator("[data-thumb=DOWN]")).to_have_attribute("aria-pressed", "true")
    page.goto("/review")
    expect(page.locator("main")).to_contain_text("1 as bad, 0 as good")
    page.fill("[name=name]", "marked-answers")
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/marked-answers")
    page.fill("[name=reviewer]", "Ada")
    page.select_option("[name=kind]", "pharmacist")
    page.click("text=Begin")
    page.wait_for_selector("#screen:not([hidden])")
    shown = page.inner_text("#screen")
    assert "What is the dose?" in shown
    for named in ("Mary", "Smith", "555-123", "10 mg"):
        assert named not in shown
    page.keyboard.press("3")
    expect(page.locator("#done")).to_contain_text("Nothing is left")
    page.click("text=Confirm my ratings")
    expect(page.locator("#standing")).to_contain_text("no error rate of the model follows")
    page.goto("/review")
    assert "Answers that users marked" not in page.inner_text("main")


def test_an_installation_that_keeps_no_text_says_what_a_thumb_is_worth(
    asking: Page, playground: tuple[Console, Model]
) -> None:
    playground[1].keeps_text = False
    try:
        ask(asking, "What is the dose?")
        asking.click("[data-thumb=UP]")
        expect(asking.locator(".marked")).to_contain_text("keeps no text")
        asking.goto("/review")
        expect(asking.locator("main")).to_contain_text("1 of them cannot be shown")
        assert asking.locator("text=Open a review").count() == 0
    finally:
        playground[1].keeps_text = True


def test_an_answer_that_breaks_off_is_not_shown_as_a_whole_one(asking: Page, playground: tuple[Console, Model]) -> None:
    playground[1].breaks = True
    try:
        ask(asking, "What is the dose?")
        expect(asking.locator(".state")).to_contain_text("the answer is not whole")
        assert asking.locator(".marks:visible").count() == 0
    finally:
        playground[1].breaks = False


def test_two_models_answer_beside_each_other(asking: Page) -> None:
    asking.select_option("#other", index=1)
    ask(asking, "What is the dose?")
    expect(asking.locator("#sides .answer")).to_have_count(2)
    for side in asking.locator("#sides .answer").all():
        expect(side).to_contain_text("5 mg daily")
