"""Documentation is kept true: help texts, commands and files that the pages name."""

import itertools
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

from apps.cli import appline

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "generate.py"))["page"]()
    assert (ROOT / "docs" / "cli.md").read_text() == made, "make docs"


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        if page.name != "cli.md":
            for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(), re.S):
                text = block.replace("\\\n", " ")
                found += [
                    (page.name, line.split("#")[0].strip())
                    for line in text.splitlines()
                    if line.startswith("appline ")
                ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_in_the_pages_parses(page: str, line: str) -> None:
    """Flags and verbs that a page names exist; the command itself is not run."""
    words = list(itertools.takewhile(lambda word: word not in ("|", ">"), shlex.split(line)))[1:]
    context = click.Context(appline, info_name="appline")
    command: click.Command = appline
    while isinstance(command, click.Group):
        name = words.pop(0)
        below = command.get_command(context, name)
        assert below is not None, f"{page}: no command {name!r} in {line!r}"
        command = below
    command.make_parser(context).parse_args(args=list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_readme_names_every_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    readme = (ROOT / "README.md").read_text()
    names = [
        re.split(r"[><=\[]", requirement)[0]
        for requirement in [
            *project["dependencies"],
            *itertools.chain(*project["optional-dependencies"].values()),
        ]
    ]
    assert [name for name in names if f"`{name}`" not in readme] == []


def test_the_lock_file_names_no_index_and_pins_every_dependency() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+\-]+", line) for line in lines)
