"""What a person sees: results on stdout, progress on stderr, bars only on a terminal."""

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from tuning.search.estimate import Estimate
    from tuning.search.scheduler import Trial
    from tuning.search.sweep import SweepResult
    from tuning.training.train import Report

WATCHED = ("conv.kernel_size", "conv.stride", "conv.filters")


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Where output goes: `say` for progress (stderr), `result` for what was asked for (stdout)."""

    quiet: bool = False
    json: bool = False

    def say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text, err=True)

    def result(self, text: str, plain: Mapping[str, Any] | None = None) -> None:
        """Print `text`, or with `--json` the one object that stands for it."""
        import json

        click.echo(json.dumps(_finite(plain), default=str, allow_nan=False) if self.json and plain is not None else text)

    def on_epoch(self, epochs: int, objective: str) -> "EpochLine":
        return EpochLine(self, epochs, objective)


def _finite(plain: Any) -> Any:
    """Return plain data with null for what is no number: JSON has no NaN."""
    if isinstance(plain, Mapping):
        return {key: _finite(value) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_finite(value) for value in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


class EpochLine:
    """One line an epoch; on a terminal one line in all, written over."""

    def __init__(self, screen: Screen, epochs: int, objective: str) -> None:
        self._screen, self._epochs, self._objective = screen, epochs, objective
        self._terminal = sys.stderr.isatty()
        self._begun = False

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        if self._screen.quiet:
            return
        score = f"{self._objective} {values[self._objective]:.4g}" if self._objective in values else "on train and val"
        line = f"epoch {epoch}{f'/{self._epochs}' if self._epochs else ''}  loss {values['loss']:.4g}  {score}"
        over = "\x1b[1A\x1b[2K" if self._terminal and self._begun else ""  # a training may end at any epoch: each line ends itself
        click.echo(f"{over}{line}", err=True)
        self._begun = True


def console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 110, highlight=False, soft_wrap=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> str:
    """Return rows as aligned text."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, title_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 or not column else "right", overflow="fold")
    for row in rows:
        made.add_row(*[str(cell) for cell in row])
    stream = io.StringIO()
    Console(file=stream, width=max(100, console().width), highlight=False).print(made)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines() if line.strip())


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def leaderboard(report: "Report") -> str:
    """Return the network beside its baselines: test scores and cost."""
    names = list(report.test)[:4]
    head = report.headline.name
    names = [head, *[name for name in names if name != head]]
    rows: list[list[object]] = [
        ["network", *[number(report.test.get(name)) for name in names], f"{report.cost['params']:,.0f}", f"{report.cost['train_s']:.1f}"]
    ]
    rows += [
        [baseline.name, *[number(baseline.test.get(name)) for name in names], "", f"{baseline.seconds:.1f}"]
        for baseline in report.baselines
    ]
    order = [
        0,
        *sorted(range(1, len(rows)), key=lambda at: report.baselines[at - 1].test[head], reverse=report.headline.direction == "max"),
    ]
    arrow = "higher" if report.headline.direction == "max" else "lower"
    title = f"{report.domain} / {report.dataset}: test scores ({head}: {arrow} is better)"
    return table(["model", *names, "weights", "train s"], [rows[at] for at in order], title=title)


def report(report: "Report", store: str = "") -> str:
    """Return the end of a run in about a dozen lines; `store` is what `--tracking-uri` said: the next command needs it too."""
    from tuning.reports.run_card import verdict

    lines = [verdict(report), leaderboard(report)]
    ended = f", stopped: {report.stopped}" if report.stopped else ""
    lines.append(f"best epoch {report.best_epoch} of {report.epochs}{ended}; {report.objective.name} {report.best:.4g}")
    lines.append(f"cost       {report.cost['train_s']:.1f} s to train, {report.cost['latency_ms_p50']:.2f} ms an example")
    lines += [f"note       {note}" for note in report.notes]
    if report.run_id:
        lines.append(f"run        {report.run_id[:8]}  {report.url}")
        lines.append(f"next       appline {report.domain} predict INPUT --run {report.run_id[:8]}{_at(store)}")
    return "\n".join(lines)


def trial(done: "Trial", best: "Trial | None", total: int, objective: str) -> str:
    """Return a finished trial as one line, with the best one so far."""
    score = f"{objective} {done.score:.4f}" if done.score is not None else f"FAILED {done.reason[:80]}"
    so_far = f"  best {best.score:.4f} (trial {best.number})" if best and best.score is not None else ""
    again = " (recorded before)" if done.replayed else f" {done.seconds:.1f} s"
    early = f" stopped at epoch {done.epochs}" if done.saved else ""
    return f"trial {done.number}/{total}  {score}  {watched(done.values)}{early}{again}{so_far}"


def watched(values: Mapping[str, object]) -> str:
    """Return the hyperparameters that everybody looks at: architecture, kernel size, stride, filters."""
    settings = " ".join(f"{key.rpartition('.')[2]}={short(value)}" for key, value in values.items() if key in WATCHED)
    return f"{values['architecture']} {settings}" if "architecture" in values else settings


def clock(seconds: float) -> str:
    """Return a duration as people say it: 45s, 3m20s, 1h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def swept(found: "SweepResult", store: str = "") -> str:
    """Return the end of a sweep: the winner, what was found, and the final run; `store` as in `report`."""
    from tuning.reports.run_card import levels

    failed = sum(one.score is None for one in found.trials)
    settings = "  ".join(f"{key}={short(value)}" for key, value in found.best.values.items())
    head = f"{len(found.trials)} trials in {found.seconds:.0f} s" + (f", {failed} failed" if failed else "")
    early = sum(bool(one.saved) for one in found.trials)
    head += f", {early} stopped early (spared {clock(found.saved)})" if early else ""
    if found.exhausted:
        head += "; the space is exhausted"
    main = [effect for effect in found.effects if effect.key in WATCHED]
    others = [effect for effect in found.effects if effect.key not in WATCHED and effect.clear]
    lines = [head, f"winner     trial {found.best.number}: {settings}"]
    if len(found.objectives) > 1:
        names = [objective.name for objective in found.objectives]
        rows = [[one.number, *[f"{score:.4g}" for score in one.scores], watched(one.values)] for one in found.front]
        lines += ["", table(["trial", *names, ""], rows, title="Pareto front: no other trial is better in every objective"), ""]
    lines += [f"found      {effect.key}  {levels(effect)}" for effect in [*main, *others]]
    compare = [f"compare    appline ui{_at(store)}   (sweep {found.run_id[:8]})"] if found.run_id else []
    return "\n".join([*lines, "", report(found.final, store), *compare])


def _at(store: str) -> str:
    return f" --tracking-uri {shlex.quote(store)}" if store else ""


def estimate(cost: "Estimate") -> str:
    """Return what a sweep would cost: its points, corner models, time."""
    points = cost.points
    total = "endless (a range is continuous)" if points.total is None else f"{points.total:,}"
    of = f"of {points.looked_at:,} drawn at random " if points.drawn else ""
    lines = [f"points     {total}; {of}{points.impossible:,} cannot be built, {points.equal:,} equal another one"]
    lines[0] += f", {points.over_limit:,} are over a limit" if points.over_limit else ""
    rows = [
        [
            one.name,
            f"{one.params:,}",
            f"{one.macs:,}" if one.macs else "-",
            *([one.reason[:30], "", ""] if one.reason else [f"{one.step_ms:.2f}", f"{one.epoch_s:.2f}", f"{one.beside_s:.1f}"]),
            watched(one.values),
        ]
        for one in cost.measured
    ]
    lines.append(table(["network", "weights", "MACs", "ms a step", "s an epoch", "s beside", ""], rows))
    early = f", of which {cost.early_stop} leaves about {cost.share:.0%}" if cost.share < 1 else ""
    lines.append(f"trials     {cost.trials} of {cost.epochs} epochs{early}: {clock(cost.trial_s)} each, {cost.workers} at a time")
    lines.append(f"beside     baselines {clock(cost.baselines_s)}, the winner in full {clock(cost.final_s)}, start {clock(cost.start_s)}")
    lines.append(f"in all     about {clock(cost.seconds)}; nothing was kept")
    return "\n".join(lines)


def plain_estimate(cost: "Estimate") -> dict[str, Any]:
    """Return what `--json` prints."""
    import dataclasses

    plain = dataclasses.asdict(cost)
    del plain["points"]["possible"]
    return {**plain, "seconds": cost.seconds}


def short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
