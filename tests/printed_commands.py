"""The commands that messages print, found in the sources, and read as the command line would."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from apps.cli import appline

ROOT = Path(__file__).parent.parent
# What stands for what a message fills in, by a word of the expression that it fills in.
FILLED_IN = {
    "domain": "vision",
    "store_flag": "",
    "run": "1a2b3c4d",
    "sweep": "1a2b3c4d",
    "port": "5001",
    "candidate": "5001",
    "trials": "30",
}
PATH = "photos"  # stands for everything else
# A command ends with its line, at a bracket, or where a sentence goes on.
END = re.compile(r"[\n)`(]|\.\s|\.$|, | {2,}|;|:\s|: | \.\.\.")


def printed_commands() -> list[tuple[str, str]]:
    """Return `(file, command)` for each command in a text of the sources, filled in."""
    found = []
    for folder in ("apps", "pipelines", "tuning"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            for text in _texts(ast.parse(path.read_text())):
                for start in re.finditer(r"\bappline (?=[a-z])", text):
                    command = END.split(text[start.start() :], maxsplit=1)[0].strip()
                    if _is_command(command):
                        found.append((where, command))
    return found


def _is_command(text: str) -> bool:
    """Whether a text is a command, and not a sentence about appline."""
    words = text.split()
    names = [*appline.list_commands(click.Context(appline)), "train", "tune", "predict"]
    return len(words) > 1 and words[1] in names


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a file but for docstrings, with what is filled in."""
    parts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
        elif isinstance(node, ast.Expr):
            parts.add(id(node.value))
    for node in ast.walk(tree):
        if id(node) in parts:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(map(_filled_in, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _filled_in(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    expression = ast.unparse(node.value)
    for word, value in FILLED_IN.items():
        if word in expression:
            return value
    return PATH


def parse_command(line: str) -> None:
    """Read a command as the command line does; nothing is run.

    Raises:
        click.UsageError: a command, a flag or a value does not exist.
    """
    words = shlex.split(line)[1:]
    # With the settings of the real one: click keeps what it makes of them in the command.
    context = click.Context(appline, info_name="appline", **appline.context_settings)
    command: click.Command = appline
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    command.make_context(command.name, list(words), parent=context)
