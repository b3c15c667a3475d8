"""SPL XML, the format of DailyMed: leaves of the section tree, with the traps that real labels set."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from posology.curation import codes
from posology.curation.domain import Drop, Label, Section, content_id
from posology.curation.sources import Document, Parsed, Unreadable, canada, source
from posology.curation.sources.families import brand_names, moiety
from posology.curation.sources.spl_text import local, plain, render

DEPTH = 1000  # real bulk files nest past 256 levels; nobody writes a thousand


@source("SPL", ".xml")
def read_spl(document: Document) -> Iterator[Parsed]:
    """One label per file; documents that are not labels of human medicines give a drop instead."""
    root = _parse(document.data)
    reason = _not_a_label(root) or ("" if document.homeopathic else _homeopathic(root))
    if reason:
        yield Parsed(drops=(Drop("source", "not_a_label", reason, document.name),))
        return
    label = _label(root, document.name)
    try:
        sections = tuple(_sections(root, label))
    except RecursionError:
        raise Unreadable("nests tables in tables too deep; refused") from None
    empty = Drop("source", "no_sections", "a label without sections that hold text", document.name)
    yield Parsed(label=label, sections=sections, drops=() if sections else (empty,))


def _not_a_label(root: etree._Element) -> str:
    """Why the document is no label of a human medicine, by its type; "" when it is one, or names no type."""
    element = root.find("{*}code")
    kind = _code(root)
    if not kind or kind in codes.DOCUMENTS or kind in codes.KINDS:
        return ""
    if element is not None and element.get("codeSystem") == canada.DOCUMENT_SYSTEM:
        return ""
    what = codes.NOT_LABELS.get(kind, "no label of a human medicine")
    read = ", ".join(f"{code} {name}" for code, name in codes.DOCUMENTS.items())
    return f"document type {kind}: {what}; read are {read}"


def _homeopathic(root: etree._Element) -> str:
    """Why a homeopathic product is left out: its indications are no evidence, and nobody reviewed them."""
    approvals = [_code(approval) for approval in root.iter("{*}approval")]
    if codes.HOMEOPATHIC not in approvals:
        return ""
    return f"marketing category {codes.HOMEOPATHIC}: a homeopathic product; set homeopathic on the source to read it"


def _parse(data: bytes) -> etree._Element:
    """The tree, or Unreadable. What is judged is what was parsed, never the bytes: those come in any encoding."""
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"is not well-formed XML: {error.msg}") from None
    except ValueError as error:
        raise Unreadable(f"cannot be parsed: {error}") from None
    info = root.getroottree().docinfo
    dtds: list[Any] = [dtd for dtd in (info.internalDTD, info.externalDTD) if dtd is not None]
    declared = [str(entity.name) for dtd in dtds for entity in dtd.entities()]
    used = [str(node.text) for node in root.iter(etree.Entity)]
    if declared or used:
        names = ", ".join(sorted({*declared, *(name.strip("&;") for name in used)})[:5])
        raise Unreadable(f"declares or uses XML entities ({names}), which no label needs; refused")
    _guard_encoding(data, str(info.encoding or ""))
    _guard_depth(root)
    if local(root) != "document":
        raise Unreadable(f"is XML, but no SPL: its root is <{local(root)}>, not <document>")
    return root


def _guard_encoding(data: bytes, encoding: str) -> None:
    """UTF-8 that is declared as a single-byte encoding parses without an error and reads "5 Âµg"."""
    if encoding.casefold().replace("_", "-") in {"", "utf-8", "utf8", "us-ascii", "ascii"} or data.isascii():
        return
    if encoding.casefold().startswith(("iso-8859", "windows-125", "cp125", "latin")):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return
        raise Unreadable(f"declares {encoding} but is written in UTF-8; mend the declaration")


def _guard_depth(root: etree._Element) -> None:
    level: list[etree._Element] = [root]
    for _ in range(DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise Unreadable(f"nests elements more than {DEPTH} deep; refused")


def _label(root: etree._Element, name: str) -> Label:
    set_id = _attribute(root, "setId", "root")
    version = _attribute(root, "versionNumber", "value")
    ingredients = _ingredients(root)
    return Label(
        set_id=set_id,
        version=int(version) if version.isdigit() else 0,
        drug=_drug(root, ingredients)
        or _drug_in_title(root)
        or name.rsplit("/", 1)[-1].removesuffix(".xml").casefold(),
        ingredients=ingredients,
        source=name,
        brands=brand_names((_name(p) for p in root.iter("{*}manufacturedProduct", "{*}manufacturedMedicine")), ""),
    )


def _ingredients(root: etree._Element) -> tuple[str, ...]:
    """Active moieties where the label names them, else the substances of active ingredients."""
    names: set[str] = set()
    for element in root.iter("{*}ingredient", "{*}activeIngredient"):
        active = local(element) == "activeingredient" or str(element.get("classCode", "")).startswith("ACT")
        if active:
            moieties = [_name(m) for m in element.iter("{*}activeMoiety") if _name(m)]
            substances = [_name(s) for s in element.iter("{*}ingredientSubstance", "{*}activeIngredientSubstance")]
            names.update(moiety(name) for name in (moieties or substances) if name)
    return tuple(sorted(names))


def _drug(root: etree._Element, ingredients: tuple[str, ...]) -> str:
    """The name that questions use: the generic one; of a kit all its parts, or the kit's own name."""
    generic = sorted({_name(g).casefold() for g in root.iter("{*}genericMedicine")} - {""})
    if _is_kit(root) and len(generic) != 1:
        parts = " and ".join(generic or ingredients)
        own = next((_name(product) for product in root.iter("{*}manufacturedProduct") if _name(product)), "")
        return parts if parts and len(parts) <= 60 else own.casefold() or parts
    brand = sorted({_name(p).casefold() for p in root.iter("{*}manufacturedProduct", "{*}manufacturedMedicine")} - {""})
    if generic and len(generic[0]) <= 60:
        return generic[0]
    if ingredients and len(" and ".join(ingredients)) <= 60:
        return " and ".join(ingredients)
    return brand[0] if brand else ""


def _is_kit(root: etree._Element) -> bool:
    return (
        any(form.get("code") == codes.KIT for form in root.iter("{*}formCode")) or root.find(".//{*}part") is not None
    )


def _drug_in_title(root: etree._Element) -> str:
    """Labels without product data still say "NAME (generic) tablets" in their title."""
    named = re.match(r"[A-Z][\w-]+ \(([a-z][^)]{2,60})\)", _title(root))
    return named.group(1) if named else ""


def _sections(root: etree._Element, label: Label) -> Iterator[Section]:
    """Sections in document order; an unclassified one belongs to its nearest coded ancestor."""
    monograph = canada.Monograph()
    stack = [(section, "", "") for section in reversed(_top(root))]
    while stack:
        section, inherited, above = stack.pop()
        own = _section_code(section, monograph)
        code = own if own and own != codes.UNCLASSIFIED else inherited
        if code in codes.SKIPPED:
            continue
        title = _title(section) or codes.title_of(own)
        path = " > ".join(part for part in (above, title) if part)
        stack.extend((child, code, path) for child in reversed(_children(section)))
        text = _own_text(section)
        if text:
            yield Section(
                id=content_id("s", label.set_id, label.drug, code, path, text),
                drug=label.drug,
                set_id=label.set_id,
                code=code or codes.UNCLASSIFIED,
                title=title or codes.title_of(code),
                text=text,
                source=label.source,
            )


def _section_code(section: etree._Element, monograph: canada.Monograph) -> str:
    element = section.find("{*}code")
    code = _code(section)
    if element is None or element.get("codeSystem") != canada.SECTION_SYSTEM or code in codes.SKIPPED:
        return code
    return monograph.loinc(code)


def _top(root: etree._Element) -> list[etree._Element]:
    return root.findall("{*}component/{*}structuredBody/{*}component/{*}section")


def _children(section: etree._Element) -> list[etree._Element]:
    return section.findall("{*}component/{*}section")


def _own_text(section: etree._Element) -> str:
    """The section's <text> alone: <excerpt> highlights repeat it, child sections are leaves of their own."""
    return "\n".join(render(text) for text in section.findall("{*}text")).strip()


def _title(section: etree._Element) -> str:
    title = section.find("{*}title")
    return " ".join(render(title).split()) if title is not None else ""


def _name(element: etree._Element) -> str:
    """The name and its suffix as two words: SPL writes <name>Quellora<suffix>PM</suffix></name>."""
    name = element.find("{*}name")
    if name is None:
        return ""
    suffixes = [plain(suffix).strip() for suffix in name.iter("{*}suffix")]
    whole = plain(name).strip()
    for suffix in (s for s in suffixes if s and whole.endswith(s)):
        whole = f"{whole.removesuffix(suffix)} {suffix}"
    return " ".join(whole.split())


def _code(element: etree._Element) -> str:
    return _attribute(element, "code", "code")


def _attribute(element: etree._Element, child: str, attribute: str) -> str:
    described = element.find(f"{{*}}{child}")
    return str(described.get(attribute, "")).strip() if described is not None else ""
