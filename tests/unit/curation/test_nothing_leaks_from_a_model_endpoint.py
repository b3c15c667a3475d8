"""What an endpoint writes reaches nobody who submits, and its key nobody at all."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from support.teacher_server import Reply, access_to, completion, good, teacher_server

from posology.core.errors import FailedPrecondition, PosologyError
from posology.core.jobs.worker.assignment import Assignment
from posology.core.jobs.worker.nonzero_rank import NullReporter
from posology.core.jobs.worker.runtime import JobContext
from posology.core.model_endpoints.domain import ModelBudget, ModelEndpoint, Usage
from posology.core.model_endpoints.meter import Meter
from posology.core.retries import Backoff
from posology.curation.domain import Section
from posology.curation.teachers import Task
from posology.curation.teachers.openai import OpenAITeacher

KEY = "sk-the-operators-key"


def taught(url: str, tmp_path: Path, count: int = 3, *, in_flight: int = 1, **more: Any) -> str:
    """Everything that a job says of its teacher: details of answers, and the error that ends it."""
    tasks = [Task(Section(f"s{n}", f"drug{n}", "", "34068-7", "Dosage", f"Take {n} mg.", "a")) for n in range(count)]
    access = access_to(url, key=KEY, **more)
    teacher = OpenAITeacher(access, "a-model", tmp_path / "journal", timeout=5, budget=1.0, in_flight=in_flight)
    said = ""
    try:
        for answer in teacher.teach(tasks):
            said += f"{answer.failure} {answer.detail} {answer.drafts}\n"
    except PosologyError as error:
        said += f"{type(error).__name__} {error.message}"
    return said + repr(access) + repr(teacher)


@pytest.mark.parametrize(
    "reply",
    [
        (400, {}, {"error": {"message": "db password is hunter2"}}),
        (400, {}, {"error": {"message": "hunter2", "code": "hunter2", "type": "invalid_request_error"}}),
        (400, {}, {"error": {"code": {"hunter2": 1}, "type": ["hunter2"]}}),
        (400, {}, {"error": "hunter2"}),
        (400, {}, ["hunter2"]),
        (401, {"WWW-Authenticate": "hunter2"}, {"error": {"message": f"wrong key {KEY}"}}),
        (403, {}, "<html>hunter2</html>"),
        (404, {}, {"error": {"code": "hunter2"}}),
        (302, {"Location": "http://127.0.0.1:1/hunter2"}, {}),
        (307, {"Location": "http://127.0.0.1:1/hunter2"}, "hunter2"),
        (418, {"X-Secret": "hunter2"}, "hunter2"),
        (500, {"X-Secret": "hunter2"}, "hunter2"),
        (200, {"Content-Encoding": "gzip"}, "hunter2"),
        (200, {"Content-Type": "text/html"}, "<html>hunter2</html>"),
        (200, {}, {"choices": [{"message": {"content": f"Authorization: Bearer {KEY}"}}]}),
        (200, {}, {"choices": [{"message": {"content": "I cannot help. " + KEY}}]}),
        (200, {}, {"choices": [{"message": {"content": "", "refusal": f"Not for {KEY}"}}]}),
        (200, {}, {"choices": [{"message": {"content": json.dumps({"pairs": [{"question": KEY}]})}}]}),
        (200, {}, {"choices": [{"message": {"content": json.dumps({"a": KEY}).replace("s", "\\u0073")}}]}),
        (200, {}, {"choices": [{"message": {"content": json.dumps({"a": KEY}).replace("k", "\\u006B")}}]}),
    ],
)
def test_no_word_of_what_it_writes_is_shown(
    reply: Reply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("posology.core.model_endpoints.calls._BACKOFF", Backoff(first=0.01, longest=0.02))
    with teacher_server(lambda number, body: reply) as server:
        said = taught(server.url, tmp_path)
        assert server.bodies
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("posology")]
    for text in (said.replace(server.url, "") if "ModelEndpoint(" in said else said, *ours):
        assert "hunter2" not in text
        assert KEY not in text
    assert KEY not in (tmp_path / "journal").read_text()


def test_an_address_is_no_part_of_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posology.core.model_endpoints.calls._BACKOFF", Backoff(first=0.01, longest=0.02))
    with teacher_server() as server:
        pass  # gone: connections are refused
    said = taught(server.url, tmp_path, 1)
    assert "the model endpoint teacher: ConnectError" in said
    assert "127.0.0.1" not in said.split("ModelAccess(")[0]


def test_an_answer_that_holds_the_key_is_no_draft(tmp_path: Path) -> None:
    def echoes(number: int, body: dict[str, Any]) -> Reply:
        pair = f'{{"question": "Q", "answer": "Take 0 mg. {KEY}", "question_type": "fact", "evidence": "Take 0 mg."}}'
        return completion(f'{{"pairs": [{pair}]}}')

    with teacher_server(echoes) as server:
        assert "nonsense" in taught(server.url, tmp_path, 1)


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-schlüssel", "sk one", "", "sk-\x00", "sk-\x7f", "sk-\u202e1"])
def test_a_secret_that_is_no_key_is_told_without_showing_it(key: str, tmp_path: Path) -> None:
    (tmp_path / "teacher-key").write_text(key)
    with pytest.raises(FailedPrecondition, match="is no API key") as refused:
        context(tmp_path, ModelEndpoint("teacher", "https://h/v1", ("m",), "teacher-key")).endpoint("teacher")
    assert not key or key not in str(refused.value)


def test_a_worker_uses_no_endpoint_that_its_attempt_was_not_granted(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="was granted no model endpoint 'other'"):
        context(tmp_path, ModelEndpoint("teacher", "https://h/v1", ("m",))).endpoint("other")


def context(folder: Path, endpoint: ModelEndpoint) -> JobContext:
    assignment = Assignment(
        job="namespaces/a/datasets/b", kind="dataset", attempt=1, token="t", service="", spec={}, workdir=folder,
        output=folder, inputs=folder, staging="", prefix="", secrets=folder,
        endpoints={endpoint.name: endpoint.grant() | {"others": {"prompt_tokens": 7, "completion_tokens": 1}}},
    )  # fmt: skip
    return JobContext(assignment, NullReporter(), threading.Event())


def test_what_everybody_else_uses_counts_against_the_budget() -> None:
    reports: list[Usage] = []
    meter = Meter(ModelBudget(max_tokens=100), others=Usage(60, 0), report=reports.append)
    meter.count(Usage(20, 10))
    assert meter.used_up() == ""
    meter.others_use(Usage(70, 0))
    assert meter.used_up() == "100 of 100 tokens are used"
    assert reports == [Usage(20, 10)]


def test_the_budget_of_all_runs_ends_a_job_and_says_whose_it_is(tmp_path: Path) -> None:
    with teacher_server() as server:
        said = taught(server.url, tmp_path, 50, budget=ModelBudget(max_tokens=1500))
        assert len(server.bodies) < 10
    assert "FailedPrecondition the model endpoint teacher: " in said
    assert "tokens are used by all runs together; its operator can raise the budget. What was answered is kept." in said


def test_money_is_counted_by_the_endpoints_prices(tmp_path: Path) -> None:
    budget = ModelBudget(max_cost=0.01, prompt_price=10, completion_price=30)
    with teacher_server(good) as server:
        assert "of 0.01 are spent by all runs together" in taught(server.url, tmp_path, 50, budget=budget)
