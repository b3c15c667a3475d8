"""The embedded teacher: questions from fixed forms, answers in the label's words. Deterministic; no model, no network.

It makes, per section: facts by pattern (see `patterns`), gaps to fill in sentences with quantities, statements to
check of which half carry one edited fact, what the section says on a population or on another drug, and a summary.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from posology.curation import codes
from posology.curation.domain import Section
from posology.curation.recipe import Style
from posology.curation.teachers import Answer, Draft, Task
from posology.curation.teachers.patterns import NAMES, PATTERNS, Pattern
from posology.curation.text.edits import edits
from posology.curation.text.normal import normal, without_references
from posology.curation.text.quantities import COMMON_DRUGS, QUANTITY
from posology.curation.text.questions import asked, open_book
from posology.curation.text.sentences import leans_back, spelled, usable_sentences

QUESTION_TYPES = (*NAMES, "gap", "check", "population", "interaction", "summary")

_PLENTIFUL = frozenset({"gap", "open-book/gap", "check", "summary"})  # nearly every section gives one: rarer go first
_INTERACTION_CODES = frozenset({"34073-7", "43685-7", "34070-3", "34071-1"})
_NOT_ON_GROUPS = frozenset({"34084-4", "90374-0", "34092-7", "34089-3", "43680-8", "34083-6", "34069-5", "43681-6"})
_GROUPS = {
    "pregnant women": r"\bpregnan",
    "nursing mothers": r"\b(?:nursing|lactat|breast-?fe)",
    "children": r"\b(?:pediatric|child)",
    "older patients": r"\b(?:geriatric|elderly|65 years)",
    "patients with renal impairment": r"\brenal (?:impairment|failure|insufficiency)",
    "patients with hepatic impairment": r"\bhepatic (?:impairment|failure|insufficiency)",
}


@dataclass(frozen=True)
class ExtractiveTeacher:
    """Writes up to `per_section` drafts of a section; the same section, seed and options give the same drafts."""

    style: Style = Style.SENTENCES
    question_types: tuple[str, ...] = ()
    seed: int = 0
    per_section: int = 24
    excerpt_words: int = 60

    @property
    def name(self) -> str:
        return "extractive/1"

    def teach(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """Drafts of each section with the question types taking turns, so that a limit keeps all of them."""
        for task in tasks:
            yield Answer(task, tuple(self._in_turns(task))[: self.per_section])

    def _in_turns(self, task: Task) -> Iterator[Draft]:
        by_type: dict[str, list[Draft]] = {}
        for draft in self._drafts(task):
            by_type.setdefault(draft.question_type, []).append(draft)
        order = sorted(by_type, key=lambda kind: (_rank(kind), self._draw(task.section.id, kind)))
        for turn in zip_longest(*(by_type[kind] for kind in order)):
            yield from (draft for draft in turn if draft)

    def _drafts(self, task: Task) -> Iterator[Draft]:
        wanted = set(self.question_types or QUESTION_TYPES)
        sentences = usable_sentences(task.section)
        for fact in self._facts(task.section, sentences, wanted):
            if self.style is not Style.SENTENCES:
                yield from self._open(task, sentences, fact)
            if self.style is not Style.OPEN_BOOK and not leans_back(fact.sentence):
                question = fact.questions[self._draw(task.section.id, fact.kind) % len(fact.questions)]
                yield Draft(asked(question), fact.sentence, fact.kind, fact.evidence)
        if self.style is not Style.OPEN_BOOK:
            yield from self._statements(task.section, sentences, wanted)

    def _facts(self, section: Section, sentences: Sequence[str], wanted: set[str]) -> Iterator["_Fact"]:
        """Facts by pattern, and gaps in the sentences that no pattern knows."""
        known: set[str] = set()
        for pattern in PATTERNS:
            if not pattern.codes or section.code in pattern.codes or not section.code:
                found = list(_matches(section, sentences, pattern))
                known.update(fact.evidence for fact in found)
                yield from found if pattern.name in wanted else ()
        if "gap" in wanted:
            yield from self._gaps(section, [s for s in sentences if s not in known])

    def _gaps(self, section: Section, sentences: Sequence[str]) -> Iterator["_Fact"]:
        """A sentence with one quantity taken out; the quantity is the answer."""
        for evidence in sentences:
            sentence = without_references(evidence)
            values = list(QUANTITY.finditer(sentence))
            if not values or leans_back(sentence):
                continue
            value = values[self._draw(section.id, evidence) % len(values)]
            if sentence.count(value.group()) == 1:
                gapped = f"{sentence[: value.start()]}____{sentence[value.end() :]}"
                where = f"the label of {spelled(section.drug, sentence)}"
                question = f'Which value is missing in this statement from {where}: "{gapped}"'
                yield _Fact("gap", (question,), value.group(), sentence, evidence)

    def _open(self, task: Task, sentences: Sequence[str], fact: "_Fact") -> Iterator[Draft]:
        """One draft per way to ask, each with an excerpt of its own: reading is learned from many excerpts."""
        for variant, question in enumerate(fact.questions):
            excerpt = self._excerpt(task, sentences, fact.evidence, variant)
            kind = f"open-book/{fact.kind}"
            answer = f"The answer is {fact.short}."
            yield Draft(open_book(excerpt, question), answer, kind, fact.evidence, filler=fact.kind == "gap")

    def _excerpt(self, task: Task, sentences: Sequence[str], evidence: str, variant: int) -> list[str]:
        """The evidence among sentences of its section and of others, in an order that does not give it away."""

        def drawn(sentence: str) -> int:
            return self._draw(task.section.id, evidence, str(variant), sentence)

        near = [s for s in sentences if s != evidence]
        far = [s for sibling in task.siblings for s in usable_sentences(sibling)[:1] if s != evidence]
        chosen, words = [evidence], len(evidence.split())
        for sentence in sorted(near, key=drawn)[:2] + sorted(far, key=drawn)[:2]:
            fits = words + len(sentence.split()) <= self.excerpt_words and len(chosen) < 4
            if fits and sentence not in chosen:
                chosen.append(sentence)
                words += len(sentence.split())
        return [without_references(s) for s in sorted(chosen, key=drawn)]

    def _statements(self, section: Section, sentences: Sequence[str], wanted: set[str]) -> Iterator[Draft]:
        drug = section.drug
        alone = [s for s in sentences if not leans_back(without_references(s))]
        if "population" in wanted:
            yield from self._about_groups(section, drug, alone)
        if "interaction" in wanted:
            yield from self._about_drugs(section, drug, alone)
        if "check" in wanted:
            yield from self._checks(section, drug, alone)
        if "summary" in wanted:
            yield from self._summary(section, drug, sentences)

    def _about_groups(self, section: Section, drug: str, alone: Sequence[str]) -> Iterator[Draft]:
        if section.code in _NOT_ON_GROUPS:
            return
        for group, expression in _GROUPS.items():
            found = next((s for s in alone if re.search(expression, s, re.IGNORECASE)), "")
            if found:
                question = f"What does the label of {drug} say about its use in {group}?"
                yield Draft(asked(question), without_references(found), "population", found)

    def _about_drugs(self, section: Section, drug: str, alone: Sequence[str]) -> Iterator[Draft]:
        if section.code not in _INTERACTION_CODES:
            return
        seen = set(section.drug.split())
        for sentence in alone:
            others = sorted((set(re.findall(r"[a-z]+", sentence.casefold())) & COMMON_DRUGS) - seen)
            if others:
                seen.add(others[0])
                question = f"What does the label of {drug} say about {others[0]}?"
                yield Draft(asked(question), without_references(sentence), "interaction", sentence)

    def _checks(self, section: Section, drug: str, alone: Sequence[str]) -> Iterator[Draft]:
        """True statements and statements with one edited fact, half and half."""
        for evidence in alone:
            sentence = without_references(evidence)
            draw = self._draw(section.id, "check", evidence)
            options = edits(sentence, context=section.text, drug=section.drug) if draw % 2 else []
            if draw % 2 and not options:
                continue
            said, verdict = (options[draw % len(options)].text, "No") if options else (sentence, "Yes")
            question = f'The label of {drug} is said to state: "{said}" Is that right?'
            yield Draft(asked(question), f"{verdict}. {sentence}", "check", evidence)

    def _summary(self, section: Section, drug: str, sentences: Sequence[str]) -> Iterator[Draft]:
        """The section's first sentences up to 160 words: an answer that is complete and still all the label's."""
        taken: list[str] = []
        for sentence in map(without_references, sentences):
            if sum(len(s.split()) for s in (*taken, sentence)) > 160:
                break
            taken.append(sentence)
        topic = codes.topic_of(section.code, section.title)
        title = section.title.strip(" .:").casefold()
        asks = f"Summarize what the label of {drug} says about {topic}"
        named = f" ({title})" if title and title not in topic and len(title) < 80 else ""
        if len(taken) > 1:
            yield Draft(asked(f"{asks}{named}."), " ".join(taken), "summary", " ".join(sentences[: len(taken)]))

    def _draw(self, *about: str) -> int:
        """A number that depends on the seed and on what it is about: no state, so no order of calls matters."""
        digest = hashlib.blake2b("\x1f".join((str(self.seed), *about)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")


@dataclass(frozen=True)
class _Fact:
    """Something that one sentence states, and the ways to ask for it."""

    kind: str
    questions: tuple[str, ...]
    short: str
    sentence: str
    evidence: str


def _matches(section: Section, sentences: Sequence[str], pattern: Pattern) -> Iterator[_Fact]:
    """Facts that one sentence states; two sentences with different values would make the question ambiguous."""
    found: dict[str, dict[str, _Fact]] = {}
    for evidence in sentences:
        fact = _match(section, evidence, pattern)
        if fact:
            found.setdefault(fact.questions[0].casefold(), {}).setdefault(normal(fact.short), fact)
    yield from (fact for values in found.values() if len(values) == 1 for fact in values.values())


def _match(section: Section, evidence: str, pattern: Pattern) -> _Fact | None:
    sentence = without_references(evidence)
    match = pattern.expression.search(sentence)
    groups = match.groupdict("") if match else {}
    answer = _tidy(groups.get("answer") or groups.get("second", ""))
    if not answer or "respectively" in sentence:
        return None
    drug, subject = spelled(section.drug, sentence), groups.get("subject", "").casefold()
    questions = tuple(asks.format(drug=drug, subject=subject) for asks in pattern.questions)
    return _Fact(pattern.name, questions, answer, sentence, evidence)


def _rank(kind: str) -> int:
    """Facts first, then what a section says on somebody, then what nearly every section gives."""
    return 2 if kind in _PLENTIFUL else 1 if kind in {"population", "interaction"} else 0


def _tidy(answer: str) -> str:
    return answer.strip(" ,").removesuffix(" and").strip()
