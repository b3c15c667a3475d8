"""The therapeutic window of a sweep as pages show it: the report's picture, without the style that they forbid."""

import asyncio
import re
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from posology.console.pages import short
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun, Window

_STYLE = re.compile(r' style="([^"]*)"')
_SHEET = re.compile(r"<style[^>]*>.*?</style>", re.DOTALL)
_FONT = re.compile(r"(?:(\d+) )?([\d.]+px) (.*)")


async def of(run: FineTuneRun) -> dict[str, Any]:
    """What the template wants of a sweep; `window` is None without one."""
    if not run.HasField("window"):
        return {"window": None}
    return await asyncio.to_thread(_drawn, run.name, run.window.SerializeToString(deterministic=True))


@lru_cache(maxsize=32)
def _drawn(name: str, message: bytes) -> dict[str, Any]:
    from posology.cli.report import window  # brings matplotlib, which few pages need

    shown = window.of(Window.FromString(message))
    rows = list(zip(shown.doses, window.rows(shown), strict=True))
    picture = Markup(
        as_attributes(str(window.picture(shown)))
    )  # drawn here, from numbers and words that matplotlib escapes
    return {
        "window": shown, "sweep": short(name), "columns": window.COLUMNS, "doses": rows, "selected": window.SELECTED,
        "picture": picture,
    }  # fmt: skip


def as_attributes(svg: str) -> str:
    """The same picture with presentation attributes in place of style: a page that runs no inline style shows it."""
    svg = _SHEET.sub("", svg).replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)
    return _STYLE.sub(lambda match: "".join(_attributes(match[1])), svg)


def _attributes(style: str) -> list[str]:
    attributes = []
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        font = _FONT.fullmatch(value) if name == "font" else None
        if font:
            family = font[3].replace("'", "")
            attributes.append(f' font-size="{font[2]}" font-family="{family}"')
        else:
            attributes.append(f' {name}="{value}"')
    return attributes
