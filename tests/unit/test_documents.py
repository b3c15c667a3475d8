"""Every block of commands in README and docs says who runs it."""

import re

import pytest
from checks.documents import REPOSITORY, all_blocks, blocks, complaints


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
