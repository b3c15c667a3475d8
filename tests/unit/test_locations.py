"""What an allow-list of locations admits, and what only looks as if it did."""

from pathlib import Path

import pytest

from posology.core.errors import InvalidInput, PermissionDenied
from posology.core.locations import AllowedLocations, local_path

LABELS = AllowedLocations(prefixes=("s3://labels", "s3://shared/team-a/"))


@pytest.mark.parametrize(
    "uri", ["s3://labels", "s3://labels/", "s3://labels/a/b.xml", "s3://shared/team-a/x", "s3://shared/team-a"]
)
def test_what_lies_at_or_below_a_prefix_is_admitted(uri: str) -> None:
    LABELS.check(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://labels-other/x",
        "s3://labels.evil/x",
        "s3://label",
        "s3://shared/team-a-secret/x",
        "s3://shared/team-ab",
        "s3://shared/",
        "s3://shared/x/team-a/y",
    ],
)
def test_what_only_begins_with_the_same_letters_is_refused(uri: str) -> None:
    with pytest.raises(PermissionDenied, match="POSOLOGY_ALLOWED_SOURCE_URIS"):
        LABELS.check(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://labels/../other/x",
        "s3://labels/%2e%2e/other/x",
        "s3://labels/a/./b",
        "s3://labels/x::file:///etc/passwd",
        "s3://labels@other/x",
        "s3://key:secret@labels/x",
        "s3://labels:9000/x",
        "s3://labels/x?versionId=1",
        "s3://labels/x#y",
        "s3://labels\\..\\other/x",
        "s3://labels/x\nAuthorization: y",
        "s3://LABELS/x",
        "S3://labels/x",
        "simplecache::s3://labels/x",
        "s3:labels/x",
        "s3:///x",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(uri: str) -> None:
    with pytest.raises(InvalidInput):
        LABELS.check(uri)


@pytest.mark.parametrize("prefix", ["labels", "s3:", "s3:/labels", "https://labels", "", "*", "s3://*", "s3://lab*"])
def test_a_prefix_that_cannot_be_read_admits_nothing(prefix: str) -> None:
    with pytest.raises(PermissionDenied):
        AllowedLocations(prefixes=(prefix,)).check("s3://labels/x")


@pytest.mark.parametrize("name", ["labels-other", "label", "labels.d"])
def test_a_folder_admits_no_neighbour_with_the_same_beginning(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(PermissionDenied, match="POSOLOGY_ALLOWED_SOURCE_FOLDERS"):
        AllowedLocations((tmp_path / "labels",)).check((tmp_path / name).as_uri())


@pytest.mark.parametrize("form", ["{}/link/x", "{}/a/../../out/x", "{}/%2e%2e/out/x", "{}/link/../out/x"])
def test_links_and_dots_are_followed_before_a_path_is_judged(form: str, tmp_path: Path) -> None:
    for folder in ("in/a", "out"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(PermissionDenied):
        AllowedLocations((tmp_path / "in",)).check("file://" + form.format(tmp_path / "in"))


@pytest.mark.parametrize(
    "uri", ["file:x", "file:///x?y", "file:///x#y", "file:///x%00y", "file://host/x", "/x", "FILE2:/x"]
)
def test_a_file_uri_is_one_absolute_path_on_this_machine(uri: str) -> None:
    with pytest.raises(InvalidInput):
        local_path(uri)


def test_a_file_uri_may_spell_its_path_in_the_usual_ways() -> None:
    assert {local_path(uri) for uri in ("file:/a%20b", "file:///a%20b", "file://localhost/a b", "FILE:/a b")} == {
        Path("/a b")
    }
