"""People sign in at a real provider (npm's oidc-provider), in real Chromium, with the rights that a real API
server gives their groups: what they may not, they don't see, and are refused when they call anyway.
"""

import asyncio
import json
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser.conftest import STORED
from browser.oidc import SECRET, Issuer, oidc_provider
from cluster.people import BINDINGS, GROUP, forget_reviewing_service, reviewing_service, roles_of_the_chart
from playwright.sync_api import Browser, Page, expect
from support.clusters import api_server, define_runs, new_namespace
from support.servers import REPOSITORY, _free_port

from posology.core.kube import ClusterConfig, Kube

pytestmark = pytest.mark.slow

ROLES = {
    "engineers": ("view", "edit"),
    "pharmacists": ("reviewer",),
    "releasers": ("approver",),
    "auditors": ("auditor",),
}
GROUPS = {
    "eng": ["engineers"], "ada": ["pharmacists"], "rel": ["releasers"], "aud": ["auditors"], "nobody": [],
    "brief": ["engineers"], "renewed": ["engineers"],
}  # fmt: skip
SECONDS = {"brief": 12, "renewed": 33}
"""How long the ID tokens of these users last: the one gets no refresh token, the other's is renewed 30 s before."""


@dataclass
class Hospital:
    """A console whose users are a provider's."""

    url: str
    issuer: Issuer
    data: Path

    def sign_in(self, browser: Browser, name: str, *, path: str = "/") -> Page:
        """A browser of its own, signed in as `name` by the provider's pages."""
        context = browser.new_context(base_url=self.url, ignore_https_errors=True)
        page = context.new_page()
        page.goto(path)
        page.get_by_role("link", name="Sign in at").click()
        page.fill("[name=login]", name)
        page.fill("[name=password]", "any")
        page.click("button[type=submit]")
        page.click("button[type=submit]")  # consents
        page.wait_for_url(lambda url: url.startswith(self.url) and "/sign-in" not in url)
        return page


@asynccontextmanager
async def bound_in_default(kube: Kube, roles_of: str) -> AsyncIterator[None]:
    """Every group has its roles of the chart in the namespace whose runs are stored."""
    made = []
    for group, roles in ROLES.items():
        for role in roles:
            name = f"{roles_of}-{group}-{role}"
            reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": f"{roles_of}-posology-{role}"}
            subject = {"apiGroup": GROUP, "kind": "Group", "name": group}
            body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
            await kube.create(BINDINGS, "default", body)
            made.append(name)
    yield
    for name in made:
        await kube.delete(BINDINGS, "default", name)


class Cluster:
    """An API server that knows the groups; a loop of its own, because the browser's runs in this thread."""

    def __init__(self, access: ClusterConfig, folder: Path) -> None:
        self._access, self._folder = access, folder
        self.kubeconfig = Path()

    async def run(self, ready: Any, ends: Any) -> None:
        async with Kube(self._access) as kube, new_namespace(kube) as namespace:
            await define_runs(kube)
            async with roles_of_the_chart(kube, namespace), bound_in_default(kube, namespace):
                self.kubeconfig = await reviewing_service(kube, namespace, self._folder)
                ready.set()
                await asyncio.to_thread(ends.wait)
            await forget_reviewing_service(kube, namespace)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    root = tmp_path_factory.mktemp("hospital")
    url = f"http://127.0.0.1:{_free_port()}"
    secret = root / "client-secret"
    secret.write_text(SECRET)
    ready, ends = threading.Event(), threading.Event()
    with ExitStack() as stack:
        issuer = stack.enter_context(oidc_provider(root / "provider", url, groups=GROUPS, seconds=SECONDS))
        access = stack.enter_context(api_server())
        apart = stack.enter_context(ThreadPoolExecutor(1))
        cluster = Cluster(access, root)
        running = apart.submit(asyncio.run, cluster.run(ready, ends))
        try:
            while not ready.wait(0.2):
                if running.done():
                    running.result()
            with tarfile.open(STORED) as archive:
                archive.extractall(root, filter="data")
            settings = {
                "KUBECONFIG": str(cluster.kubeconfig),
                "POSOLOGY_ENGINE_PYTHON": "/bin/false",
                "POSOLOGY_AUTHENTICATION": "oidc",
                "POSOLOGY_AUDIENCE": "console",
                "POSOLOGY_OIDC_ISSUER": issuer.url,
                "POSOLOGY_OIDC_CA_FILE": str(issuer.authority),
                "POSOLOGY_CONSOLE_URL": url,
                "POSOLOGY_CONSOLE_LISTEN": url.removeprefix("http://"),
                "POSOLOGY_CONSOLE_CLIENT_SECRET_FILE": str(secret),
            }
            with embedded(root / "data", settings):
                yield Hospital(url, issuer, root / "data")
        finally:
            ends.set()


@contextmanager
def embedded(data: Path, settings: dict[str, str]) -> Iterator[None]:
    """`posology up` with these variables, and `down`."""
    command = [sys.executable, "-m", "posology.cli.app", "--data", str(data)]
    variables = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    try:
        subprocess.run([*command, "up", *variables], check=True, cwd=REPOSITORY)
        yield
    finally:
        subprocess.run([*command, "down"], check=True, cwd=REPOSITORY)


def names_of_areas(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("nav a").all_inner_texts()]


def test_an_engineer_signs_in_and_comes_back_to_the_page_that_she_wanted(hospital: Hospital, browser: Browser) -> None:
    page = hospital.sign_in(browser, "eng", path="/runs/micro?x=1")
    assert page.url == f"{hospital.url}/runs/micro?x=1"
    expect(page.locator("header")).to_contain_text("eng")
    assert names_of_areas(page) == ["Review", "Runs", "Evidence", "Data"]
    (cookie,) = [cookie for cookie in page.context.cookies(hospital.url) if "console" in cookie["name"]]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert "eyJ" not in json.dumps(page.context.cookies()), "no token of the provider is in this browser"
    assert "eyJ" not in page.content()


def test_what_each_may_is_what_each_sees(hospital: Hospital, browser: Browser) -> None:
    ada = hospital.sign_in(browser, "ada")
    assert ada.url == f"{hospital.url}/review"
    assert names_of_areas(ada) == ["Review", "Runs"]
    ada.goto("/runs")
    assert ada.get_by_role("link", name="New run").count() == 0
    ada.goto("/runs/micro")
    assert ada.get_by_role("link", name="Clone").count() == 0
    aud = hospital.sign_in(browser, "aud")
    assert names_of_areas(aud) == ["Review", "Runs", "Evidence", "Data"]
    aud.goto("/evidence/search?what=Limranib")
    expect(aud.locator("main")).to_contain_text("2 data and preference sets")
    assert aud.get_by_role("button", name="Withdraw").count() == 0
    aud.goto("/review")
    expect(aud.locator("main")).to_contain_text("You may look at reviews, and rate nothing")
    nobody = hospital.sign_in(browser, "nobody")
    assert nobody.url == f"{hospital.url}/nothing"
    assert names_of_areas(nobody) == []
    assert nobody.goto("/runs").status == 403  # type: ignore[union-attr]


# --- who calls anyway ------------------------------------------------------------------------------------

ATTACKS = {
    "/runs/submit": {"spec": ""},
    "/runs/micro/cancel": {"reason": "x"},
    "/runs/micro/decide": {"decision": "approve", "stage": "deploy"},
    "/evidence/withdraw": {"what": "Limranib", "typed": "Limranib", "reason": "x"},
    "/review/data/confirm": {},
    "/review/marked": {"name": "stolen", "reviewers": "1"},
}
"""Every route that changes something by a form; a reader of everything is refused by the services."""
SCRIPTED: dict[str, Any] = {
    "/runs/validate": None,
    "/review/data/ratings.csv": None,
    "/review/data/ratings": {"item": "x", "judgement": "CORRECT"},
    "/playground/ask": {"model": "m", "question": "q"},
    "/playground/mark": {"answer": "0" * 30, "thumb": "UP"},
}


def session_of(page: Page) -> tuple[dict[str, str], str]:
    """Cookies and the session's own token, as a program of this user has them."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(page.url)}
    return cookies, str(page.locator('meta[name="csrf"]').get_attribute("content"))


def spec_of(page: Page) -> str:
    return page.locator("details pre").inner_text()


@pytest.fixture(scope="module")
def spec(hospital: Hospital, browser: Browser) -> str:
    page = hospital.sign_in(browser, "eng", path="/runs/micro")
    page.click("summary")
    return spec_of(page).replace("name: micro", "name: stolen", 1)


@pytest.mark.parametrize("who", ["aud", "nobody"])
def test_every_route_that_changes_something_refuses_who_may_not(
    hospital: Hospital, browser: Browser, spec: str, who: str
) -> None:
    page = hospital.sign_in(browser, who)
    cookies, csrf = session_of(page)
    for path, fields in ATTACKS.items():
        filled = {**fields, "csrf": csrf} | ({"spec": spec} if "spec" in fields else {})
        answer = httpx.post(f"{hospital.url}{path}", data=filled, cookies=cookies)
        assert answer.status_code == 403, (path, answer.status_code, re.sub(r"<[^>]+>", "", answer.text)[-300:])
    httpx.post(f"{hospital.url}/review/introduce", data={"kind": "pharmacist", "csrf": csrf}, cookies=cookies)
    for path, body in SCRIPTED.items():
        content = spec if body is None else json.dumps(body)
        headers = {"accept": "application/json", "x-csrf": csrf}
        answer = httpx.post(f"{hospital.url}{path}", content=content, headers=headers, cookies=cookies)
        assert answer.status_code == 403, (path, answer.status_code, answer.text[:300])


def test_every_changing_route_is_attacked() -> None:
    from posology.console import sign_in
    from posology.console.data import routes as data
    from posology.console.evidence import routes as evidence
    from posology.console.playground import routes as playground
    from posology.console.review import routes as review
    from posology.console.runs import routes as runs

    routes = [*review.ROUTES, *runs.ROUTES, *evidence.ROUTES, *data.ROUTES, *playground.ROUTES, *sign_in.ROUTES]
    shapes = {route.path for route in routes if "POST" in (route.methods or ())}
    covered = {re.sub(r"/(micro|data)/", r"/{}/", path) for path in (*ATTACKS, *SCRIPTED)}
    own = {"/sign-in", "/sign-in/ended", "/sign-out", "/review/introduce"}  # they change nothing but this session
    assert {re.sub(r"\{[^}]+\}", "{}", shape) for shape in shapes} - own == covered


def test_without_the_session_s_own_token_nothing_is_changed(hospital: Hospital, browser: Browser, spec: str) -> None:
    cookies, _ = session_of(hospital.sign_in(browser, "eng", path="/runs"))
    for path, fields in ATTACKS.items():
        for csrf in ("", "guessed"):
            answer = httpx.post(f"{hospital.url}{path}", data={**fields, "spec": spec, "csrf": csrf}, cookies=cookies)
            assert answer.status_code == 403
            assert "not of this session" in answer.text
    for path in SCRIPTED:
        assert httpx.post(f"{hospital.url}{path}", content=spec, cookies=cookies).status_code == 403


# --- sessions that end -----------------------------------------------------------------------------------


def test_a_session_ends_with_its_token_and_is_renewed_where_the_provider_renews(
    hospital: Hospital, browser: Browser
) -> None:
    renewed = hospital.sign_in(browser, "renewed", path="/runs")
    brief = hospital.sign_in(browser, "brief", path="/runs")
    brief.wait_for_timeout(12_500)
    brief.goto("/runs/micro")
    assert brief.url == f"{hospital.url}/sign-in?then=/runs/micro"
    assert renewed.goto("/runs/micro").status == 200  # type: ignore[union-attr]
    expect(renewed.locator("h1")).to_have_text("micro")


def test_who_signs_out_is_out_and_the_cookie_is_worth_nothing(hospital: Hospital, browser: Browser) -> None:
    page = hospital.sign_in(browser, "eng", path="/runs")
    cookies, _ = session_of(page)
    page.click("text=Sign out")
    expect(page.locator("h1")).to_have_text("You are signed out here")
    assert "token" not in (page.get_by_role("link", name="Sign out at").get_attribute("href") or "")
    assert httpx.get(f"{hospital.url}/runs", cookies=cookies).headers["location"] == "/sign-in?then=/runs"


def test_the_provider_ends_our_session_with_its_own(hospital: Hospital, browser: Browser) -> None:
    page = hospital.sign_in(browser, "eng", path="/runs")
    cookies, _ = session_of(page)
    end = page.context.new_page()
    end.goto(f"{hospital.issuer.url}/session/end")
    end.click("button[value=yes]")
    for _ in range(50):
        if httpx.get(f"{hospital.url}/runs", cookies=cookies).status_code == 303:
            return
        page.wait_for_timeout(100)
    pytest.fail("the session lives on")


@pytest.mark.parametrize(
    "query", ["", "code=x&state=guessed", "error=access_denied&state=guessed", "code=x&state=", "state=%00&code=%ff"]
)
def test_an_answer_that_no_sign_in_asked_for_is_refused(hospital: Hospital, query: str) -> None:
    assert httpx.get(f"{hospital.url}/sign-in/callback?{query}").status_code == 403
    begun = httpx.get(f"{hospital.url}/sign-in/begin")
    answer = httpx.get(f"{hospital.url}/sign-in/callback?{query}", cookies=dict(begun.cookies))
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.e30.", "a" * 9000])
def test_a_stranger_ends_nobody_s_session(hospital: Hospital, token: str) -> None:
    assert httpx.post(f"{hospital.url}/sign-in/ended", data={"logout_token": token}).status_code == 403


@pytest.mark.parametrize(
    "then",
    [
        "https://elsewhere.example",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "/%0d%0aset-cookie:x=1",
        "javascript:x",
    ],
)
def test_nobody_is_sent_elsewhere_by_a_link_to_us(hospital: Hospital, then: str) -> None:
    page = httpx.get(f"{hospital.url}/sign-in", params={"then": then})
    assert "elsewhere.example" not in page.text
    assert page.status_code == 200


def test_another_name_for_this_host_is_not_served(hospital: Hospital) -> None:
    assert httpx.get(f"{hospital.url}/sign-in", headers={"host": "rebound.example"}).status_code == 421
