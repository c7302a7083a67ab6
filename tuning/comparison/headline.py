"""The test metric in which a run is compared, read back from what it has recorded."""

from pipelines import DOMAINS, options_class
from pipelines.config.options import Objective
from tuning.tracking.interface import Row

LIFT = "lift/"
LIFT_BOUNDS = ("lift/low", "lift/high")
VALIDATION = "val_"


def headline_of(run: Row) -> Objective | None:
    """Return the metric in which a run is compared; None where the run has no test score.

    It is the metric of its lift; without a baseline, the domain's own.
    """
    if run.domain not in DOMAINS:
        return None
    options_type = options_class(run.domain)
    name = options_type.headline.name
    for key in run.metrics:
        if key.startswith(LIFT) and key not in LIFT_BOUNDS:
            name = key.removeprefix(LIFT)
    if f"test/{name}" not in run.metrics:
        return None
    # Further tasks of a domain, such as ratings, have the metric of one of its objectives.
    for objective in (options_type.headline, *options_type.objectives):
        if objective.name.removeprefix(VALIDATION) == name:
            return Objective(name=name, direction=objective.direction)
    return None


def lift_of(run: Row, metric: str) -> tuple[float, float, float] | None:
    """Return the lift of a run in `metric` with the ends of its interval.

    It is None where one of them was not kept: without a baseline, or of a value that is not finite.
    """
    names = (f"{LIFT}{metric}", *LIFT_BOUNDS)
    if not all(name in run.metrics for name in names):
        return None
    mean, low, high = (run.metrics[name] for name in names)
    return mean, low, high


def short_verdict(run: Row) -> str:
    """Return a run's verdict in two or three words, such as `beats knn`; "" without one."""
    verdict = run.tags.get("verdict", "")
    for subject in ("the network ", "the blend "):
        verdict = verdict.removeprefix(subject)
    return verdict.partition(" (")[0].partition(":")[0]
