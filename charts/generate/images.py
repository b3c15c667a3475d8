"""Every image that an installation pulls: `python -m charts.generate.images [VALUES.yaml ...]`, or `make mirror`.

Images stand in pods, and in the settings by which services start workers and engines (JSON in a variable). Both are
read from what the chart renders with these values, so the list can't lag behind its templates.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charts.generate import static
from helm_python.errors import HelmRenderError

_FIELDS = ("image", "agentImage")


def images(*values: Path) -> list[str]:
    """Names with tag or digest, sorted, each once."""
    objects = static.objects(static.rendered("posology", *values, tests=True))
    return sorted({name for one in objects for name in _named(one) if name})


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _FIELDS and isinstance(inner, str):
                yield inner
            else:
                yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)
    elif isinstance(value, str) and value.startswith("{"):
        yield from _named(_settings(value))


def _settings(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None  # a brace begins other texts too


if __name__ == "__main__":
    try:
        sys.stdout.write("\n".join(images(*map(Path, sys.argv[1:]))) + "\n")
    except (HelmRenderError, OSError) as error:
        sys.exit(f"these values render no chart: {error}")
