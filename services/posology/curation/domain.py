"""What curation talks about: labels and their sections, question/answer pairs, and drops with their reason."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

GENERAL = "general"  # tag: not clinical, keeps the model's other abilities
REFUSAL = "refusal"  # tag: a refusal that is wanted, so no filter may drop it for refusing
CORRECTED = "corrected"  # tag: an expert changed its question or answer
CONTRADICTION = "possible-contradiction"  # tag: an expert has to look at this pair


def content_id(prefix: str, *parts: str) -> str:
    """A short id that depends on content alone: the same input has the same id on every machine."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}-{digest[:16]}"


@dataclass(frozen=True)
class Label:
    """One drug label: what it is about, which version it is, and where it came from."""

    set_id: str  # stable across versions; "" when the source has none
    version: int
    drug: str  # the name that questions use, lower case
    ingredients: tuple[str, ...]  # active ingredients without their salts, sorted
    source: str  # path relative to the source's root, never a path of this machine
    brands: tuple[str, ...] = ()  # the product's other names, as the label spells them


@dataclass(frozen=True)
class Section:
    """A leaf of a label: text that belongs to one LOINC code and repeats in no other section."""

    id: str
    drug: str
    set_id: str
    code: str  # LOINC; "" for documents that are not labels
    title: str
    text: str  # one line per paragraph, list item or table row ("| a | b |")
    source: str
    family: str = ""  # drugs of one family always fall on the same side of the split
    brands: tuple[str, ...] = ()  # other names of the drug that the text may use

    def as_json(self) -> dict[str, Any]:
        """The line that `sections.jsonl` holds."""
        return {
            "id": self.id,
            "drug": self.drug,
            "family": self.family,
            "set_id": self.set_id,
            "code": self.code,
            "title": self.title,
            "text": self.text,
            "source": self.source,
            "brands": list(self.brands),
        }


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; role is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Pair:
    """One training example and where its answer comes from."""

    id: str
    prompt: tuple[Message, ...]
    answer: str
    question_type: str
    drug: str = ""
    family: str = ""
    section: str = ""  # id of the section it was made from
    evidence: str = ""  # the sentence of that section which proves the answer
    source: str = ""
    tags: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        """The last thing the user said."""
        asked = [m.content for m in self.prompt if m.role == "user"]
        return asked[-1] if asked else ""

    @property
    def text(self) -> str:
        """Question and answer in one, for fingerprints and duplicate search."""
        return f"{self.question}\n{self.answer}"

    def tagged(self, *tags: str) -> "Pair":
        """The same pair with more tags; ids do not depend on tags."""
        return replace(self, tags=tuple(sorted({*self.tags, *tags})))

    def as_json(self) -> dict[str, Any]:
        """The line that `train.jsonl` and its siblings hold."""
        return {
            "id": self.id,
            "prompt": [{"role": m.role, "content": m.content} for m in self.prompt],
            "completion": [{"role": "assistant", "content": self.answer}],
            "question_type": self.question_type,
            "drug": self.drug,
            "family": self.family,
            "section": self.section,
            "evidence": self.evidence,
            "source": self.source,
            "tags": list(self.tags),
        }


def make_pair(
    prompt: tuple[Message, ...],
    answer: str,
    *,
    question_type: str,
    section: Section | None = None,
    evidence: str = "",
    source: str = "",
    tags: tuple[str, ...] = (),
    drug: str = "",
) -> Pair:
    """A pair whose id follows from its conversation and section, so equal inputs give equal ids."""
    turns = json.dumps([[m.role, m.content] for m in prompt], ensure_ascii=False)
    where = section.id if section else source
    return Pair(
        id=content_id("p", turns, answer, where),
        prompt=prompt,
        answer=answer,
        question_type=question_type,
        drug=section.drug if section else drug,
        family=section.family if section else drug,
        section=section.id if section else "",
        evidence=evidence,
        source=section.source if section else source,
        tags=tuple(sorted(set(tags))),
    )


def pair_from_json(line: Mapping[str, Any]) -> Pair:
    """Read a line of `train.jsonl` back."""
    return Pair(
        id=line["id"],
        prompt=tuple(Message(m["role"], m["content"]) for m in line["prompt"]),
        answer=line["completion"][0]["content"],
        question_type=line.get("question_type", ""),
        drug=line.get("drug", ""),
        family=line.get("family", ""),
        section=line.get("section", ""),
        evidence=line.get("evidence", ""),
        source=line.get("source", ""),
        tags=tuple(line.get("tags", ())),
    )


def section_from_json(line: Mapping[str, Any]) -> Section:
    """Read a line of `sections.jsonl` back."""
    return Section(
        id=line["id"],
        drug=line["drug"],
        set_id=line["set_id"],
        code=line["code"],
        title=line["title"],
        text=line["text"],
        source=line["source"],
        family=line.get("family", ""),
        brands=tuple(line.get("brands", ())),
    )


@dataclass(frozen=True)
class Drop:
    """Something that did not make it into the data set, and why; nothing disappears without one."""

    stage: str  # source | teacher | filter | duplicate | contamination | split | review
    reason: str  # short and countable: "min_words"
    detail: str  # for a person: "12 words, at least 80 wanted"
    source: str = ""
    pair: Pair | None = None

    def as_json(self) -> dict[str, Any]:
        """The line that `drops.jsonl` holds; a dropped pair is kept whole, so that it can be brought back."""
        return {
            "stage": self.stage,
            "reason": self.reason,
            "detail": self.detail,
            "source": self.source or (self.pair.source if self.pair else ""),
            "pair": self.pair.as_json() if self.pair else None,
        }


@dataclass
class Corpus:
    """Everything that the sources of one data set gave, before a teacher has seen it."""

    sections: list[Section] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)  # pairs that came ready-made
    drops: list[Drop] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # relative path -> sha256


def draw(seed: int, *about: str) -> bytes:
    """A sort key that depends on the seed and the thing itself, never on the order in which things came."""
    return hashlib.sha256("\x1f".join((str(seed), *about)).encode()).digest()
