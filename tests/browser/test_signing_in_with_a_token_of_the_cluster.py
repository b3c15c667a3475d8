"""People paste a token of the cluster: a real API server says who they are and what their roles grant."""

import asyncio
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.conftest import STORED
from browser.test_signing_in_at_a_provider import embedded, names_of_areas
from cluster import people
from playwright.sync_api import Browser, Page, expect
from support.clusters import api_server, define_runs, new_namespace
from support.servers import _free_port

from posology.core.kube import ClusterConfig, Kube

pytestmark = pytest.mark.slow

ROLES = {"eng": ("view", "edit"), "ada": ("reviewer",), "nobody": ()}
WHERE = "default"


@dataclass
class Ward:
    """A console whose users hold tokens of a cluster."""

    url: str
    tokens: dict[str, str] = field(default_factory=dict)
    kubeconfig: Path = Path()

    def sign_in(self, browser: Browser, token: str, path: str = "/") -> Page:
        """A browser of its own, signed in by the keyboard alone."""
        page = browser.new_context(base_url=self.url).new_page()
        page.goto(path)
        page.focus("#token")
        page.keyboard.insert_text(token)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        return page


async def people_of(access: ClusterConfig, folder: Path, ward: Ward, ready: Any, ends: Any) -> None:
    """An API server that knows everybody, until `ends`."""
    async with Kube(access) as kube, new_namespace(kube) as namespace:
        await define_runs(kube)
        async with people.roles_of_the_chart(kube, namespace):
            made = []
            for name, roles in ROLES.items():
                account = f"{namespace}-{name}"
                await kube.create(people.ACCOUNTS, WHERE, {"metadata": {"name": account}})
                for role in roles:
                    reference = {
                        "apiGroup": people.GROUP,
                        "kind": "ClusterRole",
                        "name": f"{namespace}-posology-{role}",
                    }
                    subject = {"kind": "ServiceAccount", "name": account, "namespace": WHERE}
                    body = {"metadata": {"name": f"{account}-{role}"}, "roleRef": reference, "subjects": [subject]}
                    await kube.create(people.BINDINGS, WHERE, body)
                    made.append(f"{account}-{role}")
                ward.tokens[name] = await people.token(kube, WHERE, account)
            ward.tokens["for-others"] = await people.token(kube, WHERE, f"{namespace}-eng", audience="other")
            ward.kubeconfig = await people.reviewing_service(kube, namespace, folder)
            ready.set()
            await asyncio.to_thread(ends.wait)
            await people.forget_reviewing_service(kube, namespace)
            for binding in made:
                await kube.delete(people.BINDINGS, WHERE, binding)
            for name in ROLES:
                await kube.delete(people.ACCOUNTS, WHERE, f"{namespace}-{name}")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    root = tmp_path_factory.mktemp("ward")
    ready, ends = threading.Event(), threading.Event()
    ward = Ward(f"http://127.0.0.1:{_free_port()}")
    with ExitStack() as stack:
        access = stack.enter_context(api_server())
        apart = stack.enter_context(ThreadPoolExecutor(1))
        running = apart.submit(asyncio.run, people_of(access, root, ward, ready, ends))
        try:
            while not ready.wait(0.2):
                if running.done():
                    running.result()
            with tarfile.open(STORED) as archive:
                archive.extractall(root, filter="data")
            settings = {
                "KUBECONFIG": str(ward.kubeconfig),
                "POSOLOGY_ENGINE_PYTHON": "/bin/false",
                "POSOLOGY_AUTHENTICATION": "kubernetes",
                "POSOLOGY_CONSOLE_URL": ward.url,
                "POSOLOGY_CONSOLE_LISTEN": ward.url.removeprefix("http://"),
            }
            with embedded(root / "data", settings):
                yield ward
        finally:
            ends.set()


def test_an_engineer_comes_back_to_the_page_that_she_wanted_with_her_rights(ward: Ward, browser: Browser) -> None:
    page = ward.sign_in(browser, ward.tokens["eng"], path="/runs/micro?x=1")
    assert page.url == f"{ward.url}/runs/micro?x=1"
    expect(page.locator("header")).to_contain_text("-eng")
    assert names_of_areas(page) == ["Review", "Runs", "Evidence", "Data"]
    assert page.get_by_role("link", name="Clone").count() == 1
    token = ward.tokens["eng"]
    assert token[:40] not in str(page.context.cookies())
    assert token[:40] not in page.content()


def test_a_pharmacist_sees_her_reviews_and_may_do_no_more(ward: Ward, browser: Browser) -> None:
    page = ward.sign_in(browser, ward.tokens["ada"])
    assert page.url == f"{ward.url}/review"
    assert names_of_areas(page) == ["Review", "Runs"]
    csrf = page.locator('meta[name="csrf"]').get_attribute("content") or ""
    answer = page.request.post("/runs/micro/cancel", form={"csrf": csrf, "reason": "x"}, max_redirects=0)
    assert answer.status == 403
    nobody = ward.sign_in(browser, ward.tokens["nobody"])
    assert (nobody.url, names_of_areas(nobody)) == (f"{ward.url}/nothing", [])


@pytest.mark.parametrize("presented", ["", "x", "é", "eyJhbGciOiJub25lIn0.e30.", "a" * 5000, "for-others", "forged"])
def test_what_is_no_token_of_this_cluster_opens_no_session(ward: Ward, presented: str) -> None:
    token = ward.tokens.get(presented, presented)
    if presented == "forged":
        token = ward.tokens["eng"][:-4] + "AAAA"
    answer = httpx.post(f"{ward.url}/sign-in", data={"token": token}, follow_redirects=False)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "Traceback" not in answer.text
    assert token[:60] not in answer.text or len(token) < 5


def test_the_page_to_sign_in_on_says_how_to_get_a_token(ward: Ward, browser: Browser) -> None:
    page = browser.new_page(base_url=ward.url)
    page.goto("/runs")
    expect(page.locator("main")).to_contain_text("kubectl create token NAME --audience posology")
    assert Axe().run(page).response["violations"] == []
    page.close()


def test_signing_out_ends_the_session(ward: Ward, browser: Browser) -> None:
    page = ward.sign_in(browser, ward.tokens["eng"], path="/runs")
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    page.click("text=Sign out")
    page.wait_for_load_state()
    answer = httpx.get(f"{ward.url}/runs", cookies=cookies)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")
