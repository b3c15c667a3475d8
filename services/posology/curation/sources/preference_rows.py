"""Preferences that exist already, in the shapes that people have: one question, a better and a worse answer.

TRL's explicit prompt (prompt, chosen, rejected as text or messages) and implicit one (both sides hold the whole
conversation), UltraFeedback (a prompt that both sides repeat), Orca (system, question), LLaMA-Factory (conversations,
and one turn for each side), and HH's transcripts ("Human: ... Assistant: ..."). Each side is read as a pair by the
reader of pairs, so both know the same forms.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from posology.curation.domain import Drop, Pair
from posology.curation.sources.jsonl import NoPair, read_pairs
from posology.curation.text.normal import tokens

_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant):[ \n]?")
_ROLES = {"Human": "user", "Assistant": "assistant"}
_OTHER_ANSWERS = ("completion", "response", "answer", "answers", "output")


def read_preferences(
    records: Iterable[tuple[str, Mapping[str, Any]]], *, source: str
) -> tuple[list[tuple[Pair, str]], list[Drop]]:
    """(the better pair, the worse answer) of each record, and a drop with its reason for every other record."""
    kept: list[tuple[Pair, str]] = []
    drops: list[Drop] = []
    for where, record in records:
        try:
            kept.append(_read(record, source=source))
        except NoPair as reason:
            keys = ", ".join(sorted(map(str, record)))[:200]
            drops.append(Drop("source", "no_preference", f"{where} {reason}; keys: {keys}", source))
    return kept, drops


def _read(record: Mapping[str, Any], *, source: str) -> tuple[Pair, str]:
    for side in ("chosen", "rejected"):
        if record.get(side) in (None, "", [], {}):
            raise NoPair(f"has no {side} answer")
    better, worse = (_side(record, record[side], source=source) for side in ("chosen", "rejected"))
    if better.prompt != worse.prompt:
        raise NoPair("has answers to two different conversations; they must differ in the last answer alone")
    if tokens(better.answer) == tokens(worse.answer):
        raise NoPair("has a chosen and a rejected answer that say the same")
    return better, worse.answer


def _side(record: Mapping[str, Any], answer: Any, *, source: str) -> Pair:
    """One side as a pair: the question of the record, and this answer."""
    rest = {key: value for key, value in record.items() if key not in ("chosen", "rejected", *_OTHER_ANSWERS)}
    turns = rest.pop("conversations", None) or rest.pop("messages", None)
    if turns:
        rest["prompt"] = turns
    if isinstance(answer, Mapping) and ("role" in answer or "from" in answer):
        answer = [answer]
    if isinstance(answer, str) and _is_transcript(answer):
        answer = _turns(answer)
        prompt = rest.get("prompt")
        if isinstance(prompt, str) and _SPEAKER.search(prompt):
            rest.pop("prompt")
    [pair] = read_pairs({**rest, "chosen": answer}, source=source)
    return pair


def _is_transcript(text: str) -> bool:
    return set(_SPEAKER.findall(text)) == set(_ROLES)


def _turns(transcript: str) -> list[dict[str, str]]:
    """The turns of a transcript in HH's form."""
    parts = _SPEAKER.split(transcript.strip())[1:]
    return [
        {"role": _ROLES[speaker], "content": text.strip()}
        for speaker, text in zip(parts[::2], parts[1::2], strict=True)
    ]
