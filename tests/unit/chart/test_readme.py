"""The chart's README holds every value, with its default and what the comment above it says."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.generate import readme
from support.servers import REPOSITORY

CHART = REPOSITORY / "charts" / "posology"


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield from leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [f"{prefix}{key}"]


def test_every_value_is_there() -> None:
    page = readme.page(CHART)
    values = list(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    missing = [name for name in values if not any(f"| `{part}` |" in page for part in _ancestors(name))]
    assert len(values) > 150
    assert missing == []


def _ancestors(name: str) -> list[str]:
    """A mapping that is written on one line is one value."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "Chart.yaml").write_text("name: c\ndescription: A chart.\nversion: 1\nkubeVersion: '>=1.31.0-0'\n")
    (tmp_path / "values.yaml").write_text(
        "# About the file.\n\n# One for <release> and\n# `<all>`.\none: a|b\n# A group.\ngroup:\n"
        '  deep:\n    # Of two lines: x | y.\n    list: [1, 2]\n  empty: {}\n  text: "#1"\n'
    )
    return tmp_path


def test_comments_become_rows_that_markdown_leaves_alone(chart: Path) -> None:
    page = readme.page(chart)
    assert "About the file." in page
    assert "| `one` | `a\\|b` | One for &lt;release> and `<all>`. |" in page
    assert "## group\n\nA group.\n" in page
    assert "| `group.deep.list` | `[1, 2]` | Of two lines: x \\| y. |" in page
    assert "| `group.empty` | `{}` |  |" in page
    assert "| `group.text` | `#1` |  |" in page
