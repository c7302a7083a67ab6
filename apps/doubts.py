"""What the command line does with findings of the audit: say them, refuse, write a clean copy."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps import rendering
from apps.screen import Screen
from apps.typed_command import check_command
from pipelines.config.options import Options
from pipelines.errors import DataError, count_of

if TYPE_CHECKING:
    from pipelines.pipeline import AnyPipeline
    from pipelines.splits import Part, Splits


def say_data(
    screen: Screen, splits: "Splits", context: click.Context, options_type: type[Options]
) -> None:
    """Say what data is learned from, what makes scores doubtful, and how to see more of that."""
    screen.say(rendering.data_lines(splits))
    if splits.findings:
        see = check_command(context, options_type)
        screen.say(f"audit      which ones, and what helps: {see}")


def require_none(splits: "Splits", context: click.Context, options_type: type[Options]) -> None:
    """With `--strict`, refuse data in which the audit has found something."""
    if context.params["strict"] and splits.findings:
        raise DataError(
            f"--strict refuses {splits.dataset}: {'; '.join(splits.doubts)}. The examples, and "
            f"what helps: {check_command(context, options_type)}"
        )


def write_clean(pipeline: "AnyPipeline", splits: "Splits", path: Path, screen: Screen) -> None:
    """Write a copy of the data without the examples that findings would take out."""
    left_out: dict[Part, set[int]] = {}
    for finding in splits.findings:
        if finding.rows:
            left_out.setdefault(finding.parts[0], set()).update(finding.rows)
    pipeline.write_clean(splits, left_out, path)
    counts = [f"{count_of(len(rows), 'example')} of {part}" for part, rows in left_out.items()]
    screen.say(f"fix        {path} written, without {' and '.join(counts) or 'any change'}")
