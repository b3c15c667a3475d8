"""Run by the worker python: templates and tokenizers of many kinds, and what is said of them; prints JSON."""

import json
from datetime import date
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from posology.core.errors import InvalidInput
from posology.training.worker import labels, row_checks, templates, tokens

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
)
PICKY = (
    "{% for m in messages %}{% if m['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role') }}{% endif %}{% endfor %}" + CHATML
)
STRIPS = CHATML.replace("m['content']", "m['content'].split('</think>')[-1]")
THINKS = CHATML.replace(
    "{{ m['content'] }}", "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}"
)
LOOPS = "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}"
CLOCK = "{{ strftime_now('%d %b %Y') }} {{ strftime_now(\"%Y-%m-%d\") }}" + CHATML


def tokenizer(template: str, normalizer: Any = None, *, clean: bool = False) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    if normalizer is not None:
        raw.normalizer = normalizer
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        ["the dose"],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|im_end|>", clean_up_tokenization_spaces=clean
    )
    made.chat_template = template
    return made


def row(*roles: str, answer: Any = "With water .", content: Any = "How?") -> dict[str, Any]:
    prompt = [{"role": role, "content": content} for role in roles]
    return {"id": "last", "prompt": prompt, "completion": [{"role": "assistant", "content": answer}]}


QWEN = CHATML.replace("m['content']", "(m['content'] if loop.last else m['content'].split('</think>')[-1])")
"""Earlier answers lose their thoughts, as Qwen 3's template has it."""


def talk(earlier: str = "Yes.", *, between: str = "user") -> dict[str, Any]:
    """Two answers; the first stands in the prompt."""
    turns = [("user", "May I?"), ("assistant", earlier), (between, "How?")]
    prompt = [{"role": role, "content": content} for role, content in turns]
    return {"id": "last", "prompt": prompt, "completion": [{"role": "assistant", "content": "With water ."}]}


def turns(made: Any, one: Any) -> str:
    """What is said of a conversation whose every answer is to be learned; else how many tokens are."""
    stops = frozenset([made.eos_token_id])
    faults = row_checks.examine(made, stops, row_checks.placed([one]), every_answer=True).faults
    if faults:
        return f"{faults[0].kind}: {faults[0].detail}"
    counts = labels.check(labels.labelled(made, [one], every=True), [one], made, stops, every=True)
    return str(counts["loss_tokens"] == answer_tokens(made, one))


def answer_tokens(made: Any, one: Any) -> int:
    """Tokens of all answers, each with its end of turn and the line break behind it."""
    messages = [*one["prompt"], *one["completion"]]
    texts = [message["content"] for message in messages if message["role"] == "assistant"]
    return sum(len(made(f"{text}<|im_end|>\n", add_special_tokens=False)["input_ids"]) for text in texts)


GOOD = {"id": "good", "prompt": row("user")["prompt"], "completion": row("user")["completion"]}


def refusal(made: Any, *rows: Any) -> str:
    """What is said of rows behind nine good ones, "" when they are taken."""
    try:
        row_checks.check_template(made, frozenset([made.eos_token_id]), [*[GOOD] * 9, *rows])
    except InvalidInput as error:
        return error.message
    return ""


def labels_of(made: Any, one: Any) -> dict[str, int]:
    ids, start = tokens.conversation_ids(made, one), len(tokens.prompt_ids(made, one["prompt"]))
    item = {"input_ids": ids, "labels": [-100] * start + ids[start:]}
    return labels.check([item], [one], made, frozenset([made.eos_token_id]))


row_checks.RENDER_SECONDS = 0.5
normal = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
stopped = tokenizer(templates.stopped(CLOCK, date(2024, 7, 26)))
print(
    json.dumps(
        {
            "system": refusal(tokenizer(NO_SYSTEM), row("system", "user")),
            "two users": refusal(tokenizer(ALTERNATING), row("user", "user")),
            "tool": refusal(tokenizer(PICKY), row("tool")),
            "developer": refusal(tokenizer(PICKY), row("developer", "user")),
            "stripped": refusal(tokenizer(STRIPS), row("user", answer="<think>a</think> b")),
            "null": refusal(tokenizer(CHATML), row("user", answer=None)),
            "null prompt": refusal(tokenizer(CHATML), row("user", content=None)),
            "parts": refusal(tokenizer(CHATML), row("user", answer=[{"type": "text", "text": "x"}])),
            "number": refusal(tokenizer(CHATML), row("user", answer=5)),
            "blank": refusal(tokenizer(CHATML), row("user", answer=" \n")),
            "no prompt": refusal(tokenizer(CHATML), {**row("user"), "prompt": []}),
            "loop": refusal(tokenizer(LOOPS), row("user")),
            "clean-up": refusal(tokenizer(CHATML, clean=True), row("user", answer="5 mg / kg , do n't .")),
            "clean-up labels": labels_of(tokenizer(CHATML, clean=True), row("user", answer="5 mg / kg , do n't ."))[
                "examples"
            ],
            "normalised": refusal(tokenizer(CHATML, normal), row("user", answer="Take ½ TABLET")),
            "normalised labels": labels_of(tokenizer(CHATML, normal), row("user", answer="Take ½ TABLET"))["examples"],
            "every answer": turns(tokenizer(CHATML), talk()),
            "every answer, in the completion": turns(
                tokenizer(CHATML),
                {
                    **talk(),
                    "prompt": talk()["prompt"][:1],
                    "completion": [*talk()["prompt"][1:], *talk()["completion"]],
                },
            ),
            "earlier thoughts dropped": turns(tokenizer(QWEN), talk("<think>a</think>Yes.")),
            "no earlier thoughts": turns(tokenizer(QWEN), talk()),
            "ends with a question": refusal(tokenizer(CHATML), {**talk(), "completion": talk()["prompt"][:1]}),
            "think": row_checks.examine(
                tokenizer(THINKS), frozenset([2]), row_checks.placed([row("user")])
            ).think_block,
            "letters under think": templates.letters_problem(tokenizer(THINKS), "ABCD"),
            "letters": templates.letters_problem(tokenizer(CHATML), "ABCD"),
            "clock": templates.reads_clock(tokenizer(CLOCK)),
            "clock stopped": templates.reads_clock(stopped),
            "date": tokens.decode(stopped, tokens.prompt_ids(stopped, GOOD["prompt"]))[:24],
        }
    )
)
