"""Thoughts that a model writes before its answer: taken off, and noticed where they were cut.

Known are the tags of Qwen, DeepSeek and most others (<think>), and those of Magistral ([THINK]), Kimi (◁think▷), Seed
(<seed:think>), MedGemma (<unused94>thought), OpenThinker (<|begin_of_thought|>) and gpt-oss (channels), in any case.
"""

import re

_NAME = r"(?:think|thinking|thoughts?|reasoning|seed:think|response_thinking|scratchpad)"
_OPEN = re.compile(
    rf"<{_NAME}\s*>|\[THINK\]|◁think▷|<unused94>(?:thought)?|<\|begin_of_thought\|>|<\|channel\|>(?:analysis|commentary)\b",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</{_NAME}\s*>|\[/THINK\]|◁/think▷|<unused95>|<\|end_of_thought\|>|<\|channel\|>final(?:<\|message\|>)?",
    re.IGNORECASE,
)
_NO_TOKENS = re.compile(r"\s*analysis(?=[A-Z]).*?assistantfinal", re.DOTALL)  # gpt-oss without its special tokens
_WRAPPED = re.compile(
    r"\s*(?:<(answer|output|response|solution)\s*>(?P<tagged>.*?)(?:</\1\s*>)?|<\|begin_of_solution\|>(?P<solution>.*?)"
    r"(?:<\|end_of_solution\|>)?)\s*(?:<\|(?:return|end)\|>\s*)?",
    re.DOTALL | re.IGNORECASE,
)


def without_thoughts(text: str) -> str:
    """The answer itself; thoughts that never end are all that there is, and nothing stays.

    A closing tag without an opening one counts: many templates open the thoughts in the prompt.
    """
    answer = _after_thoughts(text)
    wrapped = _WRAPPED.fullmatch(answer)
    if answer == text and not wrapped:
        return text.strip()
    answer = (wrapped["tagged"] or wrapped["solution"] or "") if wrapped else answer
    return re.sub(r"\s*<\|(?:return|end)\|>\s*$", "", answer).strip()


def unfinished_thought(text: str) -> bool:
    """Whether an answer was cut inside its thoughts: what it would have said is unknown."""
    return _is_open(text[_end_of_thoughts(text) :])


def _after_thoughts(text: str) -> str:
    rest = text[_end_of_thoughts(text) :]
    begun = _OPEN.search(rest) if _is_open(rest) else None
    return rest[: begun.start()] if begun else rest


def _end_of_thoughts(text: str) -> int:
    """Where the last thought ends, 0 without one."""
    last = max((match.end() for match in _CLOSE.finditer(text)), default=0)
    bare = _NO_TOKENS.match(text)
    return max(last, bare.end() if bare else 0)


def _is_open(rest: str) -> bool:
    """Whether a thought begins that does not end; a tag in the middle of an answer may be its subject."""
    begun = _OPEN.search(rest)
    return begun is not None and (not rest[: begun.start()].strip() or begun.group().casefold() == "<think>")
