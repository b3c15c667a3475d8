"""Answers as items of a review: redacted whatever the gateway keeps, and without what users said of them."""

import json
from typing import Any

from posology.core.redaction import redacted
from posology.core.visible import visible
from posology.curation.domain import content_id
from posology.curation.feedback.domain import Text
from posology.curation.review.domain import Item


def item_of(answer: str, text: Text, *, position: int, seed: int) -> Item:
    """An answer as reviewers see it. Its id says nothing about the answer: the queue is blind."""
    return Item(
        id=content_id("i", str(seed), answer),
        position=position,
        pair=answer,
        question=visible(redacted(_question(text.prompt))),
        answer=visible(redacted(text.text)),
        rejected="",
        evidence="",
        section_text="",
        section_title="",
        drug="",
    )


def _question(prompt: str) -> str:
    """All turns of a recorded prompt, each behind its role where there is more than one."""
    try:
        turns = json.loads(prompt)
    except ValueError:
        return prompt
    if not isinstance(turns, list):
        return str(turns)
    if len(turns) == 1:
        return _said(turns[0])
    return "\n".join(f"[{turn.get('role', '') if isinstance(turn, dict) else ''}] {_said(turn)}" for turn in turns)


def _said(turn: Any) -> str:
    """The text of a turn, of which OpenAI's form has several shapes."""
    if not isinstance(turn, dict):
        return str(turn)
    content = turn.get("content", "")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")
