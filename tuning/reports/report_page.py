"""`report.html`: what a sweep or its final run found, as one file that can be mailed."""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from tuning.reports.run_card import describe_effect, format_number
from tuning.results.sweep import SweepResult
from tuning.results.training import TrainResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT = "report.html"  # the artifact
# Both themes of a browser.
STYLE = """
:root { color-scheme: light dark; --line: #8886; --muted: #666; --faint: #bbb }
@media (prefers-color-scheme: dark) { :root { --muted: #aaa; --faint: #555 } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse; font-size: .875rem } .wide { overflow-x: auto }
th:first-child, td:first-child { position: sticky; left: 0; background: Canvas }
summary { cursor: pointer; margin: .5rem 0 }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left }
td { max-width: 28rem; vertical-align: top }
figure { margin: 1rem 0; width: fit-content; max-width: 100% }
svg { display: block; max-width: 100%; height: auto; fill: currentColor }
"""
# What of a figure follows the theme: matplotlib's black, its greys for what matters less, and those
# for lines in the background. Near-black, on a coloured ground, stays.
THEMED = {
    "#000000": "currentColor",
    "#666666": "var(--muted)",
    "#808080": "var(--muted)",
    "#8a8f98": "var(--muted)",
    "#b0b0b0": "var(--faint)",
    "#b3b3b3": "var(--faint)",
    "#bfbfbf": "var(--faint)",
    "#e6e8eb": "var(--line)",
}
SHOWN_MISTAKES = 10  # of a model; the others are folded away
MOST_TRIALS = 200  # in the table, the best first


def final_report(result: TrainResult, figures: "Mapping[str, Figure]") -> str:
    """Return the report of a trained run: verdict, scores, then its figures."""
    return _page(
        f"{result.domain} / {result.dataset}: {result.network}",
        [*_verdict(result), *_figures(figures), *_mistakes(result)],
    )


def sweep_report(result: SweepResult, figures: "Mapping[str, Figure]") -> str:
    """Return the report of a sweep: its winner, effects with figures, and every trial."""
    final = result.final
    effects = []
    for effect in result.effects:
        effects.append(f"<li><code>{escape(effect.key)}</code> {escape(describe_effect(effect))}")
    final_figures = dict(final.figures)
    lifts = final_figures.pop("lifts", None)
    parts = [
        *_verdict(final),
        *_figures({"lifts": lifts} if lifts else {}),
        "<h2>What was found</h2>",
        "<p>Mean of the trials with each value, standard error, number. P-values are corrected for "
        "the number of hyperparameters; the search did not try values at random.</p>",
        f"<ul>{''.join(effects)}</ul>",
        *_figures(figures),
        "<h2>Trials, the best first</h2>",
        _trials(result),
        f"<h2>The final model: {escape(final.network)}</h2>",
        *_figures(final_figures, "final-"),
        *_mistakes(final),
    ]
    return _page(f"{final.domain} / {final.dataset}: sweep of {len(result.trials)} trials", parts)


def _verdict(result: TrainResult) -> list[str]:
    names = list(result.test)
    rows = []
    for name, scores in result.rows():
        rows.append([name, *(format_number(scores.get(key)) for key in names)])
    examples = f"test, {result.test_examples:,} examples"
    return [f"<p><strong>{escape(result.verdict)}</strong></p>", _table([examples, *names], rows)]


def _mistakes(result: TrainResult) -> list[str]:
    parts = []
    for model, mistakes in result.mistakes.items():
        parts.append(f"<h2>Worst mistakes: {escape(model)}</h2>")
        rows = [[_short(cell) for cell in row] for row in mistakes.itertuples(index=False)]
        heads = list(mistakes.columns)
        parts.append(_table(heads, rows[:SHOWN_MISTAKES]) if rows else "<p>None.</p>")
        further = rows[SHOWN_MISTAKES:]
        if further:
            parts.append(f"<details><summary>{len(further)} further ones</summary>")
            parts.append(f"{_table(heads, further)}</details>")
    return parts


def _trials(result: SweepResult) -> str:
    objective = result.objectives[0]
    scored = [trial for trial in result.trials if trial.score is not None]
    scored.sort(key=lambda trial: trial.scores[0], reverse=objective.direction == "max")
    failed = [trial for trial in result.trials if trial.score is None]
    keys = [effect.key for effect in result.effects]
    rows = []
    for trial in [*scored, *failed][:MOST_TRIALS]:
        values = [_short(trial.values.get(key, "")) for key in keys]
        score = trial.reason or format_number(trial.score)
        rows.append([str(trial.number), score, f"{trial.seconds:.1f}", *values])
    return _table(["trial", objective.name, "seconds", *keys], rows)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{escape(head)}</th>" for head in heads)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return f'<div class="wide"><table>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def _figures(figures: "Mapping[str, Figure]", prefix: str = "") -> list[str]:
    """Return the figures with their names as headings; `prefix` begins the ids inside of them."""
    parts = []
    for name, figure in figures.items():
        title = escape(name.replace("_", " ").capitalize())
        parts.append(f"<h2>{title}</h2><figure>{_svg(figure, f'{prefix}{name}-')}</figure>")
    return parts


def _svg(figure: "Figure", prefix: str) -> str:
    """Return a figure as inline SVG; `prefix` keeps its ids apart from those of other figures."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = re.sub("|".join(THEMED), lambda found: THEMED[found[0]], buffer.getvalue())
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", svg[svg.index("<svg") :])
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def _page(title: str, parts: Sequence[str]) -> str:
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>"
    )
    return "\n".join([head, *parts, "</html>"])
