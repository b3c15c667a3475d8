"""Every block of commands says who runs it; every page is found from the README, and links lead somewhere."""

import re
from pathlib import Path

import pytest
from checks.documents import REPOSITORY, all_blocks, blocks, complaints, documents


def test_every_block_of_commands_says_who_runs_it() -> None:
    assert complaints(all_blocks()) == []


def test_some_blocks_are_run_by_continuous_integration() -> None:
    assert "README.md" in {block.place.split(":")[0] for block in all_blocks() if block.mark == "ci"}


@pytest.mark.parametrize(
    "text",
    [
        "```\nposology up\n```\n",
        "```sh\nposology up\n```\n",
        "```console someday\n$ posology up\n```\n",
        "~~~bash\nposology up\n~~~\n",
        "- in a list\n\n  ```sh\n  posology up\n  ```\n",
        "````sh\n```\nposology up\n```\n````\n",
    ],
)
def test_a_block_that_does_not_say_so_is_named_with_its_line(text: str) -> None:
    (complaint,) = complaints(list(blocks(text, "docs/new.md")))
    assert re.match(r"docs/new\.md:[13]: .*marks are ci, cluster, gpu, make, qualify", complaint)


@pytest.mark.parametrize("text", ["```yaml\na: 1\n```\n", "```text\na -> b\n```\n", "```sh ci\nposology up\n```\n", ""])
def test_what_is_no_command_or_says_so_is_left_alone(text: str) -> None:
    assert not complaints(list(blocks(text, "docs/new.md")))


@pytest.mark.parametrize("block", [b for b in all_blocks() if b.mark == "make"], ids=lambda block: str(block.place))
def test_what_people_are_told_to_make_is_in_the_makefile(block: object) -> None:
    text = getattr(block, "text", "")
    targets = re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    paths = re.findall(r"pytest (\S+)", text)
    makefile = (REPOSITORY / "Makefile").read_text()
    assert targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


def test_every_page_is_found_from_the_readme() -> None:
    reached, ahead = set[Path](), [REPOSITORY / "README.md"]
    while ahead:
        page = ahead.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        ahead += [page.parent / link for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))]
    assert [str(page.relative_to(REPOSITORY)) for page in documents() if page.resolve() not in reached] == []


def test_links_between_pages_lead_somewhere() -> None:
    links = [
        (page, link)
        for page in documents()
        for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    ]
    assert [
        f"{page.relative_to(REPOSITORY)}: {link}" for page, link in links if not (page.parent / link).exists()
    ] == []


def test_the_record_of_qualification_names_every_part() -> None:
    parts = [
        str(path.relative_to(REPOSITORY))
        for path in sorted((REPOSITORY / "tests").rglob("test_*.py"))
        if re.search(r"^(?:@|pytestmark\b.*)pytest\.mark\.qualify\b", path.read_text("utf-8"), re.MULTILINE)
    ]
    record = (REPOSITORY / "docs" / "qualification.md").read_text("utf-8")
    assert parts
    assert [part for part in parts if f"`{part}`" not in record] == []
