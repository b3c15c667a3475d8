"""Which labels are sealed: 40% of the families, by a hash of their first set id. Nobody develops on a sealed label.

python benchmarks/label_split.py DATA      # counts only; opens no text to the reader
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from posology.curation.domain import Label, Section
from posology.curation.sources import FORMATS, Document, Unreadable
from posology.curation.sources.families import family_names

SEALED_SHARE = 0.40
FOLDERS = (("SPL", "spl_xml", "*.xml"), ("SPL", "spl_xml_canada", "*.xml"), ("OPENFDA", "openfda", "*labels.jsonl.gz"))


def read_labels(data: Path) -> list[tuple[Label, tuple[Section, ...]]]:
    """The newest version of every label of the shared data, in a fixed order."""
    newest: dict[str, tuple[Label, tuple[Section, ...]]] = {}
    for label, sections in _every_label(data):
        known = newest.get(label.set_id or label.source)
        if known is None or label.version > known[0].version:
            newest[label.set_id or label.source] = (label, sections)
    return [newest[key] for key in sorted(newest)]


def _every_label(data: Path) -> Iterator[tuple[Label, tuple[Section, ...]]]:
    for format_name, folder, names in FOLDERS:
        for path in sorted((data / folder).glob(names)):
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            try:
                for parsed in FORMATS[format_name].read(Document(f"{folder}/{path.name.removesuffix('.gz')}", raw)):
                    if parsed.label and parsed.sections:
                        yield parsed.label, parsed.sections
            except Unreadable:
                continue


def sealed_families(labels: list[Label]) -> frozenset[str]:
    """Names of the families that are sealed; a family is sealed whole, by the smallest set id that it has."""
    first: dict[str, str] = {}
    names = family_names(labels)
    for label in labels:
        family = names[label.set_id, label.drug]
        first[family] = min(first.get(family, "~"), label.set_id or label.source)
    return frozenset(family for family, set_id in first.items() if is_sealed(set_id))


def is_sealed(set_id: str) -> bool:
    """Four of ten set ids, by SHA-256."""
    return int.from_bytes(hashlib.sha256(f"sealed {set_id}".encode()).digest()[:4], "big") < SEALED_SHARE * 2**32


def labels_of(data: Path, *, sealed: bool) -> list[tuple[Label, tuple[Section, ...]]]:
    """The labels of one side, sections carrying their family."""
    from dataclasses import replace

    everything = read_labels(data)
    names = family_names(label for label, _ in everything)
    closed = sealed_families([label for label, _ in everything])
    return [
        (label, tuple(replace(s, family=names[label.set_id, label.drug], brands=label.brands) for s in sections))
        for label, sections in everything
        if (names[label.set_id, label.drug] in closed) == sealed
    ]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for side in (False, True):
        chosen = labels_of(folder, sealed=side)
        families = {sections[0].family for _, sections in chosen}
        sys.stdout.write(f"{'sealed' if side else 'open'}: {len(chosen)} labels of {len(families)} families\n")
