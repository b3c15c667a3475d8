"""Generate docs/reference/ (`make docs`; `python -m docs.generate --check` fails on drift)."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from docs.generate import rpcs, settings

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def files() -> Iterator[tuple[Path, str]]:
    """Every generated page with its text."""
    yield REFERENCE / "rpcs.md", rpcs.page()
    yield REFERENCE / "settings.md", settings.page(ROOT / "services" / "posology")


def main() -> None:
    """Write, or check that what is committed is what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a committed page differs")
    check = parser.parse_args().check
    for path, text in files():
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f"{path.relative_to(ROOT)} is not what it is made from: run `make docs` and commit the result")


if __name__ == "__main__":
    main()
