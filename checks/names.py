"""Names that say nothing: how many bindings are called `found`, `said` and the like. `python -m checks.names [FOLDER]`

A reader who meets `found = ...` has to look up what was found. Fewer than one binding in a hundred may be called so;
with folders, or with `--list`, every such binding is printed, one a line.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

VAGUE = frozenset({"found", "said", "told", "asked", "given", "wanted", "seen"})
MOST = 0.01
SOURCES = "services/posology"


def bindings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a module binds by assignment, loop, `with`, `except` or parameter, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno


def main(arguments: list[str]) -> int:
    """Print the share, and each vague binding where it was asked for; 1 above the limit."""
    folders = [argument for argument in arguments if not argument.startswith("-")]
    total, vague = 0, list[str]()
    for folder in folders or [SOURCES]:
        for path in sorted(Path(folder).rglob("*.py")):
            if "v1alpha1" in path.parts:
                continue
            for name, line in bindings(ast.parse(path.read_text())):
                total += 1
                if name in VAGUE:
                    vague.append(f"{path}:{line}: {name}")
    if folders or "--list" in arguments:
        print("\n".join(vague))
    share = len(vague) / max(total, 1)
    print(f"{len(vague)} of {total} bindings ({share:.1%}) have a name that says nothing; at most {MOST:.0%}")
    return int(share > MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
