"""How the sources read, in figures: reported, never a limit. `python -m checks.figures [FOLDER]`"""

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main(folder: Path) -> None:
    """Print the table for every module below `folder` but the generated ones."""
    texts = {path: path.read_text() for path in folder.rglob("*.py") if "v1alpha1" not in path.parts}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, Function)]
    lines = [text.count("\n") for text in texts.values()]
    bodies = [(node.end_lineno or node.lineno) - node.lineno for node in functions]
    private = [node for node in functions if node.name.startswith("_") and not node.name.startswith("__")]
    print(f"files {len(lines)}, lines {sum(lines)}")
    print(f"file lines, median / p90: {_spread(lines)}")
    print(f"function lines, median / p90 / max: {_spread(bodies)} / {max(bodies)}")
    print(f"private share of functions: {len(private) / len(functions):.0%}")
    print(f"private functions with one caller: {_called_once(trees, private):.0%}")
    print(f"lines that are comments: {sum(map(_comments, texts.values())) / sum(lines):.1%}")
    documented = [text for node in functions if (text := ast.get_docstring(node))]
    print(f"docstrings of one line: {sum(text.count(chr(10)) == 0 for text in documented) / len(documented):.0%}")


def _spread(values: Sequence[int]) -> str:
    return f"{statistics.median(values):.0f} / {statistics.quantiles(values, n=10)[-1]:.0f}"


def _called_once(trees: dict[Path, ast.Module], private: Sequence[Function]) -> float:
    """Share of private functions whose name is read exactly once in their own module."""
    once = 0
    for tree in trees.values():
        uses = Counter(
            node.id if isinstance(node, ast.Name) else node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Name | ast.Attribute)
        )
        once += sum(uses[node.name] == 1 for node in ast.walk(tree) if isinstance(node, Function) and node in private)
    return once / max(len(private), 1)


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(
        token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type", "# ruff"))
        for token in tokens
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "services/posology"))
