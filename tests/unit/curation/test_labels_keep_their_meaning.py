"""What plain text of a label must not lose: raised digits, spanned cells, captions, entities; and who it is for."""
# ruff: noqa: E501  (labels read better unbroken)

from pathlib import Path

import pytest

from posology.curation.sources import FORMATS, Document, Parsed, Unreadable
from posology.curation.sources.raised import raised

HEAD = '<code code="34391-3"/><setId root="set"/><versionNumber value="3"/>'
CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"
DATA = CASES.parent / "data"


def spl(text: str, *, head: str = HEAD, code: str = "34068-7", prolog: str = "") -> str:
    section = f'<component><section><code code="{code}"/><title>Title</title><text>{text}</text></section></component>'
    return (
        f'{prolog}<document xmlns="urn:hl7-org:v3">{head}<component><structuredBody>{section}</structuredBody></component>'
        "</document>"
    )


def read(data: bytes | str, **options: bool) -> Parsed:
    raw = data.encode() if isinstance(data, str) else data
    (parsed,) = FORMATS["SPL"].read(Document("label.xml", raw, **options))
    return parsed


def lines(markup: str) -> list[str]:
    return read(spl(markup)).sections[0].text.split("\n")


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("7.4 GBq of <sup>177</sup>Lu veltramil", "7.4 GBq of 177Lu veltramil"),
        ("<sup>18</sup>F and <sup>99m</sup>Tc and (<sup>131</sup>I)", "18F and 99mTc and (131I)"),
        ("<sup>51</sup>Cr-tagged cells", "51Cr-tagged cells"),
        ("<sup>223</sup> Ra dichloride", "223 Ra dichloride"),
        ("<content><sup>68</sup></content>Ga-dotatate", "68Ga-dotatate"),
        ("Tc<sup>99m</sup> and I<sup>131</sup>", "Tc-99m and I-131"),
        ("Ca<sup>2+</sup>, Fe<sup>3+</sup>, Na<sup>+</sup>, Cl<sup>-</sup>", "Ca2+, Fe3+, Na+, Cl-"),
        ("SO<sub>4</sub><sup>2-</sup>", "SO4^2-"),
        ("CD4<sup>+</sup> cells", "CD4+ cells"),
        ("0.4 mL·min<sup>-1</sup>", "0.4 mL·min^-1"),
        ("1.73 m<sup>−2</sup> and kg<sup>–1</sup>", "1.73 m^-2 and kg^-1"),
        ("50 × 10<sup>9</sup>/L", "50 × 10^9/L"),
        ("1 x 10<sup>14</sup> vg/kg", "1 x 10^14 vg/kg"),
        ("30 inch<sup>2</sup>, 5 cm<sup>3</sup>, 40 mg/m<sup>2</sup>", "30 inch^2, 5 cm^3, 40 mg/m^2"),
        ("applied once daily<sup>1</sup>.", "applied once daily."),
        ("below 25<sup>2</sup> is safe", "below 25 is safe"),
        (
            "as studied<sup>1,2</sup> and<sup>[3]</sup> seen<sup>a,b</sup> there<sup>4-6</sup>",
            "as studied and seen there",
        ),
        ("<sup>2</sup>In patients", "In patients"),
        ("take 1<sup>1</sup>/<sub>2</sub> tablets", "take 1 1/2 tablets"),
        ("take <sup>1</sup>/<sub>2</sub> tablet", "take 1/2 tablet"),
        ("take 2<sup>1/2</sup> mL", "take 2 1/2 mL"),
        ("the 1<sup>st</sup>, 2<sup>nd</sup> and 4<sup>th</sup> dose", "the 1st, 2nd and 4th dose"),
        ("Brand<sup>TM</sup> and Other<sup>SM</sup>", "Brand™ and Other℠"),
        ("at 20<sup>\ufeff0</sup>\ufeffC", "at 20°C"),
        ("R<sup>2</sup> of 0.9", "R^2 of 0.9"),
        (
            "CYP2C19<sup>*</sup>2, UGT1A1*<sup>28</sup>, HLA-B<sup>*</sup>1502",
            "CYP2C19*2, UGT1A1*28, HLA-B*1502",
        ),
        ("CYP2D6<sup>*</sup> and ANC<sup>*</sup> 2 tablets", "CYP2D6 and ANC 2 tablets"),
        (
            "O<sup>6</sup>-methylguanine and Δ<sup>9</sup>-tetrahydrocannabinol",
            "O6-methylguanine and Δ9-tetrahydrocannabinol",
        ),
        ("of<sup>177</sup>Lu and of<sup>99m</sup>Tc, daily<sup>12</sup> In", "of 177Lu and of 99mTc, daily In"),
        ("C<sup>max</sup> and 5<sup>a†</sup> mg", "Cmax and 5 mg"),
    ],
)
def test_raised_characters_keep_their_meaning_and_footnote_marks_go(markup: str, plain: str) -> None:
    assert lines(f"<paragraph>{markup}</paragraph>") == [plain]


def test_a_mass_number_that_no_nucleus_has_is_a_footnote() -> None:
    assert raised("7", before="dose ", after="In adults") == ""
    assert raised("111", before="dose ", after="In-pentetreotide") == "111"


TABLE = (
    "<table><caption>Dose by function</caption><thead><tr><th rowspan='2'>Condition</th><th colspan='2'>Dose</th></tr>"
    "<tr><th>mild</th><th>severe</th></tr></thead><tfoot><tr><td colspan='3'>Do not exceed 80 mg.</td></tr></tfoot><tbody>"
    "<tr><td rowspan='2'>Angina</td><td>40 mg</td><td>20 mg</td></tr><tr><td colspan='2'>do not use with nitrates</td></tr>"
    "<tr><td colspan='3'>Children</td></tr><tr><td>Cough</td><td>5 mg</td><td/></tr></tbody></table>"
)


def test_spans_are_repeated_so_that_each_row_says_what_it_is_about() -> None:
    assert lines(TABLE) == [
        "Table: Dose by function",
        "| Condition | Dose, mild | Dose, severe |",
        "| --- | --- | --- |",
        "| Angina | 40 mg | 20 mg |",
        "| Angina | do not use with nitrates | do not use with nitrates |",
        "| Children | Children | Children |",
        "| Cough | 5 mg | |",
        "Do not exceed 80 mg.",
    ]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (  # several rows in one, as tables made in word processors have them
            "<tr><td><content styleCode='bold'>Heart</content><br/>Slow pulse<br/>Edema<br/></td><td>&#160;<br/>2<br/>1<br/></td>"
            "<td>&#160;<br/>9<br/>3</td></tr>",
            ["| Heart | | |", "| Slow pulse | 2 | 9 |", "| Edema | 1 | 3 |"],
        ),
        (  # one cell of several lines stays one cell
            "<tr><td>Adults</td><td><paragraph>10 mg</paragraph><paragraph>once daily</paragraph></td></tr>",
            ["| Adults | 10 mg; once daily |"],
        ),
        (  # a head that is only bold
            "<tr><td><content styleCode='bold'>Age</content></td><td><content styleCode='bold'>Dose</content></td></tr>"
            "<tr><td>6 to 11</td><td>5 mL</td></tr>",
            ["| Age | Dose |", "| --- | --- |", "| 6 to 11 | 5 mL |"],
        ),
        ("<tr><td rowspan='99999999'>A</td><td>1</td></tr><tr><td>2</td></tr>", ["| A | 1 |", "| A | 2 |"]),
        (  # no cell spans out of its group of rows
            "<tr><td rowspan='5'>A</td><td>1</td></tr></tbody><tbody><tr><td>B</td><td>2</td></tr>",
            ["| A | 1 |", "| B | 2 |"],
        ),
        (  # an empty row counts among those that are spanned
            "<tr><td rowspan='2'>A</td><td>1</td></tr><tr/><tr><td>B</td><td>2</td></tr>",
            ["| A | 1 |", "| B | 2 |"],
        ),
        (  # a heading that says more columns than there are
            "<tr><td colspan='10'>Adults</td></tr><tr><td>A</td><td>1</td></tr>",
            ["| Adults | Adults |", "| A | 1 |"],
        ),
        ("<tr><td rowspan='0'>A</td><td>1</td></tr><tr><td>2</td></tr>", ["| A | 1 |", "| A | 2 |"]),
        ("<tr><td rowspan='x' colspan='-1'>A</td><td>1</td></tr>", ["| A | 1 |"]),
        ("<tr><td>A</td><td>1</td><td>x</td></tr><tr><td>B</td></tr>", ["| A | 1 | x |", "| B | | |"]),
        ("<tr><td><list><item>One.</item><item>Two.</item></list></td></tr>", ["One.", "Two."]),
        ("<tr><td>a | b</td><td>2</td></tr>", ["| a / b | 2 |"]),
        (
            "<tr><td>A</td><td><table><tbody><tr><td>x</td><td>1</td></tr><tr><td>y</td><td>2</td></tr></tbody></table></td></tr>",
            ["| A | x: 1; y: 2 |"],
        ),
        (
            "<tr><td>CrCl<footnote>By Cockcroft-Gault.</footnote></td><td>5 mg</td></tr>",
            ["| CrCl | 5 mg |", "By Cockcroft-Gault."],
        ),
    ],
)
def test_tables_of_many_shapes_are_read_row_by_row(table: str, rows: list[str]) -> None:
    assert lines(f"<table><tbody>{table}</tbody></table>") == rows


def test_the_marks_and_captions_of_lists_stay_with_their_items() -> None:
    assert lines(
        "<list listType='ordered'><item><caption>(a)</caption>Adults: 2 tablets.</item>"
        "<item><caption>(b)</caption><paragraph>Children: 1 tablet.</paragraph></item></list>"
        "<list><caption>Do not use in:</caption><item>children under 6</item>"
        "<item><content>dialysis</content><list><item>of any kind</item></list></item></list>"
    ) == [
        "- (a) Adults: 2 tablets.",
        "- (b) Children: 1 tablet.",
        "Do not use in:",
        "- children under 6",
        "- dialysis",
        "- of any kind",
    ]
    assert lines(
        "<list><item><caption>(a)</caption></item><item><caption>•</caption>Adults: 2 tablets.</item>"
        "<item>• Children: 1 tablet.</item><item><caption>iv.</caption></item></list>"
    ) == ["- Adults: 2 tablets.", "- Children: 1 tablet."]


ENTITY = '<?xml version="1.0" encoding="{}"?><!DOCTYPE document [<!ENTITY dose "10">]>'


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "UTF-16LE", "ISO-8859-1", "US-ASCII", "UTF-32", "cp1252"])
def test_a_label_with_entities_never_loses_its_dose_in_any_encoding(encoding: str) -> None:
    data = spl("<paragraph>Take &dose; mg.</paragraph>", prolog=ENTITY.format(encoding)).encode(encoding)
    with pytest.raises(Unreadable, match=r"entit|XML|encoding"):
        read(data)


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE document SYSTEM "spl.dtd">',
        '<!DOCTYPE document PUBLIC "-//x" "http://127.0.0.1/spl.dtd">',
        '<!DOCTYPE document [<!ENTITY % more SYSTEM "more.ent"> %more;]>',
    ],
)
def test_entities_that_are_declared_elsewhere_are_refused_too(prolog: str) -> None:
    with pytest.raises(Unreadable):
        read(spl("<paragraph>Take 5&nbsp;mg.</paragraph>", prolog=prolog))


def test_utf8_under_a_wrong_declaration_is_refused_and_a_right_one_is_read() -> None:
    prolog = '<?xml version="1.0" encoding="ISO-8859-1"?>'
    text = spl("<paragraph>Take 5 µg.</paragraph>", prolog=prolog)
    with pytest.raises(Unreadable, match="written in UTF-8"):
        read(text.encode("utf-8"))
    assert read(text.encode("latin-1")).sections[0].text == "Take 5 µg."
    utf16 = spl("<paragraph>Take 5 µg.</paragraph>", prolog='<?xml version="1.0" encoding="UTF-16"?>').encode("utf-16")
    assert read(utf16).sections[0].text == "Take 5 µg."


@pytest.mark.parametrize(
    "code", ["34391-3", "34390-5", "53404-0", "60683-0", "60684-8", "60682-2", "53405-7", "53406-5", "75031-5"]
)
def test_vaccines_plasma_cells_allergens_and_compounds_are_labels(code: str) -> None:
    assert read(spl("<paragraph>For adults.</paragraph>", head=f'<code code="{code}"/><setId root="s"/>')).sections


@pytest.mark.parametrize("code", ["50578-4", "58474-8", "58475-5", "53409-9", "99999-9"])
def test_other_documents_are_named_and_the_drop_says_what_is_read(code: str) -> None:
    (drop,) = read(spl("Text.", head=f'<code code="{code}"/>')).drops
    assert code in drop.detail
    assert "53404-0 vaccine" in drop.detail


HOMEOPATHIC = '<component><section><code code="48780-1"/><subject><approval><code code="C73614"/></approval></subject></section></component>'


def test_homeopathic_products_are_left_out_unless_asked_for() -> None:
    label = spl("<paragraph>Diluted.</paragraph>", head='<code code="34390-5"/>').replace(
        "<structuredBody>", f"<structuredBody>{HOMEOPATHIC}"
    )
    assert "homeopathic" in read(label).drops[0].detail
    assert read(label, homeopathic=True).sections


def test_a_kit_is_named_after_all_its_parts() -> None:
    def part(name: str) -> str:
        generic = f"<asEntityWithGeneric><genericMedicine><name>{name}</name></genericMedicine></asEntityWithGeneric>"
        return f"<part><partProduct><name>{name}</name>{generic}</partProduct></part>"

    product = (
        "<component><section><code code='48780-1'/><subject><manufacturedProduct><manufacturedProduct><name>Duopak</name>"
        f"<formCode code='C47916'/>{part('Aaavir')}{part('Bbbvir')}</manufacturedProduct></manufacturedProduct></subject>"
        "</section></component>"
    )
    label = read(
        spl("<paragraph>Take both.</paragraph>").replace("<structuredBody>", f"<structuredBody>{product}")
    ).label
    assert label is not None
    assert label.drug == "aaavir and bbbvir"


def test_canadian_monographs_have_their_codes() -> None:
    path = DATA / "spl_xml_canada" / "clarithromycin_pm.xml"
    if not path.exists():
        pytest.skip("the shared labels are not here")
    parsed = read(path.read_bytes())
    codes = {section.code for section in parsed.sections}
    assert codes >= {"34067-9", "34070-3", "34068-7", "34084-4", "34073-7", "34088-5", "42228-7", "43679-0", "68498-5"}
    assert parsed.label is not None
    assert "clarithromycin" in parsed.label.drug
    assert all(code != "" for code in codes)


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\u200f", "\u061c", "\U000e0041", "\ufff9", "\u3164", "\ue123"]
)
def test_characters_that_deceive_a_reader_make_a_section_a_drop_that_names_them(character: str) -> None:
    parsed = read(spl(f"<paragraph>Do {character}not take it.</paragraph>"))
    assert not parsed.sections
    (drop,) = parsed.drops
    assert drop.reason == "hidden_characters"
    assert f"U+{ord(character):04X}" in drop.detail


def test_spaces_of_no_width_and_soft_hyphens_go() -> None:
    assert lines("<paragraph>con\u00adtra\u200bindi\ufeffcated in\u2028all\u200dergy</paragraph>")[0].startswith(
        "contraindicated in"
    )
    assert "allergy" in "\n".join(lines("<paragraph>in\u2028all\u200dergy</paragraph>"))


def test_a_line_of_a_symbol_font_keeps_its_comparison() -> None:
    assert lines("<paragraph>if CrCl \uf0b3 30</paragraph>") == ["if CrCl ≥ 30"]


def test_real_labels_are_still_read() -> None:
    folder = DATA / "spl_xml"
    if not folder.exists():
        pytest.skip("the shared labels are not here")
    for path in sorted(folder.glob("*.xml")):
        for section in read(path.read_bytes()).sections:
            assert "^^" not in section.text
            tables = [line.count(" | ") for line in section.text.split("\n") if line.startswith("| ")]
            assert all(count >= 1 for count in tables), (path.name, section.title)
