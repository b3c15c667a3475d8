"""The embedded teacher: questions from typed facts, answers in the label's words. Deterministic; no model, no network.

Facts come before questions (see `facts`): readers take a section whose sentences were repaired, and what they cannot read
with certainty they leave alone. Closed-book answers are whole statements that name the drug; open-book answers are the
value alone, and only where every word beside the value stands in the question.
"""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from posology.curation.recipe import Style
from posology.curation.teachers import Answer, Draft, Task, over_the_counter, statements, tables  # noqa: F401  each registers its readers
from posology.curation.teachers.facts import READERS, Fact, Place, answered, facts_of, leans_back, names_it
from posology.curation.teachers.patterns import NAMES, matches_kind
from posology.curation.text.edits import edits
from posology.curation.text.normal import without_references
from posology.curation.text.quantities import QUANTITY
from posology.curation.text.questions import asked, open_book
from posology.curation.text.repair import Statement, passages

_FILLERS = ("gap", "check")
_FEW = 4  # fillers of a kind that one section gives
_FOR_PATIENTS = frozenset({"42230-3", "42231-1", "59845-8", "68498-5"})  # "you" is not the reader of a label
# Names that stand for several kinds; recipes may go on using them.
GROUPS = {
    "population": ("pregnancy", "lactation", "pediatric", "geriatric", "renal", "hepatic"),
    "summary": ("section", "dosing", "patient-advice", "mechanism", "warning", "overdose", "overdose-management"),
    "monitoring": ("warning", "patient-advice"),
    "not-established": ("pediatric",),
    "incidence": ("common-reactions",),
    "duration": ("dosing",),
}
_READ = tuple(dict.fromkeys(kind for _, kinds, _ in READERS for kind in kinds))
QUESTION_TYPES = tuple(dict.fromkeys((*NAMES, *_READ, *_FILLERS, *GROUPS)))

NAME = "extractive/2"
# What a pharmacist asks first; what is not named here comes after, in the order of QUESTION_TYPES.
CORE = (
    "indication", "recommended-dose", "starting-dose", "maximum-dose", "contraindication", "boxed-warning", "dosing", "interaction",
    "renal", "hepatic", "pregnancy", "common-reactions", "lactation", "pediatric", "geriatric", "overdose-management", "storage",
    "mechanism", "warning", "avoid-with", "dosage-forms", "do-not-use", "stop-use", "ask-a-doctor",
)  # fmt: skip
# A section's own reader says all of it; a single sentence of the same kind would be part of the answer.
_COMPLETE_FIRST = frozenset({"indication", "contraindication", "storage"})


@dataclass(frozen=True)
class ExtractiveTeacher:
    """Writes up to `per_section` drafts of a section; the same section, seed and options give the same drafts."""

    style: Style = Style.SENTENCES
    question_types: tuple[str, ...] = ()
    seed: int = 0
    per_section: int = 40
    excerpt_words: int = 60

    @property
    def name(self) -> str:
        return NAME

    def teach(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """Drafts of each section, core kinds first and the kinds taking turns, so that a limit keeps all of them."""
        for task in tasks:
            yield Answer(task, tuple(self._in_turns(task))[: self.per_section])

    def _in_turns(self, task: Task) -> Iterator[Draft]:
        by_type: dict[str, list[Draft]] = {}
        for draft in self._drafts(task):
            by_type.setdefault(draft.question_type, []).append(draft)
        order = sorted(by_type, key=lambda kind: (rank(kind), self._draw(task.section.id, kind)))
        for turn in zip_longest(*(by_type[kind] for kind in order)):
            yield from (draft for draft in turn if draft)

    def _wanted(self) -> frozenset[str]:
        chosen = self.question_types or QUESTION_TYPES
        return frozenset(kind for name in chosen for kind in GROUPS.get(name, (name,)))

    def _drafts(self, task: Task) -> Iterator[Draft]:
        wanted, place = self._wanted(), Place(task.section, task.siblings)
        facts = [fact for fact in facts_of(place) if fact.kind in wanted]
        if self.style is not Style.OPEN_BOOK:
            yield from self._closed(place, facts)
        if self.style is not Style.SENTENCES:
            for fact in facts:
                if fact.short:
                    yield from self._open(task, fact)
        if place.nameless or place.code in _FOR_PATIENTS:
            return
        if "gap" in wanted:
            yield from self._gaps(task, place, {fact.proof for fact in facts})
        if "check" in wanted and self.style is not Style.OPEN_BOOK:
            yield from self._checks(place)

    def _closed(self, place: Place, facts: Sequence[Fact]) -> Iterator[Draft]:
        """One question per fact; none that another section of the label answers in another way."""
        complete = {fact.kind for fact in facts if not fact.short and not fact.closed}
        elsewhere = {
            q: f.proof for other in place.kin() if other is not place for f in _facts(other) for q in f.questions
        }
        questions: dict[str, str] = {}
        for fact in facts:
            if fact.closed and fact.kind in _COMPLETE_FIRST and fact.kind in complete:
                continue
            ways = fact.closed or fact.questions
            question = ways[self._draw(place.section.id, fact.kind) % len(ways)]
            contested = elsewhere.get(question, fact.proof) != fact.proof
            if not contested and question not in questions:
                questions[question] = fact.statement
                yield Draft(asked(question), fact.statement, fact.kind, fact.proof)

    def _open(self, task: Task, fact: Fact) -> Iterator[Draft]:
        """One draft per way to ask, each with an excerpt of its own: reading is learned from many excerpts."""
        for variant, question in enumerate(fact.open):
            excerpt = self._excerpt(task, fact, variant)
            yield Draft(
                open_book(excerpt, question), f"The answer is {fact.short}.", f"open-book/{fact.kind}", fact.proof
            )

    def _excerpt(self, task: Task, fact: Fact, variant: int) -> list[str]:
        """The evidence among sentences of its section and of others, none of the same kind, in a drawn order."""
        evidence = fact.proof

        def drawn(sentence: str) -> int:
            return self._draw(task.section.id, evidence, str(variant), sentence)

        near = [s for s in _readable(Place(task.section)) if s != evidence]
        far = [s for sibling in task.siblings for s in _readable(Place(sibling))[:1] if s != evidence]
        place = Place(task.section, task.siblings)
        chosen, words = [evidence], len(evidence.split())
        for sentence in sorted(near, key=drawn)[:2] + sorted(far, key=drawn)[:2]:
            fits = words + len(sentence.split()) <= self.excerpt_words and len(chosen) < 4
            rival = fact.short in sentence or matches_kind(task.section, sentence, fact.kind) or _strange(sentence)
            if fits and not rival and sentence not in chosen and not place.broken(sentence):
                chosen.append(sentence)
                words += len(sentence.split())
        return sorted(chosen, key=drawn)

    def _gaps(self, task: Task, place: Place, known: set[str]) -> Iterator[Draft]:
        """A sentence that names the drug with its only quantity taken out; the quantity is the answer."""
        made = 0
        for statement in sorted(_plainest(place), key=lambda s: self._draw(place.section.id, s.text)):
            if made == _FEW:
                break
            sentence = statement.text
            values = list(QUANTITY.finditer(sentence))
            if place.broken(sentence):
                continue
            if (
                statement.words < 10
                or sentence in known
                or len(values) != 1
                or not names_it(place.section, sentence)
                or leans_back(sentence)
            ):
                continue
            made += 1
            value = values[0]
            gapped = f"{sentence[: value.start()]}____{sentence[value.end() :]}"
            question = f'Which value is missing in this statement from the label of {place.name}: "{gapped}"'
            if self.style is not Style.SENTENCES:
                fact = Fact("gap", (question,), sentence, short=value.group())
                excerpt = self._excerpt(task, fact, 0)
                answer = f"The answer is {value.group()}."
                yield Draft(open_book(excerpt, question), answer, "open-book/gap", sentence, filler=True)
            if self.style is not Style.OPEN_BOOK:
                yield Draft(asked(question), answered(place, sentence), "gap", sentence, filler=True)

    def _checks(self, place: Place) -> Iterator[Draft]:
        """True statements and statements with one edited fact, half and half."""
        whole_label = tuple(s.text for s in (place.section, *place.siblings))
        usable = [
            s
            for s in _plainest(place)
            if not leans_back(s.text) and names_it(place.section, s.text) and not place.broken(s.text)
        ]
        for statement in sorted(usable, key=lambda s: self._draw(place.section.id, s.text))[:_FEW]:
            sentence = statement.text
            draw = self._draw(place.section.id, "check", sentence)
            options = edits(sentence, context=whole_label, drug=place.section.drug) if draw % 2 else []
            if draw % 2 and not options:
                continue
            claim, verdict = (options[draw % len(options)].text, "No") if options else (sentence, "Yes")
            question = f'The label of {place.name} is said to state: "{claim}" Is that right?'
            answer = f"{verdict}. {answered(place, sentence)}"
            yield Draft(asked(question), answer, "check", sentence, filler=True)

    def _draw(self, *about: str) -> int:
        """A number that depends on the seed and on what it is about: no state, so no order of calls matters."""
        digest = hashlib.blake2b("\x1f".join((str(self.seed), *about)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")


def rank(kind: str) -> int:
    """Core kinds in the order in which a pharmacist asks, then the others, then fillers."""
    bare = kind.removeprefix("open-book/")
    if bare in _FILLERS:
        return len(CORE) + 1
    return CORE.index(bare) if bare in CORE else len(CORE)


def _facts(place: Place) -> list[Fact]:
    return list(facts_of(place))


def _single(place: Place) -> list[Statement]:
    """Sound sentences, no lists."""
    return [s for s in place.statements if not s.doubtful and "\n" not in s.text and s.words <= 60]


# Fillers come from what pharmacists read, not from chemistry, studies or the laboratory.
_FILLED_FROM = frozenset(
    {"34067-9", "34068-7", "34070-3", "43685-7", "34071-1", "34073-7", "42228-7", "77290-5", "34080-2", "34081-0", "34082-8", "88828-9",
     "88829-7", "43684-0", "34088-5", "44425-7", "34076-0", "43679-0", "43682-4"}
)  # fmt: skip


_POINTING = re.compile(r"\[|\b[Tt]he following\b")


def _plainest(place: Place) -> list[Statement]:
    """Sentences that a reader understands alone: of middle length, without lists, colons and brackets of brackets."""
    if place.code not in _FILLED_FROM:
        return []
    return [
        s
        for s in _single(place)
        if 8 <= s.words <= 40 and ":" not in s.text and not s.highlight and not _POINTING.search(s.text)
    ]


_STRANGE = re.compile(
    r"https?:|\b(?:below|above|depicted|formula|chemical name|molecular)\b|: [A-Z]|\b[A-Z] ?\d{1,3} [A-Z]\b|[“\"]|\b(?:highlights|new information|prescribing information|package)\b|\byou\b"
)


def _strange(sentence: str) -> bool:
    """Whether a sentence would puzzle who reads it among others: formulas, what points elsewhere, what leans back."""
    return len(sentence.split()) < 6 or bool(_STRANGE.search(sentence)) or leans_back(sentence)


def _readable(place: Place) -> list[str]:
    """Sentences that may stand in an excerpt."""
    found = [s.text for p in passages(place.section) for s in p.statements if not s.doubtful and "\n" not in s.text]
    return [without_references(s) for s in dict.fromkeys(found) if len(s.split()) <= 60]
