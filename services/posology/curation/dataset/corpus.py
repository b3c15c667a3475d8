"""From sources to a corpus: read every file, keep the newest version of each label, give each drug its family."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from posology.core.errors import InvalidInput
from posology.curation.domain import Corpus, Drop, Label, Section
from posology.curation.recipe import Source
from posology.curation.sources import FORMATS, Parsed, Unreadable
from posology.curation.sources.families import family_names
from posology.curation.sources.location import Found, Limits, find, read

UNREADABLE_SHARE = 0.1  # of all files; beyond it the job fails, because the data set would not be what was asked for
LABELS_A_REPORT = 50


def gather(sources: Iterable[Source], limits: Limits, *, progress: Callable[[int, int, str], None]) -> Corpus:
    """Read all sources. A bad file is a drop with its reason; too many of them, or no text at all, is InvalidInput."""
    corpus = Corpus()
    files = [(source, file) for source in sources for file in find(source.uri, FORMATS[source.format].endings, limits)]
    labels: list[tuple[Label, tuple[Section, ...]]] = []
    for number, (source, file) in enumerate(files, 1):
        reading = f"reading {file.name}, file {number} of {len(files)}"
        say = partial(progress, 0, 0)  # of no total: one file may hold a label or thousands, so files tell no time
        say(reading)
        for parsed in _parse(source, file, limits, corpus, reading, say):
            corpus.pairs.extend(parsed.pairs)
            corpus.drops.extend(parsed.drops)
            if parsed.label:
                labels.append((parsed.label, parsed.sections))
    _refuse_too_many_bad(corpus, len(files))
    corpus.sections = _with_families(_newest(labels, corpus))
    if not corpus.sections and not corpus.pairs:
        raise InvalidInput(_why_empty(corpus))
    return corpus


def _parse(
    source: Source, file: Found, limits: Limits, corpus: Corpus, reading: str, say: Callable[[str], None]
) -> list[Parsed]:
    """All of a file or nothing of it: an error halfway leaves no half-read label behind."""
    try:
        document, digest = read(file, limits)
        parsed: list[Parsed] = []
        for one in FORMATS[source.format].read(replace(document, homeopathic=source.homeopathic)):
            parsed.append(one)
            if len(parsed) % LABELS_A_REPORT == 0:
                say(f"{reading}: {len(parsed):,} labels")
    except Unreadable as error:
        corpus.drops.append(Drop("source", "unreadable", f"{file.name} {error}", file.name))
        return []
    corpus.files[file.name if file.name not in corpus.files else f"{source.format}:{file.name}"] = digest
    return parsed


def _refuse_too_many_bad(corpus: Corpus, files: int) -> None:
    bad = [drop.detail for drop in corpus.drops if drop.reason == "unreadable"]
    if bad and len(bad) > UNREADABLE_SHARE * files:
        listed = "; ".join(bad[:5]) + (f"; and {len(bad) - 5} more" if len(bad) > 5 else "")
        raise InvalidInput(f"{len(bad)} of {files} source files cannot be used: {listed}. Mend or remove them.")


def _newest(labels: list[tuple[Label, tuple[Section, ...]]], corpus: Corpus) -> list[tuple[Label, tuple[Section, ...]]]:
    """One version per set_id, the highest; labels without a set_id are all kept."""
    best: dict[str, int] = {}
    for label, _ in labels:
        best[label.set_id] = max(best.get(label.set_id, -1), label.version)
    kept: list[tuple[Label, tuple[Section, ...]]] = []
    taken: set[str] = set()
    for label, sections in labels:
        if label.set_id and (label.version < best[label.set_id] or label.set_id in taken):
            detail = f"version {label.version} of set {label.set_id}; version {best[label.set_id]} is used"
            corpus.drops.append(Drop("source", "older_version", detail, label.source))
            continue
        taken.add(label.set_id)
        kept.append((label, sections))
    return kept


def _with_families(labels: list[tuple[Label, tuple[Section, ...]]]) -> list[Section]:
    names = family_names(label for label, _ in labels)
    unique: dict[str, Section] = {}
    for label, sections in labels:
        family = names[label.set_id, label.drug]
        for section in sections:
            unique.setdefault(section.id, replace(section, family=family, brands=label.brands))
    return list(unique.values())


def _why_empty(corpus: Corpus) -> str:
    reasons = "; ".join(sorted({drop.detail for drop in corpus.drops})[:5])
    return f"the sources hold no label section and no pair to work with{': ' + reasons if reasons else ''}"
