"""PDF, Word and web pages: reading order, headings, tables, what a reader does not see, and where it stood."""
# ruff: noqa: E501  (documents read better unbroken)

import io
from typing import Any

import docx
import pytest
from support.pdf_writer import Rule, Text, column, pdf

from posology.curation.sources import FORMATS, Document, Parsed, Unreadable

LEFT = [
    "The starting dose of examplol in adults",
    "is 5 mg once daily, to be taken with a",
    "glass of water. The dose may be in-",
    "creased after two weeks. The half-",
    "life of the drug is seven hours, which",
    "does not change with age in any study.",
    "Treatment ends when symptoms are gone.",
    "Patients should be seen each month now.",
]
RIGHT = [
    "Do not give examplol to patients with a",
    "heart block of any degree. Stop it when",
    "the pulse falls below 50 per minute and",
    "call a physician. Kidney function has no",
    "influence on the dose. The liver breaks",
    "the drug down; in cirrhosis give half of",
    "the dose. Children were not studied yet.",
    "Overdose is treated with charcoal first.",
]


def read(kind: str, data: bytes, name: str) -> Parsed:
    (parsed,) = FORMATS[kind].read(Document(name, data))
    return parsed


def guideline(pages: int = 3) -> bytes:
    made = []
    for number in range(1, pages + 1):
        page: list[Text | Rule] = [Text(60, 40, f"Guideline of the Society 2024, page {number} of {pages}", 8)]
        page += [
            Text(60, 90, f"Examplol, part {number}", 18, True),
            Text(60, 120, "Dosage and Administration", 12, True),
        ]
        page += column(60, 145, LEFT)
        page += column(320, 145, RIGHT)
        page += [Text(290, 815, str(number), 8)]
        made.append(page)
    return pdf(made)


def test_columns_are_read_one_after_the_other_and_running_heads_go() -> None:
    parsed = read("PDF", guideline(), "guides/exam.pdf")
    text = " ".join(parsed.sections[0].text.split())
    assert text.startswith(
        "The starting dose of examplol in adults is 5 mg once daily, to be taken with a glass of water."
    )
    assert text.index("each month now.") < text.index("Do not give examplol")
    assert "may be increased after" in text
    assert "The half-life of" in text
    assert all("Society" not in section.text for section in parsed.sections)


def test_sections_begin_at_headings_and_name_their_page() -> None:
    parsed = read("PDF", guideline(), "guides/exam.pdf")
    assert [(s.title, s.code, s.source) for s in parsed.sections] == [
        ("Dosage and Administration", "34068-7", f"guides/exam.pdf#page={number}") for number in (1, 2, 3)
    ]
    assert parsed.label is not None
    assert parsed.label.drug == "examplol, part 1"


def test_one_column_stays_one_column() -> None:
    lines = [f"{left} {right}" for left, right in zip(LEFT, RIGHT, strict=True)]
    parsed = read("PDF", pdf([column(60, 100, lines, size=9)]), "a.pdf")
    assert " ".join(parsed.sections[0].text.split()).startswith(f"{lines[0]} {lines[1]}")


def test_a_ruled_table_is_read_row_by_row_in_its_place() -> None:
    page: list[Text | Rule] = [Text(60, 80, "Dosing", 14, True), Text(60, 100, "The table says how much to give.")]
    rows = [
        ("Group", "CrCl", "Dose"),
        ("Adults", "above 60", "40 mg"),
        ("", "30 to 60", "20 mg"),
        ("Children", "any", "5 mg"),
    ]
    for number, cells in enumerate(rows):
        page += [Text(65 + 100 * n, 135 + 20 * number, cell) for n, cell in enumerate(cells)]
    page += [Rule(60, 120 + 20 * n, 360, 120 + 20 * n) for n in (0, 1, 2, 4)] + [
        Rule(160, 160, 360, 160),
        Rule(60, 180, 360, 180),
    ]
    page += [Rule(60 + 100 * n, 120, 60 + 100 * n, 200) for n in range(4)]
    page += [Text(60, 230, "Nobody takes more than that in a day.")]
    (section,) = read("PDF", pdf([page]), "a.pdf").sections
    assert section.text.split("\n") == [
        "The table says how much to give.",
        "| Group | CrCl | Dose |",
        "| --- | --- | --- |",
        "| Adults | above 60 | 40 mg |",
        "| Adults | 30 to 60 | 20 mg |",
        "| Children | any | 5 mg |",
        "Nobody takes more than that in a day.",
    ]


def test_scanned_pages_are_named_and_a_whole_scan_is_refused() -> None:
    parsed = read("PDF", pdf([column(60, 100, LEFT), []], pictures=True), "a.pdf")
    assert [drop.detail for drop in parsed.drops] == ["page 2 is a picture without text (a scan)"]
    with pytest.raises(Unreadable, match="it is a scan"):
        read("PDF", pdf([[], []], pictures=True), "a.pdf")


@pytest.mark.parametrize("data", [b"", b"no pdf", b"%PDF-1.4\n1 0 obj\n<<", guideline()[:400]])
def test_a_damaged_pdf_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read("PDF", data, "a.pdf")


def test_bullets_and_raised_digits_of_a_pdf_keep_their_meaning() -> None:
    page = [
        Text(60, 100, "Do not use it in:"),
        Text(60, 112, "\u2022 children under 6 years"),
        Text(60, 124, "\u2022 patients on dialysis"),
        Text(60, 160, "Give 40 mg/m"),
        Text(60 + 59.5, 156, "2", 6),
        Text(60 + 66, 160, "every week."),
    ]
    (section,) = read("PDF", pdf([page]), "a.pdf").sections
    assert section.text.split("\n") == [
        "Do not use it in:",
        "- children under 6 years",
        "- patients on dialysis",
        "Give 40 mg/m^2 every week.",
    ]


PAGE = """<!doctype html><html><head><title>Society</title><style>p {}</style></head><body>
<nav><a href="/">Home</a></nav><h1>Examplol</h1><p>Intro<br>text &amp; more.</p><script>alert(1)</script>
<h2>Dosage and Administration</h2><p>Give 10<sup>9</sup> cells, or 5&nbsp;mg/m<sup>2</sup><sup>a</sup>.</p>
<p style="display: none">Give 500 mg.</p><div hidden>Give 600 mg.</div><span aria-hidden="true">Give 700 mg.</span>
<ul><li>With food</li><li><p>Not at night</p></li></ul>
<table><caption>Table 1. Doses</caption><tr><th rowspan=2>Group<th colspan=2>Dose<tr><th>day<th>night<tr><td>Adults<td>1 mg<td>2 mg</table>
<h2>Empty</h2><footer>Imprint</footer></body></html>"""


def test_a_web_page_is_what_its_reader_sees() -> None:
    parsed = read("HTML", PAGE.encode(), "a.html")
    assert parsed.label is not None
    assert parsed.label.drug == "examplol"
    assert [(s.title, s.code) for s in parsed.sections] == [("Examplol", ""), ("Dosage and Administration", "34068-7")]
    assert parsed.sections[1].text.replace("\xa0", " ").split("\n") == [
        "Give 10^9 cells, or 5 mg/m^2.",
        "- With food",
        "- Not at night",
        "Table 1. Doses",
        "| Group | Dose, day | Dose, night |",
        "| --- | --- | --- |",
        "| Adults | 1 mg | 2 mg |",
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('<meta charset="windows-1252"><p>Give 5 \xb5g.</p>'.encode("cp1252"), "Give 5 µg."),
        ("<p>Give 5 µg.</p>".encode(), "Give 5 µg."),
        ("<p>Give 5 &micro;g &le; 6.</p>".encode("utf-16"), "Give 5 µg ≤ 6."),
        (
            b'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Text.</p></body></html>',
            "Text.",
        ),
    ],
)
def test_pages_in_several_encodings_are_read_or_refused_never_guessed(data: bytes, text: str) -> None:
    assert read("HTML", data, "a.html").sections[0].text == text
    with pytest.raises(Unreadable, match="UTF-8"):
        read("HTML", b"<p>5 \xb5g</p>", "a.html")


def word(fill: Any) -> bytes:
    document = docx.Document()
    fill(document)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_a_word_document_keeps_headings_lists_merged_cells_and_raised_digits() -> None:
    def fill(document: Any) -> None:
        document.add_heading("Examplol", 0)
        document.add_heading("Contraindications", 1)
        paragraph = document.add_paragraph("Not above 40 mg/m")
        paragraph.add_run("2").font.superscript = True
        paragraph.add_run(" of skin")
        paragraph.add_run("1").font.superscript = True
        document.add_paragraph("heart block", style="List Bullet")
        table = document.add_table(rows=3, cols=2)
        for row, cells in enumerate((("Group", "Dose"), ("Adults", "1 mg"), ("", "2 mg"))):
            for column_number, text in enumerate(cells):
                table.cell(row, column_number).text = text
        for cell in table.rows[0].cells:
            cell.paragraphs[0].runs[0].bold = True
        table.cell(1, 0).merge(table.cell(2, 0))

    parsed = read("DOCX", word(fill), "guides/a.docx")
    assert parsed.label is not None
    assert parsed.label.drug == "examplol"
    (section,) = parsed.sections
    assert (section.title, section.code) == ("Contraindications", "34070-3")
    assert section.text.split("\n") == [
        "Not above 40 mg/m^2 of skin",
        "- heart block",
        "| Group | Dose |",
        "| --- | --- |",
        "| Adults | 1 mg |",
        "| Adults | 2 mg |",
    ]


def test_what_was_deleted_in_a_word_document_is_gone_and_what_was_inserted_is_read() -> None:
    data = word(lambda document: document.add_paragraph("Take XX mg."))
    before, after = (
        b"Take XX mg.",
        b"Take </w:t></w:r><w:del><w:r><w:delText>500</w:delText></w:r></w:del><w:ins><w:r><w:t>50</w:t></w:r></w:ins><w:r><w:t xml:space='preserve'> mg.",
    )
    import zipfile

    source, made = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for entry in source.infolist():
            target.writestr(
                entry,
                source.read(entry).replace(before, after).replace(b"<w:t>Take <", b"<w:t xml:space='preserve'>Take <"),
            )
    assert read("DOCX", made.getvalue(), "a.docx").sections[0].text == "Take 50 mg."


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", word(lambda document: None)[:200]])
def test_a_damaged_word_document_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read("DOCX", data, "a.docx")


@pytest.mark.parametrize("kind", ["HTML", "MARKDOWN", "TEXT"])
def test_hidden_characters_are_refused_in_every_format(kind: str) -> None:
    parsed = read(kind, "Do \u202enot take it. And more of it.".encode(), "a.x")
    assert not parsed.sections
    assert [drop.reason for drop in parsed.drops] == ["hidden_characters"]


def test_a_markdown_table_keeps_its_head() -> None:
    text = "# Examplol\n\n## Dosage\n\n| Group | Dose |\n|:---|---:|\n| Adults | 5 mg |\n\n---\n\nNothing else."
    (section,) = read("MARKDOWN", text.encode(), "a.md").sections
    assert section.text.split("\n") == ["| Group | Dose |", "| --- | --- |", "| Adults | 5 mg |", "Nothing else."]
