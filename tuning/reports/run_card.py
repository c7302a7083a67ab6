"""A run's card: what a person reads on its page in MLflow, as Markdown."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from pipelines.errors import count_of
from pipelines.evaluation.mistakes import shortened
from tuning.results.folds import FoldsResult
from tuning.results.sweep import Effect, SweepResult
from tuning.results.training import TrainResult

SHOWN_MISTAKES = 5
SHOWN_CHARACTERS = 90  # of a text of theirs
MISTAKE_COLUMNS = 5  # the last ones: whence an example comes is in the file
MOST_METRICS = 4  # beside the names of models: MLflow squeezes a wider table
# What Markdown may take for emphasis, code, a link, a tag or the end of a table's cell.
MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&#])")


def run_card(
    result: TrainResult, figures: Sequence[str], links: Mapping[str, str] | None = None
) -> str:
    """Return verdict, links, scores beside baselines, how it learned, cost, notes and figures.

    `figures` begin with where it errs. `links` are addresses by what they lead to.
    """
    stopped = f" (stopped: {result.stopped})" if result.stopped else ""
    lines = [f"## {result.verdict}", ""]
    if links:
        lines += [_links(links), ""]
    lines += [
        *score_table(result),
        "",
        f"**Cost** {result.cost['params']:,.0f} weights, {result.cost_line}",
    ]
    if result.run_id:
        command = f"appline {result.domain} predict INPUT --run {result.run_id[:8]}"
        lines += ["", f"**Use it** `{command}`", "", *_mistakes(result)]
        lines += _images(result.run_id, figures)
    lines += [
        "",
        f"Best epoch {result.best_epoch} of {result.epochs}: "
        f"{result.objective.name} {result.best_epoch_score:.4g} while it was fitted{stopped}",
        "",
        f"**Test part** used {count_of(result.test_uses, 'time')}, this one included",
    ]
    if result.seeds_line:
        lines += ["", f"**Seeds** {escape(result.seeds_line)}"]
    if result.changed:
        lines += ["", f"**Differs from the defaults** {_settings(result.changed)}"]
    if result.notes:
        lines += ["", "**Notes**"]
        lines += [f"- {escape(note)}" for note in result.notes]
    return "\n".join(lines)


def _mistakes(result: TrainResult) -> list[str]:
    """Return the worst mistakes of what answers as a short table; the whole one is a file."""
    for model, mistakes in result.mistakes.items():
        worst = mistakes.head(SHOWN_MISTAKES).iloc[:, -MISTAKE_COLUMNS:]
        if worst.empty:
            return []
        columns = [str(column) for column in worst.columns]
        lines = [
            "**Where it errs most** " + escape(model),
            "",
            *_table_head(columns[0], columns[1:]),
        ]
        for row in worst.itertuples(index=False):
            cells = [escape(shortened(str(cell), SHOWN_CHARACTERS)) for cell in row]
            lines.append(f"| {' | '.join(cells)} |")
        return [*lines, ""]
    return []


def _links(links: Mapping[str, str]) -> str:
    return " · ".join(f"[{what}]({address})" for what, address in links.items() if address)


def score_table(result: TrainResult) -> list[str]:
    """Return the table of test scores: what answers, the network alone, then the baselines.

    The metric that models are compared in comes first, with an arrow to what is better.
    """
    headline = result.headline.name
    names = [headline, *(name for name in result.test if name != headline)][:MOST_METRICS]
    arrow = "↑" if result.headline.direction == "max" else "↓"
    first = "test"
    if result.test_examples:
        first += f", {count_of(result.test_examples, 'example')}"
    lines = _table_head(first, [f"{headline} {arrow}", *names[1:]])
    (answer, test), *others = result.rows()
    lines.append(_table_row(f"**{escape(answer)}**", map(test.get, names)))
    for name, scores in others:
        lines.append(_table_row(escape(name), map(scores.get, names)))
    return lines


def folds_card(result: FoldsResult, links: Mapping[str, str]) -> str:
    """Return the verdict over all folds, links, mean scores beside baselines, and each fold."""
    headline = result.headline.name
    means = result.means("test")
    names = [headline, *(name for name in means if name != headline)][:MOST_METRICS]
    lines = [f"## {result.verdict}", "", _links(links), ""]
    lines += _table_head("test, mean over the folds", names)
    for number, (name, scores) in enumerate(result.rows()):
        first = escape(name) if number else f"**{escape(name)}**"
        lines.append(_table_row(first, map(scores.get, names)))
    lines += ["", *_table_head("fold", names)]
    for number, fold in enumerate(result.folds, start=1):
        lines.append(_table_row(str(number), map(fold.test.get, names)))
    lines += [
        "",
        "The interval is that of Nadeau and Bengio (2003): folds share most of their training "
        "data. The model has learned from all of the data, and nobody has tested it.",
    ]
    return "\n".join(lines)


def line_card(score: str, seconds: float, what: str) -> str:
    """Return the card of a run that has no page to read: what it is, its score, its cost."""
    return f"**{escape(what)}** {escape(score)}, {seconds:.1f} s"


def _table_head(first: str, names: Sequence[str]) -> list[str]:
    return [f"| {first} | {' | '.join(map(escape, names))} |", "|---|" + "---|" * len(names)]


def _table_row(first: str, scores: Iterable[float | None]) -> str:
    cells = " | ".join(map(format_number, scores))
    return f"| {first} | {cells} |"


def _settings(values: Mapping[str, object]) -> str:
    return ", ".join(_code(f"{key}={value}") for key, value in values.items())


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it as it is.

    Names of classes, columns and files may hold anything.
    """
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return `text` in the type of code, which knows no escapes."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def _images(run_id: str, figures: Sequence[str]) -> list[str]:
    return [image(run_id, f"plots/{figure}.png", figure) for figure in figures]


def image(run_id: str, path: str, title: str) -> str:
    """Return an artifact of the run as a Markdown image, by the address that MLflow's pages use."""
    return f"![{title}](get-artifact?path={path}&run_uuid={run_id})"


def format_number(value: float | None) -> str:
    """Return a score for a table; an empty text where there is none."""
    return "" if value is None else f"{value:.4g}"


def sweep_card(result: SweepResult, links: Mapping[str, str]) -> str:
    """Return what a sweep found: the winner beside its baselines, and hyperparameters' effects."""
    lines = [
        f"## {result.final.verdict}",
        "",
        _links(links),
        "",
        *score_table(result.final),
        "",
        f"{count_of(len(result.trials), 'trial')} in {result.seconds:.0f} s, "
        f"{result.num_failed} failed, {_epochs(result)}. "
        f"Winner: trial {result.best.number}, "
        f"{result.final.objective.name} {result.best.score:.4g} on validation",
        "",
        f"**Chosen by** {escape(result.rule)}",
    ]
    if result.num_stopped_early:
        lines.append(
            f"{result.num_stopped_early} trials were stopped early, "
            f"which saved {result.saved:.0f} s."
        )
    figures = ["progress", "effects"]
    if len(result.objectives) > 1:
        title = "**Pareto front** (no other trial is better in every objective)"
        lines += ["", title, "", *_front_table(result)]
        figures.insert(0, "pareto")
    title = (
        "**What was found** (mean of the trials with this value, standard error, number; p-values "
        "are corrected for the number of hyperparameters, and come from a search, which does not "
        "try values at random)"
    )
    lines += ["", f"**Winner** {_settings(result.best.values)}", "", title, ""]
    lines += [f"- `{effect.key}` {describe_effect(effect)}" for effect in result.effects]
    if result.run_id:
        lines.append("")
        lines += _images(result.run_id, figures)
    return "\n".join(lines)


def _epochs(result: SweepResult) -> str:
    """Return how long trials were trained, against the final run."""
    most = max(trial.epochs for trial in result.trials)
    return f"of {count_of(most, 'epoch')} at most, the final run of {result.final.epochs}"


def _front_table(result: SweepResult) -> list[str]:
    """Return the Pareto front as a table, the best in the first objective first."""
    lines = _table_head("trial", [objective.name for objective in result.objectives])
    for trial in result.front:
        lines.append(_table_row(str(trial.number), trial.scores))
    return lines


def describe_effect(effect: Effect) -> str:
    """Return one line: the mean score of each value, and whether the difference is clear."""
    parts = []
    for value, level in effect.levels.items():
        error = "" if math.isnan(level.standard_error) else f" ±{level.standard_error:.2g}"
        parts.append(f"{value}: {level.mean:.4g}{error} ({level.count})")
    conclusion = _conclusion(effect)
    if effect.together:
        conclusion += f"; changed together with {', '.join(effect.together)}: not told apart"
    return f"{' | '.join(parts)} → {conclusion}"


def _conclusion(effect: Effect) -> str:
    if not effect.testable:
        return "too few trials to tell"
    if effect.clear:
        return f"{effect.best} is best, p={effect.p_value:.2g}"
    return f"no clear difference, p={effect.p_value:.2g}"
