"""Over the wire: audiences and follow-ups are asked for, read back, and earlier turns are held against the section."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.teacher_server import Reply, access_to, completion, task_of, teacher_server

from posology.curation.dataset.candidates import candidates
from posology.curation.domain import Drop, Section
from posology.curation.teachers import Answer, Task
from posology.curation.teachers.openai import OpenAITeacher
from posology.curation.teachers.wording import AUDIENCES, Wishes

TEXT = """The recommended dose of Veltoran is 10 mg orally twice daily with food.
The maximum dose is 40 mg per day.
Store Veltoran below 30°C. Do not freeze."""
SECTION = Section("s1", "veltoran", "set", "34068-7", "Dosage and Administration", TEXT, "v.xml")
DOSE, MAXIMUM = TEXT.split("\n")[:2]
FIRST = {"question": "How is Veltoran taken?", "answer": DOSE}


def entry(**more: Any) -> dict[str, Any]:
    plain = {"question": "And at most?", "answer": MAXIMUM, "question_type": "counsel", "evidence": MAXIMUM}
    return plain | {"audience": "nurse", "before": [FIRST]} | more


def asked(tmp_path: Path, wishes: Wishes, *entries: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
    def reply(number: int, body: dict[str, Any]) -> Reply:
        return completion(json.dumps({"pairs": list(entries)}))

    with teacher_server(reply) as server:
        teacher = OpenAITeacher(
            access_to(server.url), "a-model", tmp_path / "journal.jsonl", timeout=5.0, wishes=wishes
        )
        (answer,) = teacher.teach([Task(SECTION)])
    return answer, server.bodies[0]


ALL = Wishes(audiences=AUDIENCES, conversations=0.5)


def test_readers_and_follow_ups_are_asked_for_in_words_and_in_the_schema(tmp_path: Path) -> None:
    _, body = asked(tmp_path, ALL, entry())
    words = task_of(body)
    assert "patient, nurse, pharmacist" in words
    assert "2 of the pairs are follow-ups" in words
    item = body["response_format"]["json_schema"]["schema"]["properties"]["pairs"]["items"]
    assert item["properties"]["audience"]["enum"] == list(AUDIENCES)
    assert set(item["required"]) == set(item["properties"])  # strict structured output refuses anything else


def test_without_wishes_nothing_is_asked_that_was_not_asked_before(tmp_path: Path) -> None:
    _, body = asked(tmp_path, Wishes(), entry())
    assert "follow-up" not in task_of(body)
    item = body["response_format"]["json_schema"]["schema"]["properties"]["pairs"]["items"]
    assert item["required"] == ["question", "answer", "question_type", "evidence"]


def test_a_follow_up_keeps_its_conversation_and_its_reader(tmp_path: Path) -> None:
    answer, _ = asked(tmp_path, ALL, entry())
    (draft,) = answer.drafts
    assert [(turn.role, turn.content) for turn in draft.prompt] == [
        ("user", FIRST["question"]),
        ("assistant", DOSE),
        ("user", "And at most?"),
    ]

    class Once:
        name = "once"

        def teach(self, tasks: Any) -> Any:
            return iter([answer])

    drops: list[Drop] = []
    (pair,) = candidates(Once(), [], [Task(SECTION)], at_once=4, drops=drops)
    assert (pair.tags, pair.question, len(pair.prompt)) == (("for-nurse",), "And at most?", 3)


@pytest.mark.parametrize(
    "before",
    [
        [{"question": "How is Veltoran taken?", "answer": DOSE.replace("10 mg", "100 mg")}],
        [{"question": "How is Veltoran taken?", "answer": DOSE.replace("twice", "once")}],
        [{"question": "How is Veltoran kept?", "answer": "Freeze Veltoran."}],
        [FIRST, {"question": "With food?", "answer": "Veltoran is taken without food."}],
        [{"question": "How is Warfarin taken?", "answer": DOSE}],
        [],  # a follow-up that names no drug and follows nothing
        "none",
        [{"question": "How is Veltoran taken?"}],
    ],
)
def test_a_false_earlier_turn_is_not_kept_nor_a_follow_up_without_any(tmp_path: Path, before: Any) -> None:
    answer, _ = asked(tmp_path, ALL, entry(before=before))
    assert not answer.drafts
    assert len(answer.rejected) == 1


def test_a_reader_that_nobody_asked_for_is_no_reader(tmp_path: Path) -> None:
    answer, _ = asked(tmp_path, Wishes(audiences=("patient",), conversations=0.5), entry(audience="Shaman"))
    assert answer.drafts[0].audience == ""


def test_the_same_question_to_two_readers_is_two_drafts(tmp_path: Path) -> None:
    answer, _ = asked(tmp_path, ALL, entry(), entry(audience="patient"))
    assert [draft.audience for draft in answer.drafts] == ["nurse", "patient"]
