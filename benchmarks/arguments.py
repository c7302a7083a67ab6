"""What the benchmarks' command lines have in common."""

import argparse
from pathlib import Path


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose `--help` is the module's own text."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def of_sets(description: str | None, known: tuple[str, ...]) -> argparse.ArgumentParser:
    """Return a parser of a folder of published sets and of the names of those to run."""
    found = parser(description)
    found.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="a folder of published sets; without it, what every machine has",
    )
    found.add_argument(
        "--sets",
        nargs="+",
        choices=known,
        metavar="SET",
        help=f"run these alone: {', '.join(known)}",
    )
    return found


def chosen(
    wanted: argparse.ArgumentParser,
    asked: argparse.Namespace,
    everywhere: tuple[str, ...],
    inside: tuple[str, ...],
) -> list[str]:
    """Return the names to run: sets that every machine has, and those inside the folder.

    The command ends where one is asked for and the folder is missing.
    """
    there = (*everywhere, *(inside if asked.folder else ()))
    if lacking := [name for name in asked.sets or () if name not in there]:
        wanted.error(
            f"{', '.join(lacking)}: expected the folder that holds them as the first argument"
        )
    return [name for name in there if not asked.sets or name in asked.sets]
