"""Thoughts that stand before an answer: taken off, and noticed where they were cut."""

import re

_BLOCK = re.compile(r"<think>.*?</think>|^(?:(?!<think>).)*?</think>", re.DOTALL)


def without_thoughts(text: str) -> str:
    """The answer itself; thoughts that never end are all that there is, and nothing stays."""
    return _BLOCK.sub("", text).split("<think>")[0].strip()


def unfinished_thought(text: str) -> bool:
    """Whether an answer was cut inside its thoughts: what it would have said is unknown."""
    return "<think>" in _BLOCK.sub("", text)
