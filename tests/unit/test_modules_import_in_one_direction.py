"""No circle of imports, lazy ones and those for types alone included: what a module imports can be read without it.

A package's import of what lies in it does not count: a registry names its entries, and they import its decorator.
"""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp

LAZY = {("posology.core.tracing", "posology.core.tracing_export")}
"""An exporter that is loaded where a collector is named, and takes the spans of the module that loads it."""


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """The modules of one circle, its first once more at the end; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_no_modules_import_each_other() -> None:
    graph = grimp.build_graph("posology", cache_dir=None)
    modules = {name for name in graph.modules if not name.startswith("posology.v1alpha1")}
    imports = {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}
    for name, lazy in LAZY:
        imports[name].discard(lazy)
    outside = {name: {one for one in made if not one.startswith(f"{name}.")} for name, made in imports.items()}
    assert circle(outside) == []
