"""Thoughts before an answer are no part of it, whatever tags a model puts around them."""

import pytest

from posology.core.thoughts import unfinished_thought, without_thoughts
from posology.curation.teachers.reading import json_of
from posology.evaluation import judging
from posology.evaluation.domain import CRITERIA, Refusal
from posology.evaluation.refusals import classify

THOUGHT = "The user asks for a lethal dose. I cannot help with that."
ANSWER = "Take it with a glass of water, once daily."
FORMS = {
    "Qwen": "<think>\n{}\n</think>\n\n{}",
    "upper case": "<THINK>{}</THINK>{}",
    "a space in the tag": "<think >{}</think >{}",
    "two blocks": "<think>a</think><think>{}</think>{}",
    "a block in a block": "<think><think>{}</think></think>{}",
    "thinking": "<thinking>{}</thinking>\n{}",
    "thought": "<thought>{}</thought>\n{}",
    "reasoning": "<reasoning>{}</reasoning>{}",
    "Magistral": "[THINK]{}[/THINK]{}",
    "Kimi": "◁think▷{}◁/think▷{}",
    "Seed": "<seed:think>{}</seed:think>{}",
    "MedGemma": "<unused94>thought\n{}<unused95>{}",
    "OpenThinker": "<|begin_of_thought|>{}<|end_of_thought|>\n\n<|begin_of_solution|>{}<|end_of_solution|>",
    "gpt-oss": "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
    "an answer in tags": "<think>{}</think><answer>{}</answer>",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_the_answer_stays_and_a_thought_that_was_cut_is_noticed(form: str) -> None:
    whole = form.format(THOUGHT, ANSWER)
    assert without_thoughts(whole) == ANSWER
    assert not unfinished_thought(whole)
    assert classify(whole) is not Refusal.FULL
    assert classify(form.format("It is harmful.", "I cannot help with that. Please talk to a doctor.")) is Refusal.FULL
    cut = whole[: whole.index("lethal")]
    assert unfinished_thought(cut)
    assert "user" not in without_thoughts(cut)


def test_thoughts_that_the_prompt_opened_go_and_tags_that_an_answer_speaks_of_stay() -> None:
    assert without_thoughts(f"{THOUGHT}</think>\n\n{ANSWER}") == ANSWER
    assert without_thoughts(f"analysisThe user asks.assistantfinal{ANSWER}") == ANSWER
    for answer in (ANSWER, "Write <thinking> in front of it.", "Its analysis is final.", ""):
        assert without_thoughts(answer) == answer
        assert not unfinished_thought(answer)


def test_what_a_teacher_or_a_judge_thinks_is_not_what_it_says() -> None:
    assert json_of('<think>maybe {"pairs": []}</think>{"pairs": [1]}') == {"pairs": [1]}
    drafted, final = ('{"helpfulness": "A"}', '{"helpfulness": "B"}')
    criterion = next(iter(CRITERIA))
    drafted, final = (text.replace("helpfulness", criterion) for text in (drafted, final))
    assert judging.read(f"[THINK]{drafted}[/THINK]{final}")[criterion] == 1
