"""What a person reads: results, tables and lines of progress as text."""

import shlex
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.config.options import Options
from pipelines.config.search_space import Dimension, hyperparameters
from pipelines.errors import count_of
from tuning.tracking.secrets import has_secret

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.splits import Finding, Splits
    from tuning.results.folds import FoldsResult
    from tuning.results.sweep import SweepResult, Trial
    from tuning.results.training import TrainResult
    from tuning.search.estimate import Estimate, Measured
    from tuning.training.dry_run import DryRun

# The hyperparameters that everybody looks at.
WATCHED = ("conv.kernel_size", "conv.stride", "conv.filters")
# And these, when they were searched.
ALWAYS_FOUND = ("architecture", "train.learning_rate")
MOST_SHOWN = 6  # hyperparameters of a trial in one line
MOST_METRICS = 4  # in a table of scores
MOST_PARTS = 12  # rows of a table of scores by series or step
PIPE_WIDTH = 110  # columns, where there is no terminal
NARROWEST = 60  # columns of a table, on a narrower terminal too
TABLE_GAP = 3  # blanks between the columns of a table
LONG_HEADER = 10  # characters, above which a header may stand in several lines
GAP = 2  # blanks between the columns of a listing
SHORTEST_CUT = 8  # characters that are left of a cell


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> str:
    """Return rows as aligned text.

    On a narrow terminal columns come closer, long headers stand in several lines, and so do long
    names in the first column; numbers are never broken.
    """
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table

    width = PIPE_WIDTH
    if sys.stdout.isatty():
        width = max(NARROWEST, shutil.get_terminal_size().columns)
    widths = [_longest(column, [row[n] for row in rows]) for n, column in enumerate(columns)]
    is_narrow = sum(widths) + TABLE_GAP * len(columns) > width
    grid = Table(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        pad_edge=False,
        collapse_padding=is_narrow,
        title_style="bold",
    )
    for number, column in enumerate(columns):
        header = column.replace("_", "_\n") if is_narrow and len(column) > LONG_HEADER else column
        is_numbers = all(_is_number(row[number]) for row in rows)
        grid.add_column(
            header,
            justify="right" if is_numbers and number and column else "left",
            overflow="fold",
            no_wrap=is_narrow and is_numbers,
        )
    for row in rows:
        grid.add_row(*map(str, row))
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(grid)
    lines = stream.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def listing(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    numbers: Collection[str] = (),
    wide: Collection[str] = (),
    shrinking: Collection[str] = (),
) -> str:
    """Return rows as aligned text that fits the terminal, one line a row; a pipe is not cut.

    The columns of `numbers` are aligned to the right, the others to the left. On a narrow terminal
    the columns of `wide` are left out; if that is not enough, those of `shrinking` are cut.
    """
    room = _room()
    shown = list(range(len(columns)))
    widths = [_longest(columns[index], [row[index] for row in rows]) for index in shown]
    if sum(widths) + GAP * (len(columns) - 1) > room:
        shown = [index for index in shown if columns[index] not in wide]
    flexible = [index for index in shown if columns[index] in shrinking]
    while flexible and sum(widths[index] for index in shown) + GAP * (len(shown) - 1) > room:
        longest = max(flexible, key=lambda index: widths[index])
        if widths[longest] <= SHORTEST_CUT:
            break
        widths[longest] -= 1
    lines = [title] if title else []
    for row in [columns, ["-" * width for width in widths], *rows]:
        cells = []
        for index in shown:
            text = cut(str(row[index]), widths[index])
            is_number = columns[index] in numbers
            cells.append(text.rjust(widths[index]) if is_number else text.ljust(widths[index]))
        lines.append((" " * GAP).join(cells).rstrip())
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    """Whether a cell holds a number, or nothing in the place of one."""
    return not str(value).strip("0123456789.,-+±e% ")


def _room() -> int:
    """Return how many columns a line may have; a pipe is not limited."""
    if not sys.stdout.isatty():
        return sys.maxsize
    return shutil.get_terminal_size().columns


def _longest(column: str, values: Iterable[object]) -> int:
    return max([len(column), *(len(str(value)) for value in values)])


def cut(text: str, width: int) -> str:
    """Return `text` in one line of at most `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def hyperparameter_table(options_type: type[Options]) -> str:
    """Return every hyperparameter with its default, what `tune` searches, and what it is."""
    rows = []
    for known in hyperparameters(options_type.spec_type).values():
        searched = ""
        if known.key in options_type.search:
            searched = f" [{options_type.search[known.key]}]"
        rows.append((f"{known.key}={known.default}", f"{known.help}{searched}"))
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{description}" for name, description in rows)


def sizes(splits: "Splits") -> str:
    """Return how many examples each part has."""
    return ", ".join(f"{part} {count:,}" for part, count in splits.sizes().items())


def data_lines(splits: "Splits") -> str:
    """Return what data a command works on, with its notes and what makes scores doubtful."""
    lines = [f"data       {splits.dataset}: {sizes(splits)}  (digest {splits.digest})"]
    lines += _note_lines(splits.notes)
    lines += [f"audit      {doubt}" for doubt in splits.doubts]
    return "\n".join(lines)


def audit_lines(findings: Sequence["Finding"]) -> list[str]:
    """Return what was found with a few examples and what helps, a paragraph for each finding."""
    if not findings:
        return ["audit no copies across parts, contradictions or other reasons to doubt scores"]
    lines = []
    for finding in findings:
        lines.append(f"audit {finding.sentence}")
        lines += [f"        {example}" for example in finding.shown]
        if finding.count > len(finding.shown) > 0:
            lines.append(f"        and {finding.count - len(finding.shown):,} more")
        lines.append(f"      {finding.advice}")
    return lines


def data_report(splits: "Splits", domain: str, next_command: str) -> str:
    """Return what the command `check` says about data that can be used."""
    rows = [(str(part), f"{count:,}") for part, count in splits.sizes().items()]
    rows += splits.describe().items()
    lines = [table([f"{domain} / {splits.dataset}", ""], rows)]
    lines += [f"note  {note}" for note in splits.notes]
    lines += audit_lines(splits.findings)
    lines.append(f"The data can be used, and the network be built. Next: {next_command}")
    return "\n".join(lines)


def searched(dimensions: Mapping[str, Dimension]) -> str:
    """Return what a sweep searches, as one line."""
    listed = "  ".join(f"{key}={dimension}" for key, dimension in dimensions.items())
    return f"searching  {len(dimensions)} hyperparameters: {listed}"


def notes(notes: Iterable[str]) -> str:
    """Return sentences on what was done to an input, each on its line and once."""
    return "\n".join(_note_lines(dict.fromkeys(notes)))


def _note_lines(notes: Iterable[str]) -> list[str]:
    return [f"note       {note}" for note in notes]


def format_number(value: float | None) -> str:
    """Return a score for a table; a dash where there is none."""
    if value is None:
        return "-"
    if abs(value) < 1000:
        return f"{value:.4f}"
    return f"{value:,.0f}"


def short(value: object) -> str:
    """Return a hyperparameter's value in a few characters."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def watched(values: Mapping[str, object]) -> str:
    """Return hyperparameters as words for one line, those that everybody looks at first.

    They are the architecture, kernel size, stride, filters and learning rate, then others.
    """
    first = [key for key in (*WATCHED, ALWAYS_FOUND[1]) if key in values]
    others = [key for key in values if key not in first and key != ALWAYS_FOUND[0]]
    words = []
    if ALWAYS_FOUND[0] in values:
        words.append(str(values[ALWAYS_FOUND[0]]))
    for key in [*first, *others][:MOST_SHOWN]:
        words.append(f"{key.rpartition('.')[2]}={short(values[key])}")
    return " ".join(words)


def clock(seconds: float) -> str:
    """Return a duration as people say it: 45s, 3m20s, 1h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def train_result(result: "TrainResult", store: str = "", said: Collection[str] = ()) -> str:
    """Return the end of a run in about a dozen lines.

    `store` is the value of `--tracking-uri`: the next command needs it too. The notes in `said`
    have been printed already.
    """
    epoch = f"best epoch {result.best_epoch} of {result.epochs}"
    if result.stopped:
        epoch = f"{epoch}, stopped: {result.stopped}"
    lines = [
        result.verdict,
        leaderboard(result),
        f"{epoch}; {result.objective.name} {result.best_epoch_score:.4g} while it was fitted",
        f"cost       {result.cost_line}",
    ]
    if result.seeds_line:
        lines.insert(2, f"seeds      {result.seeds_line}")
    lines += _note_lines(note for note in result.notes if note not in said)
    lines += _model_lines(result, result.domain, store)
    return "\n".join(lines)


def _model_lines(result: "TrainResult | FoldsResult", domain: str, store: str) -> list[str]:
    """Return where the model and the run are, and the command that asks the model."""
    lines = []
    if result.model_file:
        lines.append(f"model      {result.model_file}")
    if result.run_id:
        run = result.run_id[:8]
        lines.append(f"run        {run}  {result.url}")
        lines.append(f"next       appline {domain} predict INPUT --run {run}{_store_flag(store)}")
    return lines


def folds_result(result: "FoldsResult", store: str = "", said: Collection[str] = ()) -> str:
    """Return the end of a cross-validation: the verdict, the means, the folds, the model.

    `store` and `said` are as for `train_result`.
    """
    headline = result.headline.name
    means = result.means("test")
    names = [headline, *(name for name in means if name != headline)][:MOST_METRICS]
    rows = []
    for name, scores in result.rows():
        rows.append([name, *(format_number(scores[metric]) for metric in names)])
    for number, fold in enumerate(result.folds, start=1):
        rows.append([f"fold {number}", *(format_number(fold.test[metric]) for metric in names)])
    better = {"max": "higher", "min": "lower"}[result.headline.direction]
    first = result.folds[0]
    title = (
        f"{first.domain} / {first.dataset}: test scores, mean over {len(result.folds)} folds "
        f"({headline}: {better} is better)"
    )
    notes: dict[str, None] = {}
    for fold in result.folds:
        notes |= dict.fromkeys(note for note in fold.notes if note not in said)
    lines = [
        result.verdict,
        table(["model", *names], rows, title=title),
        f"cost       {clock(result.seconds)} to train in all folds",
        *_note_lines(notes),
    ]
    lines += _model_lines(result, first.domain, store)
    return "\n".join(lines)


def dry_run(cost: "DryRun") -> str:
    """Return what a training would cost, layer by layer and as a whole."""
    rows = [(layer.name, layer.kind, layer.shape, f"{layer.params:,}") for layer in cost.layers]
    lines = [table(["layer", "kind", "output", "weights"], rows)]
    macs = "not known by arithmetic" if cost.macs is None else f"{cost.macs:,} an example"
    whole = cost.epochs * cost.epoch_s
    lines += [
        f"weights    {cost.params:,}",
        f"MACs       {macs} (multiply-accumulates, forward)",
        *([f"sees       {cost.sees}"] if cost.sees else []),
        f"memory     about {cost.memory_mb:,.0f} MB for a training step, beside the data",
        f"step       {cost.step_ms:,.1f} ms",
        f"epoch      about {clock(cost.epoch_s)}; {cost.epochs} epochs about {clock(whole)}",
        "dry run: the data can be read and the network can be built; nothing was kept",
    ]
    return "\n".join(lines)


def leaderboard(result: "TrainResult") -> str:
    """Return what answers, the network alone and the baselines: test scores and cost.

    The best baseline stands first among them.
    """
    headline = result.headline.name
    others = [name for name in result.test if name != headline]
    names = [headline, *others][:MOST_METRICS]
    baselines = {baseline.name: baseline.seconds for baseline in result.baselines}
    of_network, of_baselines = [], []
    for name, scores in result.rows():
        if name in baselines:
            of_baselines.append((name, scores))
        else:
            of_network.append((name, scores))
    higher_is_better = result.headline.direction == "max"
    of_baselines.sort(key=lambda row: row[1][headline], reverse=higher_is_better)
    rows = []
    for name, scores in [*of_network, *of_baselines]:
        weights = "" if name in baselines else f"{result.cost['params']:,.0f}"
        seconds = baselines.get(name, result.cost["train_s"])
        rows.append(_model_row(name, map(scores.get, names), weights, seconds))
    better = {"max": "higher", "min": "lower"}[result.headline.direction]
    title = f"{result.domain} / {result.dataset}: test scores ({headline}: {better} is better)"
    return table(["model", *names, "weights", "train s"], rows, title=title)


def scores_by(table_of_scores: "pd.DataFrame") -> str:
    """Return scores by what the first column names; of a long table its beginning.

    The second column is a number of examples.
    """
    shown = table_of_scores.head(MOST_PARTS)
    rows = []
    for first, count, *scores in shown.itertuples(index=False, name=None):
        rows.append([str(first), f"{count:,}", *map(format_number, scores)])
    text = table([f"by {table_of_scores.columns[0]}", *table_of_scores.columns[1:]], rows)
    if len(shown) < len(table_of_scores):
        text += f"\n({len(table_of_scores) - len(shown)} more: --json)"
    return text


def _model_row(
    name: str, scores: Iterable[float | None], weights: str, seconds: float
) -> list[str]:
    return [name, *map(format_number, scores), weights, f"{seconds:.1f}"]


def _store_flag(store: str) -> str:
    if not store:
        return ""
    if has_secret(store):  # the command would not run without it
        return "   (with MLFLOW_TRACKING_URI set as before)"
    return f" --tracking-uri {shlex.quote(store)}"


def trial_line(trial: "Trial", best: "Trial | None", total: int, objective: str) -> str:
    """Return a finished trial as one line, with the best one so far."""
    parts = [f"trial {trial.number}/{total} "]
    if trial.score is None:
        parts.append(f"FAILED {trial.reason[:80]} ")
    else:
        parts.append(f"{objective} {trial.score:.4f} ")
    parts.append(watched(trial.values))
    if trial.stopped_early:
        parts.append(f"stopped at epoch {trial.epochs}")
    if trial.replayed:
        parts.append("(recorded before)")
    else:
        parts.append(f"{trial.seconds:.1f} s")
    if best and best.score is not None:
        parts.append(f" best {best.score:.4f} (trial {best.number})")
    return " ".join(parts)


def sweep_result(result: "SweepResult", store: str = "", said: Collection[str] = ()) -> str:
    """Return the end of a sweep: the winner, what was found, and the final run.

    `store` and `said` are as in `train_result`.
    """
    from tuning.reports.run_card import describe_effect

    settings = "  ".join(f"{key}={short(value)}" for key, value in result.best.values.items())
    lines = [
        _sweep_headline(result),
        f"winner     trial {result.best.number}: {settings}",
        f"chosen by  {result.rule}",
    ]
    if len(result.objectives) > 1:
        lines += ["", _pareto_front(result), ""]
    watched_effects, clear_effects = [], []
    for effect in result.effects:
        if effect.key in WATCHED or effect.key in ALWAYS_FOUND:
            watched_effects.append(effect)
        elif effect.clear:
            clear_effects.append(effect)
    for effect in [*watched_effects, *clear_effects]:
        lines.append(f"found      {effect.key}  {describe_effect(effect)}")
    lines += ["", train_result(result.final, store, said)]
    if result.run_id:
        ui = f"appline ui{_store_flag(store)}"
        lines.append(f"compare    {ui}   (sweep {result.run_id[:8]})")
    return "\n".join(lines)


def _sweep_headline(result: "SweepResult") -> str:
    parts = [f"{count_of(len(result.trials), 'trial')} in {result.seconds:.0f} s"]
    if result.num_failed:
        parts.append(f"{result.num_failed} failed")
    if result.num_stopped_early:
        parts.append(f"{result.num_stopped_early} stopped early (saved {clock(result.saved)})")
    if result.exhausted:
        parts.append("every point of the space was tried")
    return ", ".join(parts)


def _pareto_front(result: "SweepResult") -> str:
    names = [objective.name for objective in result.objectives]
    rows = []
    for trial in result.front:
        scores = [f"{score:.4g}" for score in trial.scores]
        rows.append([trial.number, *scores, watched(trial.values)])
    title = "Pareto front: no other trial is better in every objective"
    return table(["trial", *names, ""], rows, title=title)


def estimate(cost: "Estimate") -> str:
    """Return what a sweep would cost: its space, the networks that were measured, the time."""
    rows = [_measured_row(measured) for measured in cost.measured]
    columns = ["network", "weights", "MACs", "ms a step", "s an epoch", "overhead (s)", ""]
    early = ""
    if cost.share < 1:
        early = f", of which {cost.early_stop} leaves about {cost.share:.0%}"
    baselines = f"baselines {clock(cost.baselines_s)}"
    if cost.baselines_from:
        baselines = f"baselines kept in run {cost.baselines_from[:8]}"
    return "\n".join(
        [
            _space_line(cost),
            table(columns, rows),
            f"trials     {cost.trials} of {cost.epochs} epochs{early}: "
            f"{clock(cost.trial_s)} each, {cost.workers} at a time",
            f"besides    {baselines}, "
            f"{count_of(cost.num_refits, 'refit')} of the best trials {clock(cost.refits_s)}, "
            f"the winner in full {clock(cost.final_s)}, start {clock(cost.start_s)}",
            f"total      about {clock(cost.seconds)}; nothing was kept",
        ]
    )


def _space_line(cost: "Estimate") -> str:
    space = cost.space
    total = "infinite (it has a continuous range)"
    if space.total is not None:
        total = f"{space.total:,} points"
    counts = f"{space.impossible:,} cannot be built, {space.equal:,} equal another one"
    if space.drawn:
        counts = f"of {space.looked_at:,} drawn at random {counts}"
    if space.over_limit:
        counts = f"{counts}, {space.over_limit:,} are over a limit"
    return f"space      {total}; {counts}"


def _measured_row(measured: "Measured") -> list[str]:
    macs = f"{measured.macs:,}" if measured.macs else "-"
    times = [
        f"{measured.step_ms:.2f}",
        f"{measured.epoch_s:.2f}",
        f"{measured.overhead_s:.1f}",
    ]
    if measured.reason:
        times = [measured.reason[:30], "", ""]
    return [measured.name, f"{measured.params:,}", macs, *times, watched(measured.values)]
