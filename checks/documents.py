"""Blocks of commands in what people read, and who shows that they work. `python -m checks.documents`

A fence's words are its language and its mark, such as "sh ci"; GitHub colours by the first and leaves out the second.

| mark | who runs it |
|---|---|
| ci | a test, exactly as it stands, with an embedded installation in a home of its own |
| cluster, gpu, qualify | demonstrations (of a cluster, `make demo`) do the like; the block itself is run by people |
| make | targets of the Makefile, which continuous integration runs; that they exist is tested |
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARKS = frozenset({"ci", "qualify", "cluster", "gpu", "make"})
COMMANDS = frozenset({"", "sh", "bash", "shell", "console", "zsh", "shell-session"})
"""Languages of commands; a fence without a language could be anything, so it says what it is."""
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Block:
    """One fenced block: `place` is file:line of its first line, `mark` is empty where none stands."""

    place: str
    language: str
    mark: str
    text: str


def documents(root: Path = REPOSITORY) -> list[Path]:
    """Everything written in Markdown, README first; not what was installed or built."""
    every = list[Path]()
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("build", "node_modules")]
        every += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(every, key=lambda path: (path.parent != root, path))


def blocks(text: str, origin: str) -> Iterator[Block]:
    """Every fenced block, in order; a fence ends with as many backticks or tildes as it began with, or more."""
    fence, words, start, body = "", list[str](), 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not fence:
            run = stripped[: len(stripped) - len(stripped.lstrip("`~"))]
            if len(run) >= 3 and len(set(run)) == 1:
                fence, words, start, body = run, stripped[len(run) :].split(), number, []
        elif stripped.startswith(fence) and not stripped.strip(fence[0]):
            yield Block(f"{origin}:{start}", _word(words, 0), _word(words, 1), "\n".join(body) + "\n")
            fence = ""
        else:
            body.append(line)


def _word(words: list[str], index: int) -> str:
    return words[index] if index < len(words) else ""


def all_blocks(root: Path = REPOSITORY) -> list[Block]:
    """Of every document."""
    return [block for path in documents(root) for block in blocks(path.read_text("utf-8"), str(path.relative_to(root)))]


def complaints(every: list[Block]) -> list[str]:
    """A line for each block of commands that does not say who runs it, and for each mark that nobody knows."""
    known = ", ".join(sorted(MARKS))
    return [
        f"{block.place}: a block of commands says who runs it, such as ```sh ci; marks are {known}"
        if not block.mark
        else f"{block.place}: {block.mark!r} is no mark; marks are {known}"
        for block in every
        if block.language in COMMANDS and block.mark not in MARKS
    ]


if __name__ == "__main__":
    print("\n".join(wrong := complaints(all_blocks())), end="\n" if wrong else "")
    sys.exit(bool(wrong))
