"""The human evaluation in the console: fifty queries, two raters who see neither each other nor what comes twice, and a
third person who decides where they disagree."""

import json
from typing import Any

import pytest
from browser.conftest import Console
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow

QUERIES, REPEATS = 50, 10
RATE = """async ([wrong, most]) => {
  const at = (id) => document.getElementById(id), seen = [], waits = [];
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  for (let n = 0; n < most; n++) {
    for (let tries = 0; at("screen").hidden && at("done").hidden && tries < 400; tries++) await pause(25);
    if (at("screen").hidden) break;
    const question = at("question").textContent, began = performance.now();
    seen.push(question);
    const key = wrong.includes(question) ? "3" : "1";
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const same = () => !at("screen").hidden && at("question").textContent === question;
    for (let tries = 0; same() && tries < 400; tries++) await pause(1);
    waits.push(performance.now() - began);
  }
  return { seen, waits };
}"""


@pytest.fixture(scope="module")
def answers(console: Console, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What an evaluation leaves for people: recorded conversations and plain queries, each with the model's answer."""
    rows: list[dict[str, Any]] = []
    for n in range(QUERIES):
        turns = [{"role": "user", "content": f"Query {n}: which dose?"}]
        if n % 5 == 0:  # recorded from a talk
            talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
            turns = [*talk, {"role": "assistant", "content": "Hello."}, *turns]
        answer = [{"role": "assistant", "content": f"Answer {n}: {n} mg."}]
        rows.append({"id": f"human-{n}", "section": "", "drug": "", "tags": [], "prompt": turns, "completion": answer})
    folder = tmp_path_factory.mktemp("human") / "evaluation"
    return console.publish(folder, "evaluation", human=rows, items=[])


def rate_all(page: Page, wrong: list[str]) -> dict[str, Any]:
    page.wait_for_selector("#screen:not([hidden])")
    return dict(page.evaluate(RATE, [wrong, QUERIES + REPEATS]))


def test_from_the_first_rating_to_the_signed_statement(console: Console, browser: Browser, answers: str) -> None:
    policy = {"max_error_rate": 0.15, "reviewers": 2, "repeats": REPEATS}
    console.open_review("human", sample=QUERIES, subject=answers, **policy)
    ada, bea = (console.person(browser, name, "human") for name in ("Ada", "Bea"))
    expect(ada.locator("#count")).to_contain_text(f"of {QUERIES + REPEATS} rated", timeout=15_000)
    rated = rate_all(ada, [])
    assert len(rated["seen"]) == QUERIES + REPEATS
    assert len(set(rated["seen"])) == QUERIES  # ten of them came twice, and nothing said which
    assert any("[system] Be brief." in question for question in rated["seen"])
    expect(ada.locator("#done")).to_contain_text("Nothing is left for you", timeout=60_000)
    expect(ada.locator("#saving")).to_have_text("saved", timeout=60_000)
    wrong = sorted(set(rated["seen"]))[:3]
    theirs = rate_all(bea, wrong)
    assert theirs["seen"] != rated["seen"]  # each has an order of their own
    for page in (ada, bea):
        expect(page.locator("#saving")).to_have_text("saved", timeout=60_000)
        page.click("text=Confirm my ratings", timeout=60_000)
    cleo = console.person(browser, "Cleo", "human")
    cleo.goto("/review")
    cleo.click("text=adjudicate 3")
    for _ in range(3):
        cleo.wait_for_selector("#screen:not([hidden])")
        against = cleo.inner_text("#against")
        assert "correct" in against
        assert "major error" in against
        assert not {"Ada", "Bea"} & set(against.split())
        before = cleo.inner_text("#question")
        cleo.keyboard.press("1")
        cleo.wait_for_function(
            "q => document.getElementById('screen').hidden || document.getElementById('question').textContent !== q",
            arg=before,
        )
    expect(cleo.locator("#saving")).to_have_text("saved", timeout=60_000)
    cleo.goto("/review/human")
    cleo.click("text=How the review stands")
    standing = cleo.locator("#standing")
    expect(standing).to_contain_text(f"{QUERIES} of {QUERIES}")
    expect(standing).to_contain_text("94% of 50 items the same")
    expect(standing).to_contain_text("of 10 rated twice")
    review = console.call(lambda client: client.review("human"))
    assert (review.summary.rated, review.summary.errors, review.summary.disagreements) == (QUERIES, 0, 0)
    assert review.summary.HasField("upper_bound")
    waits = sorted([*rated["waits"], *theirs["waits"]])
    print(json.dumps({"median_ms": waits[len(waits) // 2], "worst_ms": waits[-1]}))
    for page in (ada, bea, cleo):
        page.context.close()
