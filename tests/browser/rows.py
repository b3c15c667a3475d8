"""Rows of data sets as curation writes them, made by hand: as many and as strange as a test wants."""

from typing import Any

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> \"quoted\" 'single' `back` ${1+1} {{ 7*7 }} {% raw %} "
    "</textarea></script>\u202egnp.exe\u202c\u200b\x07 javascript:alert(1) " + "W" * 300
)


def section(number: int, text: str, *, title: str = "2 DOSAGE", drug: str = "drug") -> dict[str, Any]:
    """A label's section."""
    return {"id": f"s{number}", "code": "34068-7", "title": title, "drug": drug, "text": text, "source": "label.xml"}


def pair(number: int, question: str, answer: str, *, evidence: str, drug: str = "drug", of: int = 0) -> dict[str, Any]:
    """A question and its answer, from section `of`."""
    return {
        "id": f"p{number}",
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": answer}],
        "drug": drug,
        "section": f"s{of}",
        "evidence": evidence,
        "tags": [],
    }


def preference(number: int, question: str, chosen: str, rejected: str, *, of: int = 0) -> dict[str, Any]:
    """A chosen and a rejected answer."""
    row = pair(number, question, chosen, evidence=chosen, of=of)
    del row["completion"]
    return row | {
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }
