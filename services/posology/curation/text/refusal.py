"""The words with which an answer refuses; for the filter, and for a teacher that refused its task."""
# ruff: noqa: E501  (the expression reads better unbroken)

import re

# Anchored at the start: "patients who cannot take aspirin" is a clinical answer, "I cannot help" is not.
_REFUSES = re.compile(
    r"^\W*(?:i(?:'|’)?m (?:really |very |so )?sorry|sorry,|i (?:can(?:'|’)?t|cannot|can not|won(?:'|’)?t|am unable to|am not able to)|"
    r"as an ai|i(?:'|’)?m (?:not able|unable)|unfortunately,? i|i must decline|i don(?:'|’)?t feel comfortable|my apologies|"
    r"i apologize|it (?:is|would be) (?:not appropriate|inappropriate) for me)\b",
    re.IGNORECASE,
)


def refuses(answer: str) -> str:
    """The words with which an answer refuses, or "". Only its first words are looked at."""
    match = _REFUSES.match(answer[:200])
    return match.group().strip() if match else ""
