"""A console over a stored installation, and a real browser that has signed in."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support.servers import REPOSITORY

from posology.client import Client, Installation
from posology.v1alpha1 import curation_pb2

T = TypeVar("T")
STORED = REPOSITORY / "tests" / "stored" / "installation-0.1.0.tar.xz"
DATASET = "sha256:3e1a5286f4b31dabdfb59bf14258dd2a86ad51fce02edfeca0bb2283a127f8dd"


@dataclass(frozen=True)
class Console:
    """Its address, and the installation behind it."""

    url: str
    data: Path

    def link(self) -> str:
        """The next sign-in."""
        return f"{self.url}/sign-in#{(self.data / 'console-link').read_text()}"

    def call(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """What a program does with the client; apart, because the browser's own loop runs in this thread."""

        async def with_client() -> T:
            async with Client(Installation.discover(self.data)) as client:
                return await work(client)

        with ThreadPoolExecutor(1) as apart:
            return apart.submit(asyncio.run, with_client()).result()

    def open_review(self, name: str, *, sample: int = 6, subject: str = DATASET, **policy: Any) -> None:
        """A review of the stored data set, or of another."""
        asked = curation_pb2.Review.Policy(**{"sample": sample, "max_error_rate": 0.5, **policy})
        request = curation_pb2.CreateReviewRequest(
            parent="namespaces/default", review_id=name, subject=subject, policy=asked
        )
        self.call(lambda client: client.curation.CreateReview(request, timeout=120))

    def publish(self, folder: Path, kind: str, **files: Iterable[Mapping[str, Any]]) -> str:
        """An artifact of JSON lines, by the names of its files; its digest."""
        folder.mkdir(parents=True)
        for name, rows in files.items():
            (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return self.call(lambda client: client.push(folder, kind=kind)).digest

    def person(self, browser: Browser, name: str, review: str) -> Page:
        """A browser of its own, whose user has said who she is."""
        page = browser.new_context(base_url=self.url).new_page()
        page.goto(self.link())
        page.wait_for_url("**/runs")
        page.goto(f"/review/{review}")
        page.fill("[name=reviewer]", name)
        page.select_option("[name=kind]", "pharmacist")
        page.click("text=Begin")
        return page


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    root = tmp_path_factory.mktemp("console")
    with tarfile.open(STORED) as archive:
        archive.extractall(root, filter="data")
    command = [sys.executable, "-m", "posology.cli.app", "--data", str(root / "data")]
    subprocess.run([*command, "up", "--env", "POSOLOGY_ENGINE_PYTHON=/bin/false"], check=True, cwd=REPOSITORY)
    try:
        yield Console(json.loads((root / "data" / "run" / "console.json").read_text())["url"], root / "data")
    finally:
        subprocess.run([*command, "down"], check=True, cwd=REPOSITORY)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("POSOLOGY_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium here; `make system` installs it where it may")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def signed_in(console: Console, browser: Browser) -> dict[str, object]:
    """The cookies of a browser that came by the link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.link())
    page.wait_for_url("**/runs")
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def page(console: Console, browser: Browser, signed_in: dict[str, object]) -> Iterator[Page]:
    """A signed-in page; anything that the browser complains about fails the test."""
    context = browser.new_context(base_url=console.url, storage_state=signed_in)  # type: ignore[arg-type]
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    yield opened
    context.close()
    assert complaints == []
