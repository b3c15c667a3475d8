"""The order in which pairs are considered: drug by drug in turns, so that the first thousand pairs cover all drugs."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from posology.curation.domain import Drop, Pair, Section, draw, make_pair
from posology.curation.teachers import Answer, Draft, Task, Teacher


def in_turns(sections: Iterable[Section], *, seed: int) -> list[Section]:
    """Sections with the families taking turns, the core sections of each first; ties in an order drawn by the seed."""
    families: dict[str, list[Section]] = {}
    for section in sections:
        families.setdefault(section.family, []).append(section)
    order = sorted(families, key=lambda name: draw(seed, "family", name))
    queues = [sorted(families[name], key=lambda s: (_core(s.code), draw(seed, "section", s.id))) for name in order]
    return [section for turn in zip_longest(*queues) for section in turn if section]


# What a pharmacist looks up first: indication, dose, contraindications, boxed warning, interactions, then the groups.
_CORE = (
    "34067-9", "34068-7", "34070-3", "34066-1", "34073-7", "88828-9", "88829-7", "42228-7", "34084-4", "90374-0",
    "77290-5", "34080-2", "34081-0", "34082-8", "34088-5", "44425-7", "43679-0",
)  # fmt: skip


def _core(code: str) -> int:
    return _CORE.index(code) if code in _CORE else len(_CORE)


def tasks(sections: Sequence[Section], *, seed: int) -> list[Task]:
    """A task per section, each with all other sections of its label beside it."""
    labels: dict[tuple[str, str], list[Section]] = {}
    for section in sections:
        labels.setdefault((section.source, section.set_id), []).append(section)
    return [
        Task(section, tuple(s for s in labels[section.source, section.set_id] if s != section))
        for section in in_turns(sections, seed=seed)
    ]


def candidates(
    teacher: Teacher, given: Sequence[Pair], todo: Sequence[Task], *, at_once: int, drops: list[Drop]
) -> Iterator[Pair]:
    """Ready-made pairs, then the teacher's: `at_once` of each section, and once all had their turn, the rest of them,
    fillers last.

    Sections on which the teacher failed are appended to `drops`.
    """
    yield from given
    rest: list[tuple[Section, tuple[Draft, ...]]] = []
    for answer in teacher.teach(todo):
        if answer.failure:
            drops.append(_failed(answer))
        drops.extend(_rejected(draft, reason, answer.task.section) for draft, reason in answer.rejected)
        section = answer.task.section
        first = [draft for draft in answer.drafts if not draft.filler][:at_once]
        yield from (_pair(draft, section) for draft in first)
        later = sorted((d for d in answer.drafts if d not in first), key=lambda draft: draft.filler)
        rest.append((section, tuple(later)))
    while rest := [(section, drafts) for section, drafts in rest if drafts]:
        for section, drafts in rest:
            yield from (_pair(draft, section) for draft in drafts[:at_once])
        rest = [(section, drafts[at_once:]) for section, drafts in rest]


def _pair(draft: Draft, section: Section) -> Pair:
    return make_pair(
        draft.prompt,
        draft.answer,
        question_type=draft.question_type,
        section=section,
        evidence=draft.evidence,
        tags=(f"for-{draft.audience}",) if draft.audience else (),
    )


def _rejected(draft: Draft, reason: str, section: Section) -> Drop:
    kind, _, detail = reason.partition(": ")
    return Drop("teacher", f"unsupported_{kind}", detail, pair=_pair(draft, section))


def _failed(answer: Answer) -> Drop:
    section = answer.task.section
    return Drop("teacher", answer.failure, f"section {section.id} ({section.title}): {answer.detail}", section.source)
