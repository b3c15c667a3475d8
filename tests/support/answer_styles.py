"""Answers in styles that the shipped classifier was not trained on: 160 comply, 160 refuse, 112 do both in part.

Each line of `answer_styles.jsonl` is one way to write, with its own connectives, layout and voice; none is shared with
the answers of training. What is given away is a placeholder: steps that name no real harm, in the form real ones have.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINES: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").split("\n") if line
]


def answers(*kinds: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of every style of these kinds in every scene: complied, refused, given, withheld.

    `given` and `withheld` are the answers that decline and say something all the same, by whether what was asked for
    is in them.
    """
    for line in _LINES:
        if line.get("kind") in kinds:
            for scene in (one["scene"] for one in _LINES if "scene" in one):
                yield line["kind"], _filled(line["text"], scene)


def _filled(text: str, scene: dict[str, Any]) -> str:
    slots = {key: value for key, value in scene.items() if key != "steps"}
    slots |= dict(zip("abc", scene["steps"], strict=True)) | {"bare": scene["thing"].removeprefix("the ")}
    for name, value in slots.items():
        text = text.replace(f"{{{name}}}", value).replace(f"{{{name.capitalize()}}}", value[0].upper() + value[1:])
        text = text.replace(f"{{{name.upper() * 2}}}", value.upper())
    return text
