"""The charts rendered for those who apply manifests without Helm: k8s/."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

CHARTS = Path(__file__).resolve().parents[1]
_NAMESPACE = "posology"


def rendered(
    chart: str, *values: Path, name: str = "posology", namespace: str = _NAMESPACE, tests: bool = False
) -> str:
    """Every object of a chart, with values from files; later ones win. Those of `helm test` only if asked for."""
    return with_values(chart, {}, *values, name=name, namespace=namespace, tests=tests)


def with_values(
    chart: str,
    more: Mapping[str, Any],
    *values: Path,
    name: str = "posology",
    namespace: str = _NAMESPACE,
    tests: bool = False,
) -> str:
    """The same, with `more` values on top of those of the files."""
    merged: dict[str, Any] = {}
    for found in [*(yaml.safe_load(path.read_text()) or {} for path in values), more]:
        merged = overlaid(merged, found)
    with helm.Chart.load(str(CHARTS / chart)) as loaded:
        parts = loaded.render(merged, name=name, namespace=namespace)
    texts = [text for path, text in sorted(parts.items()) if not _is_left_out(path, tests=tests)]
    return "".join(f"---\n{document.strip()}\n" for text in texts for document in _documents(text))


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects of rendered manifests."""
    yield from (found for found in yaml.safe_load_all(text) if found)


def _is_left_out(path: str, *, tests: bool) -> bool:
    return path.endswith(("NOTES.txt", "_helpers.tpl")) or ("/tests/" in path and not tests)


def _documents(text: str) -> Iterator[str]:
    for document in f"\n{text}".split("\n---"):
        if yaml.safe_load(document) is not None:
            yield document


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values as Helm merges them: what stands above wins, key by key."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        found[key] = overlaid(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found
