"""openFDA drug label records: JSON responses, bulk files and JSON lines, also flattened by a trip through a table.

Parent fields repeat their children, so a field's text is cut wherever another field already holds it. openFDA takes
the label's markup away without putting spaces and line ends in its place; `ungluing` parts what that glued.
"""

import ast
import contextlib
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
from posology.curation.sources.records import json_records
from posology.curation.sources.spl_text import table_rows
from posology.curation.sources.ungluing import unglue

_LEAST_WORDS = 6  # what is left of a parent below this is a heading, not text
_LEAST_REPEAT = 40  # characters; shorter texts occur in others by chance
_MOST_ALIKE = 64  # entries that begin alike and are looked for; more come from nobody who writes labels
_NOTHING = frozenset({"", "nan", "none", "null", "<na>"})  # what tables write for an empty cell
_LONGEST_LITERAL = 2_000_000
_ABOUT = frozenset(
    {"id", "set_id", "version", "effective_time", "openfda", "spl_unclassified_section", "file", "result"}
)
_HOMEOPATHIC_FIELDS = (
    "spl_product_data_elements",
    "purpose",
    "warnings",
    "indications_and_usage",
    "active_ingredient",
    "spl_unclassified_section",
    "package_label_principal_display_panel",
)
_HOMEOPATHIC = re.compile(r"\bhom(?:o)?eopathic\b|\bHPUS\b", re.IGNORECASE)


@source("OPENFDA", ".json", ".jsonl", ".ndjson")
def read_openfda(document: Document) -> Iterator[Parsed]:
    """One label per record; a record without any label section gives a drop."""
    for where, record in _records(decode(document.data)):
        if not document.homeopathic and _homeopathic(record):
            detail = f"{where} is a homeopathic product; set homeopathic on the source to read it"
            yield Parsed(drops=(Drop("source", "not_a_label", detail, document.name),))
            continue
        label = _label(record, document.name)
        sections = tuple(_sections(record, label))
        unused = [field for field in record if _holds_text(record, field)]
        drops = (_unused(unused, document.name),) if sections and unused else ()
        if sections:
            yield Parsed(label=label, sections=sections, drops=drops)
        else:
            yield Parsed(drops=(Drop("source", "no_sections", f"{where} has no label sections", document.name),))


def _records(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Records of a response or bulk file ({"results": [...]}), a list, one record, or one record per line."""
    for where, record in json_records(text):
        inner = record.get("result")
        results = record.get("results")
        if isinstance(results, list):
            for number, item in enumerate(results, 1):
                if not isinstance(item, dict):
                    raise Unreadable("is JSON, but holds no openFDA records")
                yield f"record {number}", item
        else:
            yield where, inner if isinstance(inner, dict) else record


def _holds_text(record: Mapping[str, Any], field: str) -> bool:
    """Whether a field that is not known holds prose: it is named then, because it may be a section of its own."""
    known = field in codes.CODE_OF_FIELD or field in codes.SKIPPED_FIELDS or field.endswith("_table")
    return not known and field not in _ABOUT and any(len(entry.split()) > 20 for entry in _entries(record[field]))


def _unused(fields: list[str], name: str) -> Drop:
    return Drop("source", "unused_field", f"fields that are no known section: {', '.join(sorted(fields))}", name)


def _homeopathic(record: Mapping[str, Any]) -> bool:
    """openFDA says so nowhere but in texts: the disclaimer that the FDA's guide asks for, or the dilution."""
    kinds = _entries(_about(record).get("product_type"))
    texts = [*kinds, *(entry[:3000] for field in _HOMEOPATHIC_FIELDS for entry in _entries(record.get(field)))]
    return any(_HOMEOPATHIC.search(text) for text in texts)


def _label(record: Mapping[str, Any], name: str) -> Label:
    about = _about(record)
    generic, brand = (" and ".join(_names(_first(about, field))) for field in ("generic_name", "brand_name"))
    substances = _names(about.get("substance_name")) or ([generic] if generic else [])
    drug = generic if generic and len(generic) <= 60 else brand or generic
    set_id = _text(record.get("set_id"))
    return Label(
        set_id=set_id,
        version=_version(record.get("version")),
        drug=(drug or _drug_of_elements(record) or " and ".join(substances) or set_id or name).casefold(),
        ingredients=tuple(sorted({moiety(s) for s in substances if s})),
        source=name,
        brands=brand_names(_entries(about.get("brand_name")), drug),
    )


def _about(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record's `openfda` block, also where a table made a text of it."""
    block = record.get("openfda")
    if isinstance(block, str) and block.strip().startswith("{"):
        block = _literal(block)
    return block if isinstance(block, dict) else _unflattened(record)


def _literal(text: str) -> Any:
    """What a text holds that is a list or an object in JSON's or Python's spelling, else the text."""
    if len(text) >= _LONGEST_LITERAL:
        return text
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return read(text.strip())
    return text


def _names(value: Any) -> list[str]:
    """The names of a field; where a table joined them, "ASPIRIN; CAFFEINE" and "ASPIRIN|CAFFEINE" are two."""
    return [name for entry in _entries(value) for part in re.split(r"[;|]", entry) if (name := part.strip())]


def _unflattened(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The block of a record that came through a table, whose names became "openfda.generic_name" or with a "_"."""
    return {
        name[len("openfda.") :]: value for name, value in record.items() if name.startswith(("openfda.", "openfda_"))
    }


def _version(value: Any) -> int:
    """ "12", 12, 12.0 and ["12"] are version 12; what is no number is 0."""
    text = _text(value)
    number = re.fullmatch(r"(\d{1,9})(?:\.0+)?", text, re.ASCII)
    return int(number.group(1)) if number else 0


def _text(value: Any) -> str:
    """The first entry of a field, whatever a table made of its list."""
    return next(iter(_entries(value)), "")


def _first(about: Mapping[str, Any], field: str) -> str:
    return _text(about.get(field))


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
    """openFDA fields are lists, sometimes with several entries; after a table bare texts, or lists written as text."""
    if isinstance(value, str) and re.match(r"\s*\[\s*[\"']", value) and value.rstrip().endswith("]"):
        value = _literal(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    listed = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    inner = [one for entry in listed for one in (entry if isinstance(entry, list) else [entry])]
    entries = (" ".join(str(entry).split()) for entry in inner if isinstance(entry, str | int | float))
    return list(dict.fromkeys(entry for entry in entries if entry.casefold() not in _NOTHING))


def leaves(fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Each field without the text that other fields hold as their own; what is only a heading then is left out.

    Every entry is looked up in every longer one by its first characters, so the time grows with the text and not with
    the square of the number of entries.
    """
    flat = [(field, entry) for field, entries in fields.items() for entry in entries]
    shortest_first = sorted(flat, key=lambda one: (len(one[1]), one[0]))
    starts: dict[str, list[str]] = {}
    written: set[str] = set()
    left: dict[str, list[str]] = {field: [] for field in fields}
    for field, entry in shortest_first:
        if entry in written:
            continue  # another field, or this one, holds exactly this
        rest = _without(entry, starts)
        lines = [line.strip() for line in rest.split("\n") if len(line.split()) >= _LEAST_WORDS]
        left[field].extend(lines)
        written.add(entry)
        if len(entry) >= _LEAST_REPEAT:
            same_start = starts.setdefault(entry[:_LEAST_REPEAT], [])
            if len(same_start) < _MOST_ALIKE:
                same_start.append(entry)
    return {field: entries for field, entries in left.items() if entries}


def _without(text: str, starts: Mapping[str, list[str]]) -> str:
    """The text with a line end in place of each entry that it holds; the longest entry wins where several begin."""
    if not starts:
        return text
    kept: list[str] = []
    begin = at = 0
    last = len(text) - _LEAST_REPEAT
    while at <= last:
        inner = next((e for e in reversed(starts.get(text[at : at + _LEAST_REPEAT], ())) if text.startswith(e, at)), "")
        if inner:
            kept += [text[begin:at], " \n"]
            begin = at = at + len(inner)
        else:
            at += 1
    return "".join([*kept, text[begin:]])


def _with_tables(text: str, tables: list[str], code: str) -> str:
    """Tables come as HTML beside the text that holds them flattened: put rows in place of the flat copy."""
    lines = [unglue(_without_heading(text, code))]
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
