"""Write docs/cli.md from the commands themselves: `make docs`. A test compares."""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from apps.cli import appline  # noqa: E402  # after the path

PAGE = ROOT / "docs" / "cli.md"
WIDTH = 110


def page() -> str:
    """Return the `--help` of every command, as Markdown."""
    lines = [
        "# The command line",
        "",
        "Made by `make docs` from the commands themselves; a test keeps it true.",
        "",
    ]
    for path, command in _commands(appline, "appline"):
        context = click.Context(
            command,
            info_name=path,
            max_content_width=WIDTH,
            terminal_width=WIDTH,
            help_option_names=appline.context_settings["help_option_names"],
        )
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        lines += [f"## `{path}`", "", "```", text, "```", ""]
    return "\n".join(lines)


def _commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                found += _commands(below, f"{path} {name}")
    return found


if __name__ == "__main__":
    PAGE.write_text(page())
