"""SPL XML: leaves, inherited codes, raised digits, tables, versions, and hostile documents."""

import re
from pathlib import Path

import pytest

from posology.curation.domain import Section
from posology.curation.sources import FORMATS, Document, Parsed, Unreadable

HEAD = '<code code="34391-3"/><setId root="set"/><versionNumber value="3"/>'


def spl(body: str, *, head: str = HEAD, prolog: str = "") -> bytes:
    return (
        f'{prolog}<document xmlns="urn:hl7-org:v3">{head}<component><structuredBody>{body}</structuredBody></component>'
        "</document>"
    ).encode()


def section(code: str, text: str, *children: str, title: str = "Title", extra: str = "") -> str:
    inner = "".join(children)
    return (
        f'<component><section><code code="{code}"/><title>{title}</title>'
        f"<text>{text}</text>{extra}{inner}</section></component>"
    )


def read(data: bytes) -> Parsed:
    (parsed,) = FORMATS["SPL"].read(Document("label.xml", data))
    return parsed


def texts(data: bytes) -> list[Section]:
    return list(read(data).sections)


def test_an_unclassified_section_belongs_to_its_nearest_coded_ancestor() -> None:
    inner = section("42229-5", "<paragraph>Inner text.</paragraph>", section("42229-5", "<paragraph>Deep.</paragraph>"))
    found = texts(spl(section("34068-7", "<paragraph>Outer text.</paragraph>", inner)))
    assert [(s.code, s.text) for s in found] == [
        ("34068-7", "Outer text."),
        ("34068-7", "Inner text."),
        ("34068-7", "Deep."),
    ]


def test_a_parent_holds_only_its_own_text_and_highlights_are_skipped() -> None:
    highlight = "<excerpt><highlight><text><paragraph>Repeated.</paragraph></text></highlight></excerpt>"
    found = texts(spl(section("34070-3", "<paragraph>Once.</paragraph>", extra=highlight)))
    assert [s.text for s in found] == ["Once."]


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("2x10<sup>-10</sup> M", "2x10^-10 M"),
        ("at 20<sup>o</sup>C", "at 20°C"),
        ("70 kg/m<sup>2</sup>", "70 kg/m^2"),
        ("C<sub>max</sub> rose, CO<sub>2</sub> fell", "Cmax rose, CO2 fell"),
        ("one<br/>two", "one two"),
        ("Brand<sup>®</sup> tablets<sup>1</sup>", "Brand® tablets"),
        ("a <content styleCode='bold'>bold</content> word", "a bold word"),
    ],
)
def test_inline_markup_neither_glues_words_nor_breaks_numbers(markup: str, plain: str) -> None:
    assert texts(spl(section("34068-7", f"<paragraph>{markup}</paragraph>")))[0].text == plain


def test_tables_stay_tables_and_list_items_stay_lines() -> None:
    table = "<table><tbody><tr><td>Dose</td><td>10 mg</td></tr><tr><td>CrCl</td><td>&lt; 30</td></tr></tbody></table>"
    items = "<list><item>First.</item><item>Second.</item></list>"
    found = texts(spl(section("34068-7", f"<paragraph>Intro.</paragraph>{table}{items}")))[0]
    assert found.text.splitlines() == ["Intro.", "| Dose | 10 mg |", "| CrCl | < 30 |", "- First.", "- Second."]


@pytest.mark.parametrize("code", ["60685-5", "81203-2", "50577-6", "58476-3"])
def test_documents_that_are_no_human_label_are_dropped_with_their_type(code: str) -> None:
    parsed = read(spl(section("34068-7", "Text."), head=f'<code code="{code}"/>'))
    assert not parsed.sections
    assert code in parsed.drops[0].detail


@pytest.mark.parametrize("code", ["48780-1", "51945-4", "43683-2", "34093-5"])
def test_product_data_package_art_changes_and_references_are_left_out(code: str) -> None:
    assert not texts(spl(section(code, "<paragraph>Left out.</paragraph>")))


def test_a_label_without_a_title_is_named_by_its_ingredient() -> None:
    product = (
        '<component><section><code code="48780-1"/><subject><manufacturedProduct><ingredient classCode="ACTIB">'
        "<ingredientSubstance><name>CARVEDILOL PHOSPHATE</name></ingredientSubstance></ingredient>"
        "</manufacturedProduct></subject></section></component>"
    )
    label = read(spl(product + section("34068-7", "<paragraph>Text.</paragraph>"))).label
    assert label is not None
    assert (label.drug, label.ingredients, label.version) == ("carvedilol", ("carvedilol",), 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<document><unclosed>", "not well-formed"),
        (b"", "not well-formed"),
        (b"\x00\x01\x02 binary", "not well-formed"),
        (b"<html><body/></html>", "no SPL"),
        ('<?xml version="1.0" encoding="UTF-8"?><document>\xe9</document>'.encode("latin-1"), "not well-formed"),
    ],
)
def test_what_is_no_spl_is_unreadable_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(data)


def test_entity_declarations_are_refused_before_they_could_expand() -> None:
    bomb = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    with pytest.raises(Unreadable, match="entities"):
        read(spl(section("34068-7", "&c;"), prolog=bomb))


def test_an_external_entity_never_brings_a_file_in(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    prolog = f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]>'
    with pytest.raises(Unreadable, match="entities"):
        read(spl(section("34068-7", "&x;"), prolog=prolog))


def test_ten_thousand_nested_elements_are_refused() -> None:
    deep = "<content>" * 10_000 + "text" + "</content>" * 10_000
    with pytest.raises(Unreadable, match=re.compile("deep|depth", re.IGNORECASE)):
        read(spl(section("34068-7", deep)))


def test_nesting_as_real_bulk_files_have_it_is_read() -> None:
    deep = "<content>" * 900 + "Deep text." + "</content>" * 900
    assert texts(spl(section("34068-7", f"<paragraph>{deep}</paragraph>")))[0].text == "Deep text."
