"""Preferences in the shapes that people have are read alike; what is no preference is a drop that says why."""

from typing import Any

import pytest

from posology.curation.sources.preference_rows import read_preferences

Q, GOOD, BAD = "What is the dose?", "Ten mg once daily.", "Twenty mg once daily."


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(texts)]


def shared(*texts: str) -> list[dict[str, str]]:
    return [{"from": "human" if n % 2 == 0 else "gpt", "value": text} for n, text in enumerate(texts)]


HH = "\n\nHuman: {}\n\nAssistant: {}"
FORMS: dict[str, dict[str, Any]] = {
    "explicit, text": {"prompt": Q, "chosen": GOOD, "rejected": BAD},
    "explicit, messages": {"prompt": turns(Q), "chosen": turns(Q, GOOD)[1:], "rejected": turns(Q, BAD)[1:]},
    "implicit, messages": {"chosen": turns(Q, GOOD), "rejected": turns(Q, BAD)},
    "UltraFeedback": {"prompt": Q, "chosen": turns(Q, GOOD), "rejected": turns(Q, BAD), "score_chosen": 8.0},
    "Orca": {"system": "", "question": Q, "chosen": GOOD, "rejected": BAD},
    "Alpaca": {"instruction": Q, "input": "", "chosen": GOOD, "rejected": BAD},
    "LLaMA-Factory": {"conversations": shared(Q), "chosen": shared(Q, GOOD)[1], "rejected": shared(Q, BAD)[1]},
    "ShareGPT on both sides": {"chosen": shared(Q, GOOD), "rejected": shared(Q, BAD)},
    "HH": {"chosen": HH.format(Q, GOOD), "rejected": HH.format(Q, BAD)},
    "HH with its prompt": {
        "prompt": f"\n\nHuman: {Q}\n\nAssistant:",
        "chosen": HH.format(Q, GOOD),
        "rejected": HH.format(Q, BAD),
    },
    "content as parts": {
        "prompt": [{"role": "user", "content": [{"type": "text", "text": Q}]}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": GOOD}]}],
        "rejected": [{"role": "assistant", "content": BAD}],
    },
    "with a spare answer": {"prompt": Q, "chosen": GOOD, "rejected": BAD, "response": "Some third answer."},
    "messages and sides": {"messages": turns(Q), "chosen": GOOD, "rejected": BAD},
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_read_as_the_same_preference(name: str) -> None:
    [(pair, rejected)], drops = read_preferences([("line 1", FORMS[name])], source="own.jsonl")
    assert drops == []
    assert [(m.role, m.content) for m in pair.prompt] == [("user", Q)]
    assert (pair.answer, rejected) == (GOOD, BAD)


def test_several_turns_and_a_system_text_stay_in_the_prompt() -> None:
    talk = [{"role": "system", "content": "Be brief."}, *turns("May I?", "Yes.", Q)]
    record = {"chosen": [*talk, *turns(Q, GOOD)[1:]], "rejected": [*talk, *turns(Q, BAD)[1:]]}
    [(pair, rejected)], _ = read_preferences([("line 1", record)], source="own.jsonl")
    assert [m.role for m in pair.prompt] == ["system", "user", "assistant", "user"]
    assert (pair.answer, rejected) == (GOOD, BAD)


NONE: dict[str, tuple[dict[str, Any], str]] = {
    "no rejected": ({"prompt": Q, "chosen": GOOD}, "no rejected answer"),
    "no chosen": ({"prompt": Q, "rejected": GOOD}, "no chosen answer"),
    "null": ({"prompt": Q, "chosen": None, "rejected": BAD}, "no chosen answer"),
    "blank": ({"prompt": Q, "chosen": "  ", "rejected": BAD}, "no question and answer"),
    "no question": ({"chosen": GOOD, "rejected": BAD}, "no question and answer"),
    "equal": ({"prompt": Q, "chosen": GOOD, "rejected": GOOD}, "say the same"),
    "equal but for spaces": ({"prompt": Q, "chosen": GOOD, "rejected": f" {GOOD.upper()}\n"}, "say the same"),
    "two conversations": ({"chosen": turns(Q, GOOD), "rejected": turns("Why?", BAD)}, "two different conversations"),
    "KTO": ({"prompt": Q, "completion": GOOD, "label": True}, "no chosen answer"),
    "ends with a question": ({"chosen": turns(Q, GOOD, Q), "rejected": turns(Q, BAD)}, "no question and answer"),
    "a tool's turn": (
        {"prompt": Q, "chosen": [{"role": "tool", "content": "5"}], "rejected": BAD}, "which training cannot use",
    ),
    "a picture": ({"prompt": Q, "chosen": [{"type": "image", "url": "x"}], "rejected": BAD}, "that is no text"),
    "a number": ({"prompt": Q, "chosen": {"score": 1}, "rejected": BAD}, "text"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_preference_is_dropped_with_the_reason(name: str) -> None:
    record, reason = NONE[name]
    kept, [drop] = read_preferences([("line 7", record)], source="own.jsonl")
    assert kept == []
    assert drop.detail.startswith("line 7 ")
    assert reason in drop.detail
    assert "keys: " in drop.detail
