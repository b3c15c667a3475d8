"""Commands that are named to people name the installation that they asked about: `posology --data X up`."""

import itertools
import re
import shlex
from collections.abc import Iterable, Sequence

SHARED = {"--data": "--data", "--namespace": "--namespace", "-n": "--namespace"}
"""Options that say whom a command talks to, by their spellings."""


def given(arguments: Sequence[str]) -> list[str]:
    """Those options among the arguments, as one would type them again."""
    options = dict[str, str]()
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name in SHARED and (equals or following):
            options[SHARED[name]] = value if equals else following
    return list(itertools.chain.from_iterable(options.items()))


def command(rest: str, options: Sequence[str]) -> str:
    """`posology`, the options and the rest, as a shell takes it."""
    return " ".join(["posology", *map(shlex.quote, options), rest])


def repeated(text: str, options: Sequence[str], verbs: Iterable[str]) -> str:
    """A sentence of a service or of a library that names commands, with the options in each."""
    if not options:
        return text
    names = "|".join(map(re.escape, sorted(verbs, key=len, reverse=True)))
    return re.sub(rf"\bposology (?=(?:{names})\b)", lambda _: command("", options), text)
