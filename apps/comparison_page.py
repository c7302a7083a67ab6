"""The page of `appline compare --html`: one file, nothing from outside."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from apps.leaderboard_text import BETTER, COLUMNS, LATENCY, LEGEND, cheapest_lines, line_of

if TYPE_CHECKING:
    from tuning.comparison.leaderboard import Board, Standing

# Both themes of a browser; colours that differ in brightness too.
STYLE = """
:root { color-scheme: light dark; --line: #8886; --tie: #777; --better: #0072b2; --worse: #d55e00 }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
svg { display: block; margin: 1rem 0; max-width: 100% }
svg text { fill: currentColor; font: 13px system-ui, sans-serif }
"""
CLOSEST_TICKS = 40  # pixels between two numbers below a plot
NUMBERS = ("score", "s", "weights", LATENCY)
# Pixels of the forest plot.
LABELS, PLOT, ROW, MARGIN = 240, 480, 26, 32


def page(boards: "Sequence[Board]") -> str:
    """Return the leaderboards as an HTML page, each with a forest plot of the lifts."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>appline: runs compared</title><style>{STYLE}</style><h1>Runs compared</h1>",
    ]
    for board in boards:
        metric = board.metric
        parts.append(
            f"<h2>{escape(board.title)}: test {escape(metric.name)} ({BETTER[metric.direction]}), "
            f"data {escape(board.digest[:8])}</h2>"
        )
        parts.append(_table(board))
        parts += [f"<p>{escape(line)}</p>" for line in cheapest_lines(board)]
        parts.append(_forest(board))
    parts.append(f"<pre>{escape(LEGEND)}</pre></html>")
    return "\n".join(parts)


def _table(board: "Board") -> str:
    columns = [*COLUMNS, LATENCY]
    rows = [_cells("th", columns, columns)]
    for standing in board.standings:
        rows.append(_cells("td", columns, line_of(standing, board.metric.name)))
    return f"<table>{''.join(rows)}</table>"


def _cells(tag: str, columns: Sequence[str], texts: Sequence[str]) -> str:
    cells = []
    for column, text in zip(columns, texts, strict=True):
        kind = ' class="number"' if column in NUMBERS else ""
        cells.append(f"<{tag}{kind}>{escape(text)}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _forest(board: "Board") -> str:
    """Return a plot of each run's lift over its strongest baseline, with the 95 % interval."""
    from tuning.comparison.headline import lift_of

    lifted = []
    ends = [0.0]
    for standing in board.standings:
        lift = lift_of(standing.run, board.metric.name)
        if lift:
            lifted.append((standing, lift))
            ends += lift[1:]
    if not lifted:
        return ""
    low, high = min(ends), max(ends)
    scale = PLOT / ((high - low) or 1.0)

    def across(value: float) -> float:
        return LABELS + MARGIN + (value - low) * scale

    height = ROW * (len(lifted) + 2)
    width = LABELS + PLOT + 2 * MARGIN
    zero = across(0.0)
    title = f"lift in {board.metric.name} over the strongest baseline, 95 % interval"
    parts = [
        f'<svg role="img" aria-label="{escape(title)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">',
        f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height - 2 * ROW}" '
        'stroke="currentColor" stroke-dasharray="3 3"/>',
    ]
    for row, (standing, lift) in enumerate(lifted):
        parts += _interval(standing, lift, (row + 0.5) * ROW, across)
    bottom = height - 1.3 * ROW
    ticks = {zero: "0"}
    for value in (low, high):
        if abs(across(value) - zero) > CLOSEST_TICKS:
            ticks[across(value)] = f"{value:+.2g}"
    for at, label in ticks.items():
        parts.append(f'<text x="{at:.1f}" y="{bottom:.1f}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{LABELS + MARGIN}" y="{height - 6}">{escape(title)}</text></svg>')
    return "".join(parts)


def _interval(
    standing: "Standing",
    lift: tuple[float, float, float],
    at: float,
    across: Callable[[float], float],
) -> list[str]:
    mean, low, high = map(across, lift)
    colour = "var(--tie)"
    if lift[1] > 0:
        colour = "var(--better)"
    elif lift[2] < 0:
        colour = "var(--worse)"
    label = escape(f"{standing.run.id[:8]} {standing.network}")
    return [
        f'<text x="0" y="{at + 4:.1f}">{label}</text>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{at}" y2="{at}" stroke="{colour}" '
        'stroke-width="2"/>',
        f'<circle cx="{mean:.1f}" cy="{at}" r="5" fill="{colour}"/>',
    ]
