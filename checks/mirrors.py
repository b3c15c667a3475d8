"""Unit tests that are found by the name of what they test. `python -m checks.mirrors`

A file about one module is called after it: `test_<module>.py`, with its package before the module where two have one
name (`test_kubernetes_policy.py`), or after a template of a chart. A file about a behaviour of several has a sentence
for a name. What is neither, a short name that mirrors nothing, is listed: its module was renamed, or it never had one.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = ("services/posology", "charts", "checks", "docs", "examples", "protos")
SENTENCE = 3
"""Words from which on a name says what holds, rather than what is tested."""


def modules(root: Path = REPOSITORY) -> frozenset[str]:
    """Names that a test may be called after: of every module and package, alone and behind those that it lies in."""
    names = set[str]()
    for source in SOURCES:
        for path in (root / source).rglob("*.py"):
            parts = path.relative_to(root / source).with_suffix("").parts
            if "v1alpha1" in parts:
                continue
            parts = parts[:-1] if parts[-1] in ("__init__", "__main__") else parts
            names |= {"_".join(parts[start:]) for start in range(len(parts))}
    templates = (root / "charts").rglob("templates/**/*")
    return frozenset(names) | {path.stem.replace("-", "_") for path in templates}


def strays(tests: Path, known: frozenset[str]) -> Iterator[Path]:
    """Test files whose name is neither a module's nor a sentence."""
    for path in sorted(tests.rglob("test_*.py")):
        name = path.stem.removeprefix("test_")
        if name not in known and name.count("_") + 1 < SENTENCE:
            yield path


def main() -> int:
    """Print them; 1 if there are any."""
    listed = list(strays(REPOSITORY / "tests" / "unit", modules()))
    for path in listed:
        print(f"{path.relative_to(REPOSITORY)} mirrors no module: test_<module>.py, or a sentence of what holds")
    return int(bool(listed))


if __name__ == "__main__":
    sys.exit(main())
