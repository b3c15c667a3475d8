"""Which files may be read, how large, and what becomes of bad ones."""

import os
from pathlib import Path

import pytest

from posology.core.errors import InvalidInput, PermissionDenied
from posology.curation.dataset.corpus import gather
from posology.curation.domain import Corpus
from posology.curation.recipe import Source
from posology.curation.sources.location import Limits

TEXT = "DOSAGE AND ADMINISTRATION\n\nTake 10 mg of examplol once daily.\n"


def collect(folder: Path, kind: str = "TEXT") -> Corpus:
    return gather([Source(folder.as_uri(), kind)], Limits((folder,)), progress=lambda *_: None)


def test_five_hundred_megabytes_are_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.xml").open("wb") as file:
        os.truncate(file.fileno(), 500_000_000)
    with pytest.raises(InvalidInput, match=r"huge.xml has 500,000,000 bytes, more than the 100,000,000"):
        collect(tmp_path, "SPL")


@pytest.mark.parametrize(
    "uri", ["http://host/x", "relative.txt", "gs://bucket/x", "file:relative/x.txt", "file://host/x"]
)
def test_other_schemes_hosts_and_relative_paths_are_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        Limits((tmp_path,)).check(uri)


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "file:///tmp/../etc/passwd", "file:///%65tc/passwd"])
def test_a_path_outside_the_allowed_folders_is_refused_however_it_is_spelt(uri: str, tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="outside the folders"):
        Limits((tmp_path,)).check(uri)


def test_s3_is_read_below_allowed_prefixes_only() -> None:
    limits = Limits(prefixes=("s3://labels/",))
    limits.check("s3://labels/spl/")
    with pytest.raises(PermissionDenied, match="not below a prefix"):
        limits.check("s3://other/spl/")


def test_one_bad_file_among_many_is_a_drop_and_many_are_an_error(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text(TEXT)
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    corpus = collect(tmp_path)
    assert [(drop.reason, drop.source) for drop in corpus.drops] == [("unreadable", "bad.txt")]
    for number in range(5):
        (tmp_path / f"bad{number}.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InvalidInput, match=r"6 of 18 source files cannot be used: bad.txt is not UTF-8: byte 3"):
        collect(tmp_path)


def test_text_and_markdown_are_cut_at_headings_and_headings_find_their_codes(tmp_path: Path) -> None:
    (tmp_path / "examplol.txt").write_text(TEXT)
    assert [(s.code, s.drug) for s in collect(tmp_path).sections] == [("34068-7", "examplol")]
    (tmp_path / "guide.md").write_text(
        "# Hypertension\n\nIntro line\nwrapped.\n\n## Contraindications\n\n- One.\n- Two.\n"
    )
    found = collect(tmp_path, "MARKDOWN").sections
    assert [(s.drug, s.code, s.text) for s in found] == [
        ("hypertension", "", "Intro line wrapped."),
        ("hypertension", "34070-3", "- One.\n- Two."),
    ]


def test_a_folder_without_files_of_the_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no file that ends in .xml"):
        collect(tmp_path, "SPL")
