"""Zips as people download them: one label in each, zips in zips, bulk JSON; nothing is left out in silence."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from posology.core.errors import InvalidInput
from posology.curation.dataset.corpus import gather
from posology.curation.domain import Corpus
from posology.curation.recipe import Source
from posology.curation.sources.location import Limits, find, lines, read_digest

LABEL = (
    '<document xmlns="urn:hl7-org:v3"><code code="34391-3"/><setId root="set-{0}"/><versionNumber value="1"/>'
    "<component>"
    '<structuredBody><component><section><code code="34068-7"/><text><paragraph>Take {0} mg daily.</paragraph></text>'
    "</section></component></structuredBody></component></document>"
)


def zipped(files: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def collect(folder: Path, kind: str = "SPL", max_bytes: int = 10**8) -> Corpus:
    return gather([Source(folder.as_uri(), kind)], Limits((folder,), max_bytes=max_bytes), progress=lambda *_: None)


def test_a_release_of_zips_in_a_zip_gives_every_label_with_its_place(tmp_path: Path) -> None:
    inner = {f"2024_{n}.zip": zipped({f"label{n}.xml": LABEL.format(n), "picture.jpg": b"\xff"}) for n in range(5)}
    (tmp_path / "release.zip").write_bytes(zipped({"prescription/" + name: data for name, data in inner.items()}))
    (tmp_path / "single.zip").write_bytes(zipped({"one.xml": LABEL.format(9), "__MACOSX/._one.xml": b"\x00"}))
    (tmp_path / "plain.xml").write_text(LABEL.format(8))
    corpus = collect(tmp_path)
    assert sorted(section.text for section in corpus.sections) == [f"Take {n} mg daily." for n in (0, 1, 2, 3, 4, 8, 9)]
    assert "release.zip/prescription/2024_0.zip/label0.xml" in {section.source for section in corpus.sections}
    assert not corpus.drops


def test_openfda_downloads_are_read_from_their_zip_and_the_digest_follows_the_bytes(tmp_path: Path) -> None:
    record = {
        "set_id": "a",
        "openfda": {"generic_name": ["X"]},
        "overdosage": ["Give charcoal soon after an overdose of it."],
    }
    path = tmp_path / "drug-label-0001-of-0013.json.zip"
    path.write_bytes(zipped({"drug-label-0001-of-0013.json": json.dumps({"results": [record]})}))
    assert len(collect(tmp_path, "OPENFDA").sections) == 1
    (file,) = find(path.as_uri(), (".json",), Limits((tmp_path,)))
    first = read_digest(file)
    path.write_bytes(zipped({"drug-label-0001-of-0013.json": json.dumps({"results": [record, record]})}))
    (file,) = find(path.as_uri(), (".json",), Limits((tmp_path,)))
    assert read_digest(file) != first


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("pictures.zip", zipped({"a.jpg": b"x"}), "without any file that ends in .xml"),
        ("torn.zip", zipped({"a.xml": LABEL.format(1)})[:-30], "no whole zip"),
        ("fake.zip", b"not a zip at all", "no whole zip"),
        ("labels.tar.gz", b"\x1f\x8b", "archive that is not read"),
        ("labels.7z", b"7z", "archive that is not read"),
        ("deep.zip", zipped({"a.zip": zipped({"b.zip": zipped({"c.zip": zipped({"d.xml": "x"})})})}), "nests zips"),
        ("labels.zip.gz", b"\x1f\x8b", "archive that is not read"),
        ("labels.zip.crdownload", b"PK", "did not finish"),
        ("label.xml.part", b"<document", "did not finish"),
        (
            "twice.zip",
            zipped({"a.xml": "1", "b.xml": "2"}).replace(b"b.xml", b"a.xml"),
            "two files of the name 'a.xml'",
        ),
        ("bomb.zip", zipped({"a.xml": b" " * 3_000_000}), "more than the 1,000,000"),
    ],
)
def test_an_archive_that_gives_nothing_is_named_with_its_reason(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    for number in range(12):
        (tmp_path / f"{number}.xml").write_text(LABEL.format(number))
    (tmp_path / name).write_bytes(data)
    corpus = collect(tmp_path, max_bytes=1_000_000)
    assert len(corpus.sections) == 12
    (drop,) = corpus.drops
    assert drop.reason == "unreadable"
    assert reason in drop.detail


def test_a_name_that_leads_out_of_the_zip_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "slip.zip").write_bytes(zipped({"../../etc/label.xml": LABEL.format(1), "/abs.xml": LABEL.format(2)}))
    sources = {section.source for section in collect(tmp_path).sections}
    assert sources == {"slip.zip/etc/label.xml", "slip.zip/abs.xml"}


def test_a_single_zip_may_be_the_source(tmp_path: Path) -> None:
    (tmp_path / "one.zip").write_bytes(zipped({"one.xml": LABEL.format(1)}))
    source = Source((tmp_path / "one.zip").as_uri(), "SPL")
    assert len(gather([source], Limits((tmp_path,)), progress=lambda *_: None).sections) == 1


def test_suites_and_examples_may_be_arrays_and_hold_line_separators(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps([{"question": "a\u2028b"}, {"question": "c"}], indent=1, ensure_ascii=False)
    )
    (tmp_path / "b.jsonl").write_text('{"question": "d\u2028e"}\n{"question": "f"}\n')
    listed = [json.loads(line)["question"] for line in lines(tmp_path.as_uri(), Limits((tmp_path,)))]
    assert listed == ["a\u2028b", "c", "d\u2028e", "f"]
    (tmp_path / "c.jsonl").write_text("no json\n")
    with pytest.raises(InvalidInput, match=r"c\.jsonl line 1 is not JSON"):
        list(lines(tmp_path.as_uri(), Limits((tmp_path,))))
