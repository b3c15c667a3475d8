"""What a chat template does beside rendering: read the clock, or hide the place where an answer starts."""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from posology.training.worker import tokens

_FORMATS = re.compile(r"(['\"])([^'\"{}\n]*%-?[A-Za-z][^'\"{}\n]*)\1")
_READS = "strftime_now"
_PROBE = ({"role": "user", "content": "Hello."},)


def stop_clock(model: Path, at: date) -> bool:
    """Give the templates of a model folder a clock that stands still at a date; whether there was one to stop.

    A template that writes today's date (Llama 3.2, gpt-oss) renders another prompt tomorrow than the one that was
    trained and evaluated, under the same digest. Jinja finds a macro of the function's name before the function.
    """
    changed = [_stop_in(path, at) for path in _template_files(model)]
    return any(changed)


def _template_files(model: Path) -> Iterator[Path]:
    for name in ("chat_template.jinja", "chat_template.json", "tokenizer_config.json"):
        if (model / name).is_file():
            yield model / name


def _stop_in(path: Path, at: date) -> bool:
    text = path.read_text(encoding="utf-8")
    if _READS not in text:
        return False
    if path.suffix == ".jinja":
        path.write_text(stopped(text, at), encoding="utf-8")
        return stopped(text, at) != text
    settings = json.loads(text)
    template = settings.get("chat_template")
    if isinstance(template, str):
        settings["chat_template"] = stopped(template, at)
    elif isinstance(template, list):
        settings["chat_template"] = [{**each, "template": stopped(each["template"], at)} for each in template]
    else:
        return False
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return bool(settings["chat_template"] != template)


def stopped(template: str, at: date) -> str:
    """The template with a macro in the clock's place; unchanged if it reads no clock or has the macro already."""
    if _READS not in template or f"macro {_READS}" in template:
        return template
    formats = dict.fromkeys(match[2] for match in _FORMATS.finditer(template))  # wherever they stand: it may be aliased
    midnight = datetime(at.year, at.month, at.day)
    cases = "".join(
        f"{{%- {'if' if number == 0 else 'elif'} format == {each!r} -%}}{midnight.strftime(each)}"
        for number, each in enumerate(formats)
    )
    unknown = "{{- raise_exception('templateDate knows no format ' ~ format) -}}"
    body = f"{cases}{{%- else -%}}{unknown}{{%- endif -%}}" if cases else unknown
    return f"{{%- macro {_READS}(format) -%}}{body}{{%- endmacro -%}}{template}"


def reads_clock(tokenizer: Any) -> bool:
    """Whether a prompt depends on the day on which it is rendered."""
    template = tokenizer.chat_template
    return _READS in str(template) and any(
        _READS in each and f"macro {_READS}" not in each
        for each in (template.values() if isinstance(template, dict) else [str(template)])
    )


def letters_problem(tokenizer: Any, letters: str) -> str:
    """Why options can't be scored by their letters, "" if they can: one token each, right where an answer starts."""
    try:
        prompt = tokens.prompt_ids(tokenizer, _PROBE)
        answers = []
        for letter in letters:
            row = {"prompt": _PROBE, "completion": [{"role": "assistant", "content": letter}]}
            answers.append(tokens.conversation_ids(tokenizer, row)[len(prompt) :])
    except Exception:  # noqa: BLE001 - a template that refuses this conversation is named by the rows that it refuses
        return ""
    starts = [answer[:1] for answer in answers]
    if len({tuple(start) for start in starts}) == len(letters):
        return ""
    if "think" in tokens.decode(tokenizer, answers[0]):
        return "the template puts a think block before each answer, so no letter stands where an answer starts"
    return "the tokenizer does not make each letter one token where an answer starts"
