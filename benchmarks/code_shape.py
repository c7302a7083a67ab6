"""How dense the code is, and whether its imports form circles.

    python -m benchmarks.code_shape [CHECKOUT]

Counts are for each 1,000 lines that are not blank, of the rooms `pipelines`, `tuning` and `apps`.
Imports inside functions and those for types alone count as imports.
"""

import argparse
import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("pipelines", "tuning", "apps")
LONG_LINE = 100
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parent.parent)
    checkout: Path = parser.parse_args().checkout
    paths = sorted(path for room in ROOMS for path in (checkout / room).rglob("*.py"))
    for name, value in measure(paths).items():
        print(f"{name:<44}{value:>10,.1f}")
    circles = find_circles(import_graph(paths, checkout))
    print(f"{'circles of imports':<44}{len(circles):>10}")
    for circle in circles:
        print("  " + ", ".join(sorted(circle)))


def measure(paths: list[Path]) -> dict[str, float]:
    """Return the counts for these files, for each 1,000 lines unless the name says otherwise."""
    lines: list[str] = []
    ternaries = comprehensions = nested = deferred = comments = 0
    function_lines: list[int] = []
    for path in paths:
        text = path.read_text()
        lines += [line for line in text.splitlines() if line.strip()]
        comments += _count_comments(path)
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.IfExp):
                ternaries += 1
            elif isinstance(node, COMPREHENSIONS):
                comprehensions += 1
                nested += _is_nested(node)
            elif isinstance(node, ast.FunctionDef):
                assert node.end_lineno is not None
                function_lines.append(node.end_lineno - node.lineno + 1)
                deferred += _deferred_imports(node)
    thousands = len(lines) / 1000
    long_lines = sum(len(line) > LONG_LINE for line in lines)
    return {
        "files": len(paths),
        "lines": len(lines),
        "median lines of a file": _median([len(path.read_text().splitlines()) for path in paths]),
        "longest file": max(len(path.read_text().splitlines()) for path in paths),
        "median lines of a function": _median(function_lines),
        "longest function": max(function_lines),
        "conditional expressions per 1,000 lines": ternaries / thousands,
        "comprehensions per 1,000 lines": comprehensions / thousands,
        "nested comprehensions per 1,000 lines": nested / thousands,
        f"lines above {LONG_LINE} characters, per cent": 100 * long_lines / len(lines),
        "lines with a comment, per cent": 100 * comments / len(lines),
        "imports inside functions": deferred,
    }


def _count_comments(path: Path) -> int:
    with tokenize.open(path) as file:
        return sum(
            token.type == tokenize.COMMENT for token in tokenize.generate_tokens(file.readline)
        )


def _is_nested(comprehension: ast.AST) -> bool:
    inner = (node for node in ast.walk(comprehension) if node is not comprehension)
    return any(isinstance(node, COMPREHENSIONS) for node in inner)


def _deferred_imports(function: ast.FunctionDef) -> int:
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))


def _median(values: list[int]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def import_graph(paths: list[Path], checkout: Path) -> dict[str, set[str]]:
    """Return for each module which of the other modules it imports, wherever in it."""
    names = {_module_name(path, checkout): path for path in paths}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        graph[name] = {target for target in _imported(path, names) if target != name}
    return graph


def _module_name(path: Path, checkout: Path) -> str:
    parts = path.relative_to(checkout).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _imported(path: Path, names: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                # `from pipelines.text import data` imports the module, not the __init__.py alone.
                if inner in names:
                    yield inner
                elif node.module in names:
                    yield node.module


def find_circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components of more than one module (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[set[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            component: set[str] = set()
            while name not in component:
                component.add(stack.pop())
            if len(component) > 1:
                circles.append(component)

    for name in graph:
        if name not in index:
            visit(name)
    return circles


if __name__ == "__main__":
    main()
