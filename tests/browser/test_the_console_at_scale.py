"""A hundred thousand items in a queue, two thousand runs, fifty watchers: measured, and held to a wait."""

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from browser.conftest import Console
from browser.rows import pair, section
from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.qualify]
ITEMS, RUNS, WATCHERS = 100_000, 2_000, 50
PAGE_SECONDS = 0.3


@pytest.fixture(scope="module")
def session(console: Console, browser: Browser) -> Iterator[httpx.Client]:
    """A signed-in reviewer's program."""
    page = browser.new_context(base_url=console.url).new_page()
    page.goto(console.link())
    page.wait_for_url("**/runs")
    page.goto("/review")
    page.fill("[name=reviewer]", "Ada")
    page.select_option("[name=kind]", "pharmacist")
    page.click("text=Begin")
    csrf = str(page.locator('meta[name="csrf"]').get_attribute("content"))
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    with httpx.Client(base_url=console.url, cookies=cookies, headers={"x-csrf": csrf}, timeout=60) as client:
        yield client


def median(session: httpx.Client, path: str, times: int = 7) -> float:
    """Seconds that a page takes; the first request, which fills what is remembered, is not among them."""
    session.get(path).raise_for_status()
    took = []
    for _ in range(times):
        began = time.monotonic()
        session.get(path).raise_for_status()
        took.append(time.monotonic() - began)
    return statistics.median(took)


def test_a_queue_of_a_hundred_thousand_items(console: Console, session: httpx.Client, tmp_path: Path) -> None:
    rows = (
        pair(n, f"What is the dose of drug {n}?", f"Give {n} mg once daily.", evidence=f"Give {n} mg once daily.")
        for n in range(ITEMS)
    )
    subject = console.publish(tmp_path / "set", "dataset", train=rows, sections=[section(0, "Give it once daily.")])
    console.open_review("many", sample=ITEMS, subject=subject)
    pages = {path: median(session, path) for path in ("/review", "/review/many", "/review/many/next?most=8")}
    rated = []
    held: list[str] = []
    for _ in range(25):
        query = urlencode([("most", 8), *(("held", item) for item in held)])
        item = session.get(f"/review/many/next?{query}").json()["items"][0]["id"]
        began = time.monotonic()
        session.post("/review/many/ratings", json={"item": item, "judgement": "CORRECT"}).raise_for_status()
        rated.append(time.monotonic() - began)
    print(
        {path: round(took * 1000) for path, took in pages.items()},
        "rating",
        round(statistics.median(rated) * 1000),
        "ms",
    )
    assert all(took < PAGE_SECONDS for took in pages.values()), pages
    assert statistics.median(rated) < PAGE_SECONDS


def test_two_thousand_runs(console: Console, session: httpx.Client) -> None:
    with sqlite3.connect(console.data / "db" / "orchestrator.sqlite", timeout=30) as db:
        columns = [row[1] for row in db.execute("pragma table_info(runs)")]
        (stored,) = db.execute(f"select {', '.join(columns)} from runs where run_id = 'micro'").fetchall()
        for n in range(RUNS):
            row = dict(zip(columns, stored, strict=True))
            row |= {"run_id": f"micro-{n}", "uid": f"copy-{n}", "request_id": f"copy-{n}", "wake_at": None}
            marks = ", ".join("?" for _ in columns)
            db.execute(f"insert into runs ({', '.join(columns)}) values ({marks})", [row[name] for name in columns])
    pages = {path: median(session, path) for path in ("/runs", "/runs?name=micro-7")}
    print({path: round(took * 1000) for path, took in pages.items()}, "ms")
    assert all(took < PAGE_SECONDS for took in pages.values()), pages


def test_fifty_watch_a_run_and_a_page_opens_beside_them(console: Console, session: httpx.Client) -> None:
    async def watch(client: httpx.AsyncClient) -> float:
        began = time.monotonic()
        async with client.stream("GET", "/runs/micro/events") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    assert "succeeded" in json.loads(line[6:])["parts"]["now"]
                    return time.monotonic() - began
        raise AssertionError("nothing came")

    async def all_of_them() -> list[float]:
        limits = httpx.Limits(max_connections=WATCHERS)
        async with httpx.AsyncClient(
            base_url=console.url, cookies=session.cookies, limits=limits, timeout=60
        ) as client:
            return await asyncio.gather(*(watch(client) for _ in range(WATCHERS)))

    with ThreadPoolExecutor(1) as apart:  # the browser's own loop runs in this thread
        firsts = apart.submit(asyncio.run, all_of_them()).result()
    print("first event, worst of", WATCHERS, round(max(firsts) * 1000), "ms")
    assert max(firsts) < 5
    assert median(session, "/runs/micro") < PAGE_SECONDS


def test_how_many_items_a_scripted_reviewer_rates_in_a_minute(
    console: Console, browser: Browser, tmp_path: Path
) -> None:
    """She reads nothing and presses a key as soon as an item is there: what is left is the page's own time."""
    rows = [pair(n, f"Dose of {n}?", f"Give {n} mg.", evidence=f"Give {n} mg.") for n in range(300)]
    subject = console.publish(tmp_path / "set", "dataset", train=rows, sections=[section(0, "Give it.")])
    console.open_review("fast", sample=300, subject=subject)
    page = console.person(browser, "Bea", "fast")
    page.wait_for_selector("#screen:not([hidden])")
    network = {"offline": False, "latency": 100, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", network)
    page.wait_for_timeout(500)
    waits = page.evaluate(
        """async () => {
          const at = (id) => document.getElementById(id), waits = [];
          for (let n = 0; n < 100; n++) {
            const before = at("question").textContent, began = performance.now();
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
            const same = () => at("screen").hidden || at("question").textContent === before;
            while (same() && performance.now() - began < 5000) await new Promise(requestAnimationFrame);
            waits.push(performance.now() - began);
            await new Promise((done) => setTimeout(done, Math.max(0, 500 - waits.at(-1))));
          }
          return waits;
        }"""
    )
    ordered = sorted(waits)
    print(f"wait for the next item: median {ordered[50]:.0f} ms, 95th {ordered[95]:.0f} ms, worst {ordered[-1]:.0f} ms")
    print(f"{60_000 / (statistics.mean(waits) + 500):.0f} items a minute at half a second an item")
    assert ordered[95] < 100, ordered[-10:]
