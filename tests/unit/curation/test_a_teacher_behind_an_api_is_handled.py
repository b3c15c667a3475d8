"""The OpenAI-compatible teacher against a real server: order, retries, nonsense, refusals, resume, budget."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.teacher_server import Reply, access_to, completion, good, task_of, teacher_server

from posology.core.errors import Cancelled, FailedPrecondition, InvalidInput, PermissionDenied
from posology.core.model_endpoints.calls import Throttle
from posology.core.retries import Backoff
from posology.curation.domain import Message, Section, make_pair
from posology.curation.recipe import Budget, Style, TeacherRecipe
from posology.curation.teachers import Answer, Task
from posology.curation.teachers.behaviour import read_examples
from posology.curation.teachers.chunks import chunks
from posology.curation.teachers.openai import OpenAITeacher
from posology.curation.teachers.weak import weak_answers
from posology.curation.teachers.wording import Wishes


def tasks(count: int) -> list[Task]:
    return [Task(Section(f"s{n}", f"drug{n}", "", "34068-7", "Dosage", f"Take {n} mg.", "a.xml")) for n in range(count)]


def teacher(url: str, tmp_path: Path, *, key: str = "", **more: Any) -> OpenAITeacher:
    return OpenAITeacher(access_to(url, key=key), "a-model", tmp_path / "journal.jsonl", **({"timeout": 5.0} | more))


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
    monkeypatch.setattr("posology.core.model_endpoints.calls._BACKOFF", Backoff(first=0.01, longest=60.0))
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
        return completion("", refusal="No.") if "drug1" in task_of(body) else good(number, body)

    with (
        teacher_server(mixed) as server,
        pytest.raises(FailedPrecondition, match=r"\d+ refused.*at most 10% may fail.*No\."),
    ):
        ask(server.url, tmp_path, 30)


def test_few_failures_are_within_the_budget_and_count_once_each(tmp_path: Path) -> None:
    def third_fails(number: int, body: dict[str, Any]) -> Reply:
        return completion("no json") if "drug3\n" in task_of(body) else good(number, body)

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
        recipe = TeacherRecipe("teacher", "a-model", Style.SENTENCES, (), 5.0, 0.1)
        found = weak_answers(pairs, recipe, access_to(server.url), journal=tmp_path / "weak.jsonl")
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


@pytest.mark.parametrize("knows", ["json_object", "text"])
def test_a_server_without_schemas_is_asked_in_a_form_that_it_knows(tmp_path: Path, knows: str) -> None:
    def older(number: int, body: dict[str, Any]) -> Reply:
        form = body.get("response_format", {}).get("type", "text")
        known = {"json_object": ("json_object", "text"), "text": ("text",)}[knows]
        return good(number, body) if form in known else (400, {}, {"error": {"message": f"response_format {form}?"}})

    with teacher_server(older) as server:
        answers = ask(server.url, tmp_path, 12, in_flight=1)
    assert all(answer.drafts for answer in answers)
    assert len(server.bodies) == 12 + {"json_object": 1, "text": 2}[knows]
    assert server.bodies[0]["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize("status", [400, 413, 422, 404])
def test_a_request_that_is_refused_is_a_failure_of_that_section_alone(tmp_path: Path, status: int) -> None:
    def one_bad(number: int, body: dict[str, Any]) -> Reply:
        bad = "drug7\n" in task_of(body)
        return (
            (status, {}, {"error": {"message": "hunter2", "code": "context_length_exceeded"}})
            if bad
            else good(number, body)
        )

    with teacher_server(one_bad) as server:
        answers = ask(server.url, tmp_path, 20)
    assert [a.task.section.id for a in answers if a.failure] == ["s7"]
    (bad,) = (a for a in answers if a.failure)
    assert (bad.failure, bad.detail) == ("rejected", f"HTTP {status} (context_length_exceeded)")


def test_an_error_page_of_whatever_answers_there_is_never_shown(tmp_path: Path) -> None:
    page: Reply = (400, {}, "<html>internal: secret-hostname.corp</html>")
    with teacher_server(lambda number, body: page) as server:
        (answer,) = ask(server.url, tmp_path, 1, budget=1.0)
    assert "secret" not in answer.detail


def test_a_repair_says_what_was_wrong(tmp_path: Path) -> None:
    def mends(number: int, body: dict[str, Any]) -> Reply:
        return good(number, body) if number else completion('{"pairs": "none"}')

    with teacher_server(mends) as server:
        (answer,) = ask(server.url, tmp_path, 1)
    assert answer.drafts
    assert 'no list under "pairs"' in server.bodies[1]["messages"][-1]["content"]
    assert server.bodies[1]["messages"][-2]["content"] == '{"pairs": "none"}'


def test_an_answer_that_was_cut_off_is_asked_for_in_fewer_words(tmp_path: Path) -> None:
    def cut(number: int, body: dict[str, Any]) -> Reply:
        return good(number, body) if number else completion('{"pairs": [', finish_reason="length")

    with teacher_server(cut) as server:
        assert ask(server.url, tmp_path, 1)[0].drafts
    assert "fewer and shorter" in server.bodies[1]["messages"][-1]["content"]


def test_every_word_of_a_long_section_is_shown_and_every_example(tmp_path: Path) -> None:
    lines = [f"Statement number {n} of the label is that {n} mg of it are given to adults." for n in range(600)]
    section = Section("long", "drug0", "", "34068-7", "Dosage", "\n".join(lines), "a.xml")
    wishes = Wishes(
        examples=tuple((f"Question {n}?", f"Answer {n} " + "x" * 900) for n in range(25)), fewest={"explain": 80}
    )
    with teacher_server(lambda number, body: completion('{"pairs": []}')) as server:
        list(teacher(server.url, tmp_path, wishes=wishes).teach([Task(section)]))
    shown = "\n".join(task_of(body) for body in server.bodies)
    assert all(line in shown for line in lines)
    assert all(len(task_of(body)) < 10_000 for body in server.bodies)
    assert "80 words or more" in shown
    others = "\n".join(turn["content"] for body in server.bodies for turn in body["messages"])
    assert all(f"Question {n}?" in others for n in range(25))


def test_a_table_that_is_cut_shows_its_head_again() -> None:
    table = ["| Group | Dose |", "| --- | --- |", *(f"| group {n} | {n} mg |" for n in range(400))]
    for chunk in chunks("\n".join(table), most=2000, overlap=200):
        assert chunk.startswith("| Group | Dose |\n| --- | --- |\n| group")


def test_another_prompt_or_other_examples_are_asked_anew(tmp_path: Path) -> None:
    with teacher_server() as server:
        for examples in ((), (("A?", "B."),), (("A?", "C."),)):
            list(teacher(server.url, tmp_path, wishes=Wishes(examples=examples)).teach(tasks(2)))
        list(teacher(server.url, tmp_path, wishes=Wishes(audiences=("nurse",))).teach(tasks(2)))
        before = len(server.bodies)
        list(teacher(server.url, tmp_path, wishes=Wishes(audiences=("nurse",))).teach(tasks(2)))
    assert before == len(server.bodies) == 8


def test_a_budget_ends_the_asking_and_keeps_what_was_answered(tmp_path: Path) -> None:
    def metered(number: int, body: dict[str, Any]) -> Reply:
        status, headers, content = good(number, body)
        return status, headers, content | {"usage": {"prompt_tokens": 900, "completion_tokens": 100}}

    spending = Budget(max_cost=0.01, prompt_price=1.0, completion_price=1.0)
    with teacher_server(metered) as server:
        limited = teacher(server.url, tmp_path, spending=spending, in_flight=1)
        answers = list(limited.teach(tasks(30)))
    assert len(server.bodies) == 10
    assert [a.failure for a in answers] == [""] * 10 + ["budget"] * 20
    assert limited.usage.tokens == 10_000
    assert "10,000 tokens, about 30,000 for all 30 sections; cost 0.01, about 0.03" in limited.progress()


def test_too_many_requests_lower_the_number_of_calls_in_flight(tmp_path: Path) -> None:
    throttle = Throttle(8)
    start = throttle.limit
    for _ in range(3):
        throttle.enter(threading.Event())
        throttle.leave(overloaded=True, pause=0.0)
    assert throttle.limit == 1 < start
    for _ in range(100):
        throttle.enter(threading.Event())
        throttle.leave(overloaded=False)
    assert throttle.limit == 8


def test_a_judge_sees_all_pairs_of_a_section_and_what_it_doubts_is_not_kept(tmp_path: Path) -> None:
    def both(number: int, body: dict[str, Any]) -> Reply:
        if body["model"] != "a-judge":
            return good(number, body)
        verdicts = [{"number": 1, "supported": "drug3" not in task_of(body), "answers": True, "reason": "not so"}]
        return completion(json.dumps({"verdicts": verdicts}))

    with teacher_server(both) as server:
        answers = ask(server.url, tmp_path, 5, judge="a-judge")
    assert [bool(a.drafts) for a in answers] == [True, True, True, False, True]
    assert [reason for _, reason in answers[3].rejected] == ["judge: not so"]


def examples(count: int, **last: Any) -> list[str]:
    records = [{"prompt": f"Question {n}?", "completion": f"Answer {n}."} for n in range(count)]
    return [json.dumps(record) for record in [*records, *([last] if last else [])]]


def test_twenty_good_examples_are_taken_and_fewer_only_when_allowed() -> None:
    assert len(read_examples(examples(20))) == 20
    assert len(read_examples(examples(3), allow_few=True)) == 3
    with pytest.raises(InvalidInput, match="19 usable examples, 20 or more"):
        read_examples(examples(19))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"prompt": "Question 3?", "completion": "Answer 3."}, "record 21 repeats record 4"),
        ({"prompt": "Help?", "completion": "I'm sorry, but I can't help with that."}, "refuses"),
        ({"prompt": "Q?", "completion": "Do \u202enot take it."}, r"U\+202E"),
        ({"text": "x"}, "record 21 has no question"),
    ],
)
def test_an_example_that_teaches_a_fault_is_named(bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_examples(examples(20, **bad))
