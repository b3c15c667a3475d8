"""openFDA drug label records: JSON responses, bulk files and JSON lines.

Parent fields repeat their children, so a field's text is cut wherever another field already holds it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lxml import etree, html

from posology.curation import codes
from posology.curation.domain import Drop, Label, Section, content_id
from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.encoding import decode
from posology.curation.sources.families import brand_names, moiety
from posology.curation.sources.spl_text import table_rows

_LEAST_WORDS = 6  # what is left of a parent below this is a heading, not text
_LEAST_REPEAT = 40  # characters; shorter texts occur in others by chance


@source("OPENFDA", ".json", ".jsonl", ".ndjson")
def read_openfda(document: Document) -> Iterator[Parsed]:
    """One label per record; a record without any label section gives a drop."""
    for record in _records(decode(document.data)):
        label = _label(record, document.name)
        sections = tuple(_sections(record, label))
        if sections:
            yield Parsed(label=label, sections=sections)
        else:
            yield Parsed(drops=(Drop("source", "no_sections", "a record without label sections", document.name),))


def _records(text: str) -> Iterator[Mapping[str, Any]]:
    """Records of a response or bulk file ({"results": [...]}), a list, one record, or one record per line."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        if "\n" not in text.strip():
            raise Unreadable(f"is not JSON: {error.msg} at character {error.pos}") from None
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield _unwrap(_line(line, number))
        return
    except RecursionError:
        raise Unreadable("nests JSON too deep; refused") from None
    items = whole.get("results", [whole]) if isinstance(whole, dict) else whole
    if not isinstance(items, list):
        raise Unreadable("is JSON, but holds no openFDA records")
    for item in items:
        yield _unwrap(item)


def _line(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unreadable(f"line {number} is not JSON: {error}") from None


def _unwrap(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise Unreadable("is JSON, but holds no openFDA records")
    inner = item.get("result")
    return inner if isinstance(inner, dict) else item


def _label(record: Mapping[str, Any], name: str) -> Label:
    found = record.get("openfda")
    about: Mapping[str, Any] = found if isinstance(found, dict) else {}
    generic, brand = _first(about, "generic_name"), _first(about, "brand_name")
    substances = [str(s) for s in about.get("substance_name", []) or ([generic] if generic else [])]
    drug = generic if generic and len(generic) <= 60 else brand or generic
    version = str(record.get("version", ""))
    return Label(
        set_id=str(record.get("set_id", "")),
        version=int(version) if version.isdigit() else 0,
        drug=(drug or _drug_of_elements(record) or str(record.get("set_id", "")) or name).casefold(),
        ingredients=tuple(sorted({moiety(s) for s in substances if s})),
        source=name,
        brands=brand_names(_listed(about, "brand_name"), drug),
    )


def _listed(about: Mapping[str, Any], field: str) -> list[str]:
    value = about.get(field)
    return [str(name) for name in value] if isinstance(value, list) else [str(value)] if value else []


def _first(about: Mapping[str, Any], field: str) -> str:
    found = about.get(field) or [""]
    return str(found[0] if isinstance(found, list) else found).strip()


def _drug_of_elements(record: Mapping[str, Any]) -> str:
    """Records without an `openfda` block name the product first in their product data."""
    return " ".join("".join(_entries(record.get("spl_product_data_elements"))).split()[:1])


def _sections(record: Mapping[str, Any], label: Label) -> Iterator[Section]:
    texts = leaves({field: _entries(record.get(field)) for field in codes.CODE_OF_FIELD if field in record})
    for field, entries in texts.items():
        code = codes.CODE_OF_FIELD[field]
        text = _with_tables(" \n".join(entries), _entries(record.get(f"{field}_table")), code)
        if len(text.split()) >= _LEAST_WORDS:
            yield Section(
                id=content_id("s", label.set_id, label.drug, code, field, text),
                drug=label.drug,
                set_id=label.set_id,
                code=code,
                title=codes.title_of(code),
                text=text,
                source=label.source,
            )


def _entries(value: Any) -> list[str]:
    """openFDA fields are lists, sometimes with several entries, sometimes a bare string."""
    listed = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return list(dict.fromkeys(" ".join(str(entry).split()) for entry in listed if str(entry).strip()))


def leaves(fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Each field without the text that other fields hold as their own; what is only a heading then is left out."""
    flat = [(field, entry) for field, entries in fields.items() for entry in entries]
    shortest_first = sorted(flat, key=lambda one: (len(one[1]), one[0]))
    left: dict[str, list[str]] = {field: [] for field in fields}
    for position, (field, entry) in enumerate(shortest_first):
        rest = entry
        for other, inner in shortest_first[:position]:
            if len(inner) >= _LEAST_REPEAT and (other != field or inner != entry):
                rest = rest.replace(inner, " \n")
        lines = [line.strip() for line in rest.split("\n") if len(line.split()) >= _LEAST_WORDS]
        if lines and not _same_text(entry, shortest_first[:position]):
            left[field].extend(lines)
    return {field: entries for field, entries in left.items() if entries}


def _same_text(entry: str, seen: list[tuple[str, str]]) -> bool:
    return any(inner == entry for _, inner in seen[-3:])


def _with_tables(text: str, tables: list[str], code: str) -> str:
    """Tables come as HTML beside the text that holds them flattened: put rows in place of the flat copy."""
    lines = [_without_heading(text, code)]
    for markup in tables:
        rows = _rows(markup)
        flat = " ".join(rows.replace("|", " ").split())
        lines[0] = lines[0].replace(flat, " \n") if len(flat) >= _LEAST_REPEAT else lines[0]
        lines.append(rows)
    return "\n".join(line.strip() for line in "\n".join(lines).split("\n") if line.strip())


def _rows(markup: str) -> str:
    try:
        parsed = html.fragment_fromstring(markup, create_parent="div")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return ""  # a table that is no HTML stays in the text, where it is anyway
    return "\n".join(table_rows(table) for table in parsed.iter("table"))


def _without_heading(text: str, code: str) -> str:
    """The text starts with its own number and heading: "12.1 Mechanism of Action Carvedilol is"."""
    title = re.escape(codes.title_of(code)).replace(r"\ ", r"\s+")
    numbered = re.sub(r"^\d{1,2}(?:\.\d{1,2})*\s+(?=[A-Z])", "", text)
    numbered = re.sub(r"(?<=/m) 2\b", "^2", numbered)  # a square metre whose raised 2 was flattened
    bare = re.sub(rf"^{title}\s*:?\s+(?=[A-Z0-9])", "", numbered, flags=re.IGNORECASE)
    return re.sub(r"(?<=[.\])])\s+(?=\d{1,2}\.\d{1,2}\s+[A-Z])", "\n", bare)
