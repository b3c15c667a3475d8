"""The OpenAI-compatible teacher against a real server: order, retries, nonsense, refusals, resume, budget."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.teacher_server import Reply, completion, good, teacher_server

from posology.core.errors import Cancelled, FailedPrecondition, InvalidInput, PermissionDenied
from posology.core.retries import Backoff
from posology.curation.domain import Message, Section, make_pair
from posology.curation.recipe import Style, TeacherRecipe
from posology.curation.teachers import Answer, Task
from posology.curation.teachers.openai import OpenAITeacher
from posology.curation.teachers.weak import weak_answers


def tasks(count: int) -> list[Task]:
    return [Task(Section(f"s{n}", f"drug{n}", "", "34068-7", "Dosage", f"Take {n} mg.", "a.xml")) for n in range(count)]


def teacher(url: str, tmp_path: Path, **more: Any) -> OpenAITeacher:
    return OpenAITeacher(url, "a-model", tmp_path / "journal.jsonl", **({"timeout": 5.0} | more))


def ask(url: str, tmp_path: Path, count: int, **more: Any) -> list[Answer]:
    return list(teacher(url, tmp_path, **more).teach(tasks(count)))


def test_answers_come_in_the_order_of_the_tasks_whatever_finishes_first(tmp_path: Path) -> None:
    def slow_first(number: int, body: dict[str, Any]) -> Reply:
        time.sleep(0.3 if number == 0 else 0)
        return good(number, body)

    with teacher_server(slow_first) as server:
        found = ask(server.url, tmp_path, 20, key="the-key")
    assert [a.task.section.id for a in found] == [f"s{n}" for n in range(20)]
    assert [a.drafts[0].answer for a in found] == [f"Take {n} mg." for n in range(20)]
    assert set(server.keys) == {"Bearer the-key"}
    assert {body["model"] for body in server.bodies} == {"a-model"}


def test_busy_and_broken_servers_are_asked_again_when_they_say(tmp_path: Path) -> None:
    def busy(number: int, body: dict[str, Any]) -> Reply:
        return [(429, {"Retry-After": "1"}, {}), (503, {}, {}), good(number, body)][min(number, 2)]

    with teacher_server(busy) as server:
        (found,) = ask(server.url, tmp_path, 1)
    assert found.drafts
    assert server.times[1] - server.times[0] >= 1.0


def test_a_teacher_that_does_not_answer_in_time_is_a_failure_of_that_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posology.curation.teachers.calls._BACKOFF", Backoff(first=0.01, longest=60.0))
    with teacher_server(lambda number, body: (200, {}, None)) as server:
        (found,) = ask(server.url, tmp_path, 1, timeout=0.2, budget=1.0)
    assert found.failure == "unreachable"
    assert "no answer within 0.2 s, after 5 tries" in found.detail


@pytest.mark.parametrize(
    "content", ["I like turtles.", "{broken", '{"pairs": "none"}', '{"pairs": [{"q": 1}]}', "", "[" * 5000]
)
def test_nonsense_is_asked_for_twice_and_then_given_up(tmp_path: Path, content: str) -> None:
    with teacher_server(lambda number, body: completion(content)) as server:
        (found,) = ask(server.url, tmp_path, 1, budget=1.0)
    assert found.failure == "nonsense"
    assert len(server.bodies) == 2


def test_a_body_that_is_no_completion_is_nonsense_too(tmp_path: Path) -> None:
    with teacher_server(lambda number, body: (200, {}, "<html>proxy</html>")) as server:
        (found,) = ask(server.url, tmp_path, 1, budget=1.0)
    assert found.failure == "nonsense"


@pytest.mark.parametrize(
    "reply",
    [
        completion("", refusal="I cannot discuss this."),
        completion("", finish_reason="content_filter"),
        completion("I'm sorry, but I can't help with that."),
    ],
)
def test_a_refusal_is_not_asked_again(tmp_path: Path, reply: Reply) -> None:
    with teacher_server(lambda number, body: reply) as server:
        (found,) = ask(server.url, tmp_path, 1, budget=1.0)
    assert found.failure == "refused"
    assert len(server.bodies) == 1


@pytest.mark.parametrize(("status", "error"), [(401, PermissionDenied), (403, PermissionDenied), (404, InvalidInput)])
def test_a_wrong_key_or_model_ends_the_job_at_once(tmp_path: Path, status: int, error: type[Exception]) -> None:
    with teacher_server(lambda number, body: (status, {}, {"error": "no"})) as server, pytest.raises(error):
        ask(server.url, tmp_path, 50)
    assert len(server.bodies) < 50


def test_a_killed_job_asks_for_nothing_twice(tmp_path: Path) -> None:
    with teacher_server() as server:
        first = teacher(server.url, tmp_path, in_flight=1).teach(tasks(10))
        answered = [next(first) for _ in range(4)]
        first.close()  # type: ignore[attr-defined]
        before = len(server.bodies)
        journal = tmp_path / "journal.jsonl"
        with journal.open("ab") as torn:
            torn.write(b'{"key": "half a li')
        again = ask(server.url, tmp_path, 10)
    assert again[:4] == answered
    assert len(server.bodies) == 10
    assert before < 10
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_failures_are_forgotten_by_the_next_attempt(tmp_path: Path) -> None:
    with teacher_server(lambda number, body: completion("nonsense")) as broken:
        assert ask(broken.url, tmp_path, 1, budget=1.0)[0].failure
    with teacher_server() as mended:
        assert ask(mended.url, tmp_path, 1)[0].drafts


def test_too_many_failures_end_the_job_with_counts_and_the_last_reason(tmp_path: Path) -> None:
    def mixed(number: int, body: dict[str, Any]) -> Reply:
        return completion("", refusal="No.") if "drug1" in body["messages"][-1]["content"] else good(number, body)

    with (
        teacher_server(mixed) as server,
        pytest.raises(FailedPrecondition, match=r"\d+ refused.*at most 10% may fail.*No\."),
    ):
        ask(server.url, tmp_path, 30)


def test_few_failures_are_within_the_budget_and_count_once_each(tmp_path: Path) -> None:
    def third_fails(number: int, body: dict[str, Any]) -> Reply:
        return completion("no json") if "drug3\n" in body["messages"][-1]["content"] else good(number, body)

    with teacher_server(third_fails) as server:
        found = ask(server.url, tmp_path, 12, budget=0.1)
    assert [a.task.section.id for a in found if a.failure] == ["s3"]
    assert len(server.bodies) == 13


def test_weaker_answers_come_from_the_teacher_pair_by_pair(tmp_path: Path) -> None:
    def weaker(number: int, body: dict[str, Any]) -> Reply:
        asked = body["messages"][-1]["content"]
        wrong = asked.rsplit("Answer: ", 1)[1].replace("10 mg", "100 mg")
        return completion(json.dumps({"pairs": [{"question": "as given", "answer": wrong}]}))

    pairs = [
        make_pair((Message("user", f"Dose {n}?"),), f"Take 10 mg, {n} times.", question_type="fact") for n in range(5)
    ]
    with teacher_server(weaker) as server:
        recipe = TeacherRecipe(server.url, "a-model", "", Style.SENTENCES, (), 5.0, 0.1)
        found = weak_answers(pairs, recipe, key="", journal=tmp_path / "weak.jsonl")
    assert [(pair.id, answer) for pair, answer in found] == [
        (pair.id, f"Take 100 mg, {n} times.") for n, pair in enumerate(pairs)
    ]


def test_stopping_cuts_the_pauses_short(tmp_path: Path) -> None:
    stopping = threading.Event()
    with teacher_server(lambda number, body: (429, {"Retry-After": "30"}, {})) as server:
        threading.Timer(0.3, stopping.set).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            ask(server.url, tmp_path, 3, stopping=stopping)
    assert time.monotonic() - started < 5
