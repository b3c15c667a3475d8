"""SPL XML, the format of DailyMed: leaves of the section tree, with the traps that real labels set."""

import re
from collections.abc import Iterator

from lxml import etree

from posology.curation import codes
from posology.curation.domain import Drop, Label, Section, content_id
from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.families import brand_names, moiety
from posology.curation.sources.spl_text import local, plain, render

DEPTH = 1000  # real bulk files nest past 256 levels; nobody writes a thousand


@source("SPL", ".xml")
def read_spl(document: Document) -> Iterator[Parsed]:
    """One label per file; documents that are not human drug labels give a drop instead."""
    root = _parse(document.data)
    kind = _code(root)
    if kind and kind not in codes.DOCUMENTS:
        what = codes.NOT_LABELS.get(kind, "no human prescription or over-the-counter label")
        yield Parsed(drops=(Drop("source", "not_a_label", f"document type {kind}: {what}", document.name),))
        return
    label = _label(root, document.name)
    try:
        yield Parsed(label=label, sections=tuple(_sections(root, label)))
    except RecursionError:
        raise Unreadable("nests tables in tables too deep; refused") from None


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"is not well-formed XML: {error.msg}") from None
    except ValueError as error:
        raise Unreadable(f"cannot be parsed: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None and b"<!ENTITY" in data:
        raise Unreadable("declares XML entities, which no label needs; refused")
    _guard_depth(root)
    if local(root) != "document":
        raise Unreadable(f"is XML, but no SPL: its root is <{local(root)}>, not <document>")
    return root


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
    found: set[str] = set()
    for element in root.iter("{*}ingredient", "{*}activeIngredient"):
        active = local(element) == "activeIngredient" or str(element.get("classCode", "")).startswith("ACT")
        if active:
            moieties = [_name(m) for m in element.iter("{*}activeMoiety") if _name(m)]
            substances = [_name(s) for s in element.iter("{*}ingredientSubstance", "{*}activeIngredientSubstance")]
            found.update(moiety(name) for name in (moieties or substances) if name)
    return tuple(sorted(found))


def _drug(root: etree._Element, ingredients: tuple[str, ...]) -> str:
    generic = sorted({_name(g).casefold() for g in root.iter("{*}genericMedicine")} - {""})
    brand = sorted({_name(p).casefold() for p in root.iter("{*}manufacturedProduct", "{*}manufacturedMedicine")} - {""})
    if generic and len(generic[0]) <= 60:
        return generic[0]
    if ingredients and len(" and ".join(ingredients)) <= 60:
        return " and ".join(ingredients)
    return brand[0] if brand else ""


def _drug_in_title(root: etree._Element) -> str:
    """Labels without product data still say "NAME (generic) tablets" in their title."""
    found = re.match(r"[A-Z][\w-]+ \(([a-z][^)]{2,60})\)", _title(root))
    return found.group(1) if found else ""


def _sections(root: etree._Element, label: Label) -> Iterator[Section]:
    """Sections in document order; an unclassified one belongs to its nearest coded ancestor."""
    stack = [(section, "", "") for section in reversed(_top(root))]
    while stack:
        section, inherited, above = stack.pop()
        own = _code(section)
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
    name = element.find("{*}name")
    return " ".join(plain(name).split()) if name is not None else ""


def _code(element: etree._Element) -> str:
    return _attribute(element, "code", "code")


def _attribute(element: etree._Element, child: str, attribute: str) -> str:
    found = element.find(f"{{*}}{child}")
    return str(found.get(attribute, "")).strip() if found is not None else ""
