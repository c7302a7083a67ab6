"""What the benchmarks' command lines have in common."""

import argparse
from pathlib import Path


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose `--help` is the module's own text."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def of_sets(description: str | None, known: tuple[str, ...]) -> argparse.ArgumentParser:
    """Return a parser of a folder of published sets and of the names of those to run."""
    found = parser(description)
    found.add_argument("folder", nargs="?", type=Path, help="a folder of published sets; without it, what every machine has")
    found.add_argument("--sets", nargs="+", choices=known, metavar="SET", help=f"run these alone: {', '.join(known)}")
    return found
