"""A leaderboard as text: the columns and cells that the terminal and the page share."""

from typing import TYPE_CHECKING

from apps import rendering
from tuning.reports.names import SEPARATOR

if TYPE_CHECKING:
    from tuning.comparison.leaderboard import Board, Standing

COLUMNS = (
    "run",
    "network",
    "name",
    "score",
    "lift, 95 % interval",
    "against best",
    "s",
    "weights",
)
LATENCY = "ms"
BETTER = {"max": "higher is better", "min": "lower is better"}
LEGEND = """\
lift          over the strongest baseline, above 0 is better
cheapest      the fewest weights among the best and those that tie with it
against best  paired on the same test examples: McNemar's exact test for right
              and wrong answers, else a t-test of the differences; p is
              corrected by Holm for the runs of a table
What differs between two of them: appline diff RUN_A RUN_B"""


def leaderboard(board: "Board") -> str:
    """Return a board as a table with a title."""
    metric = board.metric
    rows = [line_of(standing, metric.name) for standing in board.standings]
    title = (
        f"{board.title}: test {metric.name} ({BETTER[metric.direction]}), "
        f"data {board.digest[:8] or 'not known'}"
    )
    table = rendering.listing(
        [*COLUMNS, LATENCY],
        rows,
        title=title,
        numbers=("score", "s", "weights", LATENCY),
        wide=("name", "weights", LATENCY),
        shrinking=("network",),
    )
    return "\n".join([table, *cheapest_lines(board)])


def cheapest_lines(board: "Board") -> list[str]:
    """Return which run is the cheapest of those that tie with the best; nothing where none does."""
    cheapest = board.cheapest
    if cheapest is None:
        return []
    best = board.standings[0].run.metrics["cost/params"]
    if cheapest.is_best:
        return [f"cheapest within noise: the best itself, {best:,.0f} weights"]
    weights = cheapest.run.metrics["cost/params"]
    return [
        f"cheapest within noise: {cheapest.run.id[:8]} ({cheapest.network}), {weights:,.0f} "
        f"weights against {best:,.0f} of the best"
    ]


def line_of(standing: "Standing", metric: str) -> list[str]:
    """Return a run's cells of a leaderboard, in the order of `COLUMNS` and the latency."""
    costs = standing.run.metrics
    weights = costs.get("cost/params")
    latency = costs.get("cost/latency_ms_p50")
    seconds = costs.get("cost/train_s")
    return [
        standing.run.id[:8],
        standing.network,
        own_name(standing, metric),
        rendering.format_number(standing.score),
        lift_text(standing, metric),
        outcome_text(standing),
        "" if seconds is None else f"{seconds:,.0f}",
        "" if weights is None else f"{weights:,.0f}",
        "" if latency is None else f"{latency:.2f}",
    ]


def own_name(standing: "Standing", metric: str) -> str:
    """Return a run's name without what other columns say: its network and its score."""
    parts = []
    for part in standing.run.name.split(SEPARATOR):
        if part != standing.network and not part.startswith(f"{metric} "):
            parts.append(part)
    return SEPARATOR.join(parts)


def lift_text(standing: "Standing", metric: str) -> str:
    """Return the lift with its interval, "" without a baseline."""
    from tuning.comparison.headline import lift_of

    lift = lift_of(standing.run, metric)
    if lift is None:
        return ""
    mean, low, high = lift
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def outcome_text(standing: "Standing") -> str:
    """Return how a run compares with the best one, with the corrected p-value."""
    if standing.against_best is None:
        return standing.outcome
    return f"{standing.outcome} p {p_text(standing.p_value)}"


def p_text(p_value: float) -> str:
    """Return a p-value as statisticians write it."""
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")
