"""`appline diff`: what differs between two runs, and which examples were mended and broken."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from apps import rendering, saved_runs
from apps.leaderboard_text import BETTER, p_text
from apps.screen import Screen
from pipelines.errors import UsageError, count_of
from pipelines.io.paths import require_new_file
from pipelines.io.whole_files import write_table

if TYPE_CHECKING:
    import pandas as pd

    from tuning.comparison.difference import Change, Difference, Evidence
    from tuning.comparison.examples import ChangedExamples
    from tuning.reports.paired import Paired
    from tuning.tracking.interface import Row

LONGEST_VALUE = 40  # characters of a value in a table
MOST_GROUPS = 10
UNCHANGED = "nothing that is recorded differs: the same settings, data, code and packages"


def diff_runs(
    first: str, second: str, uri: str, most: int, output: str, force: bool, screen: Screen
) -> None:
    """Print how the run `second` differs from `first`, with at most `most` examples of a kind."""
    if output:
        require_new_file("--csv", Path(output), force)
    found = difference(first, second, uri)
    if output:
        if found.examples is None:
            raise UsageError(f"--csv {output}: there are no examples to write: {found.unpaired}")
        write_table(found.examples.examples, Path(output))
        screen.say(f"written    {output}")
    parts = [_heading(found), _changes(found.changes), _scores(found)]
    if found.paired:
        parts.append(_sentence(found, found.paired))
    else:
        parts.append(f"not paired: {found.unpaired}")
    if found.examples:
        parts += _groups(found.examples)
        parts += _examples(found.examples, most)
    screen.result("\n\n".join(parts), found.as_json())


def difference(first: str, second: str, uri: str) -> "Difference":
    """Return how the run `second` differs from `first`; a sweep stands for its final run.

    Raises:
        UsageError: there is no such run, or both are the same.
    """
    from tuning.comparison.difference import Difference, changes, scores, why_unpaired
    from tuning.comparison.examples import changed_examples
    from tuning.comparison.headline import headline_of
    from tuning.reports.paired import compare_losses

    a, b = (saved_runs.winner_of(saved_runs.find(name, uri), uri) for name in (first, second))
    if a.id == b.id:
        raise UsageError(f"{first} and {second} are the same run, {a.id[:8]}. Name two runs")
    tables = [saved_runs.test_predictions(row, uri) for row in (a, b)]
    losses = [saved_runs.test_losses(row, uri) for row in (a, b)]
    unpaired = why_unpaired(a, b)
    paired, examples = None, None
    if not unpaired:
        of_a, of_b = losses
        if of_a is None or of_b is None:
            unpaired = "one of them has kept no losses: it is older than this command"
        elif len(of_a) != len(of_b):
            unpaired = f"they have {len(of_a):,} and {len(of_b):,} units of test"
        else:
            paired = compare_losses(of_b, of_a)
        if tables[0] is not None and tables[1] is not None:
            examples = changed_examples(tables[0], tables[1])
    evidence = [_evidence(row, table, uri) for row, table in zip((a, b), tables, strict=True)]
    return Difference(
        a=a,
        b=b,
        metric=headline_of(b),
        changes=changes(a, b, *evidence),
        scores=scores(a, b),
        paired=paired,
        unpaired=unpaired,
        examples=examples,
    )


def _evidence(row: "Row", table: "pd.DataFrame | None", uri: str) -> "Evidence":
    from tuning.comparison.difference import Evidence
    from tuning.comparison.examples import LABEL, RIGHT

    classes: list[str] = []
    if table is not None and RIGHT in table:
        classes = sorted(map(str, table[LABEL].unique()))
    return Evidence(
        sizes=saved_runs.part_sizes(row, uri),
        packages=saved_runs.packages(row, uri),
        classes=classes,
    )


def _heading(found: "Difference") -> str:
    lines = []
    for letter, row in (("A", found.a), ("B", found.b)):
        lines.append(f"{letter}  {row.id[:8]}  {row.experiment}  {row.name}")
    return "\n".join(lines)


def _changes(changes: "Iterable[Change]") -> str:
    rows = []
    for change in changes:
        values = [rendering.cut(value, LONGEST_VALUE) or "-" for value in (change.a, change.b)]
        rows.append([change.kind, change.key, *values])
    if not rows:
        return UNCHANGED
    return rendering.listing(["what", "name", "A", "B"], rows, shrinking=("A", "B"))


def _scores(found: "Difference") -> str:
    rows = []
    for key, (a, b) in found.scores.items():
        numbers = [rendering.format_number(value) for value in (a, b)]
        rows.append([key, *numbers, signed(b - a)])
    columns = ["score", "A", "B", "B - A"]
    return rendering.listing(columns, rows, numbers=columns[1:])


def signed(value: float) -> str:
    """Return a number with its sign."""
    sign = "-" if value < 0 else "+"
    return f"{sign}{rendering.format_number(abs(value))}"


def _sentence(found: "Difference", paired: "Paired") -> str:
    """Say how sure the difference of the headline metric is, in a sentence."""
    metric = found.metric
    assert metric  # a run that has losses has a score
    said = {"better": "B is better", "worse": "B is worse", "tie": "A tie"}
    return (
        f"{said[paired.outcome(paired.p_value)]} in {metric.name} "
        f"({BETTER[metric.direction]}): by {paired.mean:+.4f}, 95 % interval "
        f"{paired.low:+.4f} to {paired.high:+.4f};\n"
        f"{paired.test}, p {p_text(paired.p_value)}: of {count_of(paired.units, 'unit')} of test "
        f"B loses less in {paired.won:,} and more in {paired.lost:,}"
    )


def _groups(changed: "ChangedExamples") -> list[str]:
    if not len(changed.groups):
        return []
    loss = "wrong" if changed.is_right_or_wrong else "mean error"
    rows = []
    for group in changed.groups.head(MOST_GROUPS).to_dict(orient="records"):
        numbers = [f"{group[name]:.3f}" for name in ("loss_a", "loss_b")]
        difference = f"{group['difference']:+.3f}"
        rows.append([group["group"], group["examples"], *numbers, difference])
    columns = [changed.grouped_by, "examples", f"{loss} A", f"{loss} B", "B - A"]
    title = f"by {changed.grouped_by}, the largest differences first"
    if len(changed.groups) > MOST_GROUPS:
        title = f"{title} ({MOST_GROUPS} of {len(changed.groups):,})"
    return [rendering.listing(columns, rows, title=title, numbers=columns[1:])]


def _examples(changed: "ChangedExamples", most: int) -> list[str]:
    parts = []
    loss_columns = ["loss_a", "loss_b", "change"]
    for change in ("mended", "broken"):
        of_kind = changed.examples[changed.examples["change"] == change]
        title = f"{count_of(len(of_kind), 'example')} {change} by B"
        if not len(of_kind) or not most:
            parts.append(title)
            continue
        if len(of_kind) > most:
            title = f"{title}, {most} of them:"
        shown = of_kind.head(most).drop(columns=loss_columns)
        columns = [_column_title(name) for name in shown.columns]
        rows = shown.astype(str).to_numpy().tolist()
        texts = [name for name in columns if name not in ("A", "B")]
        parts.append(rendering.listing(columns, rows, title=title, shrinking=texts))
    return parts


def _column_title(name: str) -> str:
    return {"answer_a": "A", "answer_b": "B"}.get(name, name)
