"""A run's card: what a person reads on its page in MLflow, as Markdown."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuning.reports.significance import Effect
    from tuning.search.sweep import SweepResult
    from tuning.training.train import Report


def card(report: "Report", figures: Sequence[str]) -> str:
    """Return verdict, scores beside baselines, cost, hyperparameters, notes and figures."""
    lines = [f"## {verdict(report)}", "", *scores(report), ""]
    lines += [f"Best epoch {report.best_epoch} of {report.epochs}: {report.objective.name} {report.best:.4g}"]
    if report.stopped:
        lines[-1] += f" (stopped: {report.stopped})"
    cost = report.cost
    lines += ["", f"**Cost** {cost['params']:,.0f} weights, {cost['train_s']:.0f} s to train, {cost['latency_ms_p50']:.2f} ms an example"]
    if report.changed:
        settings = ", ".join(f"`{key}={value}`" for key, value in report.changed.items())
        lines += ["", f"**Differs from the defaults** {settings}"]
    if report.notes:
        lines += ["", "**Notes**", *[f"- {note}" for note in report.notes]]
    if report.run_id:
        lines += ["", f"**Use it** `appline {report.domain} predict INPUT --run {report.run_id[:8]}`"]
        lines += ["", *[image(report.run_id, f"plots/{figure}.png", figure) for figure in figures]]
    return "\n".join(lines)


def verdict(report: "Report") -> str:
    """Return one sentence: does the network beat its strongest baseline (the one best on validation), and how sure is that?"""
    metric = report.headline.name
    if report.lift is None:
        return f"Test {metric} {report.test[metric]:.4g}, with no baseline to compare"
    lift = report.lift
    its = next(baseline.test[metric] for baseline in report.baselines if baseline.name == lift.baseline)
    sentence = f"The network {lift.verdict} {lift.baseline}: test {metric} {report.test[metric]:.4g} against {its:.4g}"
    return f"{sentence} (lift {lift.mean:+.2g}, 95 % interval {lift.low:+.2g} to {lift.high:+.2g})"


def scores(report: "Report") -> list[str]:
    """Return the table of test scores, the network first."""
    names = list(report.test)
    rows: list[tuple[str, Mapping[str, float]]] = [
        ("**network**", report.test),
        *((baseline.name, baseline.test) for baseline in report.baselines),
    ]
    lines = [f"| test | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    return lines + [f"| {name} | {' | '.join(number(values.get(metric)) for metric in names)} |" for name, values in rows]


def image(run_id: str, path: str, title: str) -> str:
    """Return an artifact of the run as a Markdown image, by the address that MLflow's own pages use."""
    return f"![{title}](get-artifact?path={path}&run_uuid={run_id})"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def sweep_card(swept: "SweepResult") -> str:
    """Return what a sweep found: the winner beside its baselines, and what each hyperparameter did."""
    failed = [trial for trial in swept.trials if trial.score is None]
    lines = [f"## {verdict(swept.final)}", "", *scores(swept.final), ""]
    lines += [f"{len(swept.trials)} trials in {swept.seconds:.0f} s, {len(failed)} failed. Best on validation: trial {swept.best.number}, "]
    lines[-1] += f"{swept.final.objective.name} {swept.best.score:.4g}"
    early = [trial for trial in swept.trials if trial.saved]
    if early:
        lines += [f"{len(early)} trials were stopped early, which spared {swept.saved:.0f} s."]
    if len(swept.objectives) > 1:
        lines += ["", "**Pareto front** (no other trial is better in every objective)", "", *front_table(swept)]
    settings = ", ".join(f"`{key}={value}`" for key, value in swept.best.values.items())
    lines += ["", f"**Winner** {settings}", "", "**What was found** (mean of the trials with this value, standard error, number)", ""]
    lines += [f"- `{effect.key}` {levels(effect)}" for effect in swept.effects]
    if swept.run_id:
        pictures = ["pareto", "progress", "effects"] if len(swept.objectives) > 1 else ["progress", "effects"]
        lines += ["", *(image(swept.run_id, f"plots/{name}.png", name) for name in pictures)]
    return "\n".join(lines)


def front_table(swept: "SweepResult") -> list[str]:
    """Return the Pareto front as a table, the best in the first objective first."""
    names = [objective.name for objective in swept.objectives]
    lines = [f"| trial | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    return lines + [f"| {trial.number} | {' | '.join(number(score) for score in trial.scores)} |" for trial in swept.front]


def levels(effect: "Effect") -> str:
    """Return one line: each value's mean score, and whether the difference is more than chance."""
    parts = [
        f"{label}: {mean:.4g}" + ("" if math.isnan(error) else f" ±{error:.2g}") + f" ({count})"
        for label, (mean, error, count) in effect.levels.items()
    ]
    if math.isnan(effect.p_value):
        found = "too few trials to tell"
    else:
        found = f"{effect.best} is best, p={effect.p_value:.2g}" if effect.clear else f"no clear difference, p={effect.p_value:.2g}"
    return f"{' | '.join(parts)} → {found}"
