"""Reviewing as pharmacists do it: no waits, nothing lost, blind, and decided by a third where two disagree."""

import csv
import json
from pathlib import Path

import httpx
import pytest
from browser.conftest import Console
from browser.rows import pair, preference, section
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow
SLOW_NETWORK = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1}


@pytest.fixture(scope="module")
def doses(console: Console, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of twenty pairs."""
    rows = [
        pair(n, f"What is the dose of drug {n}?", f"Give {n} mg twice daily.", evidence=f"Give {n} mg once daily.")
        for n in range(1, 21)
    ]
    text = " ".join(f"Give {n} mg once daily." for n in range(1, 21))
    folder = tmp_path_factory.mktemp("doses") / "set"
    return console.publish(folder, "dataset", train=rows, sections=[section(0, text)])


def begin(page: Page) -> None:
    page.wait_for_selector("#screen:not([hidden])")


def follows(page: Page, question: str) -> None:
    """Wait until another item, or none, is shown."""
    page.wait_for_function(
        "q => { const at = (id) => document.getElementById(id);"
        " return at('screen').hidden || at('question').textContent !== q; }",
        arg=question,
    )


def stored(console: Console, review: str) -> int:
    return console.call(lambda client: client.review(review)).summary.rated


def test_the_next_item_is_there_before_the_network_has_answered(console: Console, browser: Browser, doses: str) -> None:
    console.open_review("ahead", sample=20, subject=doses)
    page = console.person(browser, "Ada", "ahead")
    begin(page)
    page.wait_for_timeout(500)
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW_NETWORK)
    waits = page.evaluate(
        """async () => {
          const waits = [];
          for (let n = 0; n < 6; n++) {
            const before = document.getElementById("question").textContent, began = performance.now();
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
            const same = () => document.getElementById("question").textContent === before;
            while (same() && performance.now() - began < 5000) await new Promise(requestAnimationFrame);
            waits.push(performance.now() - began);
          }
          return waits;
        }"""
    )
    assert max(waits) < 100, waits
    expect(page.locator("#saving")).to_have_text("saved", timeout=15_000)
    assert stored(console, "ahead") == 6


def test_what_was_judged_before_the_browser_died_is_sent_by_the_next_one(
    console: Console, browser: Browser, doses: str
) -> None:
    console.open_review("crash", sample=20, subject=doses)
    page = console.person(browser, "Ada", "crash")
    begin(page)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    for key in "1231":
        page.keyboard.press(key)
    expect(page.locator("#saving")).to_contain_text("kept in this browser")
    again = page.context.new_page()
    page.close()
    assert stored(console, "crash") == 0
    again.context.set_offline(False)
    again.goto("/review/crash")
    expect(again.locator("#saving")).to_have_text("saved", timeout=15_000)
    expect(again.locator("#count")).to_contain_text("4 of 20 rated, 16 left")
    assert stored(console, "crash") == 4


def test_what_another_person_left_in_this_browser_is_not_sent_as_one_s_own(
    console: Console, browser: Browser, doses: str
) -> None:
    console.open_review("shared", sample=20, subject=doses, reviewers=2)
    page = console.person(browser, "Ada", "shared")
    begin(page)
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.context.set_offline(False)
    page.evaluate(
        "localStorage.setItem('posology-unsent-shared-Eve', localStorage.getItem('posology-unsent-shared-Ada'))"
    )
    page.evaluate("localStorage.removeItem('posology-unsent-shared-Ada')")
    page.reload()
    begin(page)
    page.wait_for_timeout(400)
    assert stored(console, "shared") == 0


def test_undo_goes_back_over_ten_and_no_further(console: Console, browser: Browser, doses: str) -> None:
    console.open_review("undo", sample=20, subject=doses)
    page = console.person(browser, "Ada", "undo")
    begin(page)
    questions = []
    for _ in range(12):
        questions.append(page.inner_text("#question"))
        page.keyboard.press("1")
        page.wait_for_function("q => document.getElementById('question').textContent !== q", arg=questions[-1])
    for expected in reversed(questions[2:]):
        page.keyboard.press("u")
        assert page.inner_text("#question") == expected
    page.keyboard.press("u")
    assert page.inner_text("#question") == questions[2]
    assert page.locator("#back").is_disabled()
    page.keyboard.press("4")
    page.wait_for_function("q => document.getElementById('question').textContent === q", arg=questions[3])


def test_a_correction_is_proposed_in_place(console: Console, browser: Browser, doses: str) -> None:
    console.open_review("corrected", sample=20, subject=doses, max_error_rate=0.9)
    page = console.person(browser, "Ada", "corrected")
    begin(page)
    answer = page.inner_text("#answers .answer")
    page.keyboard.press("e")
    assert page.input_value("#correction") == answer
    page.fill("#correction", answer.replace("twice", "once"))
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator("#saving")).to_contain_text("not correct")
    page.keyboard.press("f")
    page.keyboard.press("3")
    for _ in range(19):
        page.wait_for_selector("#screen:not([hidden])")
        before = page.inner_text("#question")
        page.keyboard.press("1")
        follows(page, before)
    page.click("text=Confirm my ratings")
    expect(page.locator("h1 + .chip")).to_have_text("passed", timeout=15_000)
    page.click("text=How the review stands")
    expect(page.locator("details table")).to_contain_text(answer.replace("twice", "once"))


def test_two_disagree_and_a_third_decides_without_knowing_who_said_what(
    console: Console, browser: Browser, doses: str
) -> None:
    console.open_review("disputed", sample=6, subject=doses, reviewers=2, max_error_rate=0.9)
    for name, key in (("Ada", "1"), ("Bob", "3")):
        page = console.person(browser, name, "disputed")
        begin(page)
        for _ in range(6):
            before = page.inner_text("#question")
            if name == "Bob":
                page.keyboard.press("c")
                page.fill("#comment", "wrong dose")
                page.keyboard.press("Escape")
            page.keyboard.press(key)
            follows(page, before)
        expect(page.locator("#saving")).to_have_text("saved")
    third = console.person(browser, "Cleo", "disputed")
    third.goto("/review")
    third.click("text=adjudicate 6")
    begin(third)
    expect(third.locator("#against")).to_contain_text("major error · wrong dose")
    shown = third.inner_text("body")
    assert "Ada" not in shown
    assert "Bob" not in shown
    third.keyboard.press("1")
    expect(third.locator("#count")).to_contain_text("1 of 6 decided, 5 left")
    third.goto("/review/disputed")
    third.click("text=How the review stands")
    expect(third.locator("details dl")).to_contain_text("agreement of two")


def test_pairs_stand_side_by_side_in_an_order_that_tells_nothing(
    console: Console, browser: Browser, tmp_path: Path
) -> None:
    rows = [preference(n, f"Dose of {n}?", f"good {n}", f"bad {n}") for n in range(12)]
    subject = console.publish(tmp_path / "set", "preferences", preferences=rows, sections=[section(0, "good and bad")])
    console.open_review("pairs", sample=12, subject=subject)
    page = console.person(browser, "Ada", "pairs")
    begin(page)
    sides = []
    for _ in range(12):
        first, second = (page.locator("#answers .answer").nth(n).inner_text() for n in (0, 1))
        sides.append(first.startswith("good"))
        before = page.inner_text("#question")
        page.keyboard.press("1" if first.startswith("good") else "2")
        assert {first[:3], second[:3]} == {"goo", "bad"}
        follows(page, before)
    assert 1 < sum(sides) < 11
    expect(page.locator("#saving")).to_have_text("saved")
    summary = console.call(lambda client: client.review("pairs")).summary
    assert (summary.rated, summary.errors) == (12, 0), "the better one was the chosen one each time, on either side"


def test_a_spreadsheet_goes_out_and_comes_back(console: Console, browser: Browser, doses: str, tmp_path: Path) -> None:
    console.open_review("sheet", sample=20, subject=doses)
    page = console.person(browser, "Ada", "sheet")
    page.click("summary:has-text('In a spreadsheet')")
    with page.expect_download() as started:
        page.click("text=Take the items")
    rows = list(csv.DictReader(Path(started.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    sheet = tmp_path / "filled.csv"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"judgement": "PERFECT"} for row in rows)
    page.set_input_files("#sheet", sheet)
    expect(page.locator("#sheet-said")).to_contain_text("PERFECT")
    assert stored(console, "sheet") == 0
    sheet.write_text(sheet.read_text().replace("PERFECT", "CORRECT"))
    page.set_input_files("#sheet", sheet)
    expect(page.locator("#sheet-said")).to_contain_text("20 judgements taken")
    assert stored(console, "sheet") == 20


def test_a_session_that_ended_keeps_what_was_judged(console: Console, browser: Browser, doses: str) -> None:
    console.open_review("ended", sample=20, subject=doses)
    page = console.person(browser, "Ada", "ended")
    begin(page)
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    csrf = str(page.locator('meta[name="csrf"]').get_attribute("content"))
    httpx.post(f"{console.url}/sign-out", data={"csrf": csrf}, cookies=cookies)
    page.keyboard.press("2")
    expect(page.locator("#saving")).to_contain_text("kept in this browser")
    assert len(json.loads(page.evaluate("localStorage.getItem('posology-unsent-ended-Ada')"))) == 1
