"""Which points of a space are worth starting: those that can be built, within limits on what they
cost.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.config.search_space import Scalar, Space, flatten
from pipelines.errors import DataError, ImpossibleSpec, UsageError, suggest
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits

LIMITED: Mapping[str, Callable[[int], float]] = {
    "cost/params": float,
    "cost/mb": lambda params: params * 4 / 2**20,
}


def parse(texts: tuple[str, ...]) -> dict[str, float]:
    """Return what `--limit cost/params=200000` says.

    Raises:
        UsageError: an unknown cost, or no number above 0.
    """
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in LIMITED:
            known = f"{suggest(name, LIMITED)} Known: {', '.join(LIMITED)}"
            raise UsageError(f"--limit {text}: limited is what is known before building.{known}")
        try:
            found[name] = float(value.replace("_", ""))
        except ValueError:
            found[name] = 0.0
        if not found[name] > 0:
            raise UsageError(
                f"--limit {text}: expected a number above 0, such as --limit {name}=200000"
            )
    return found


def feasible(
    pipeline: AnyPipeline, space: Space[Any], splits: Splits, limits: Mapping[str, float]
) -> Callable[[Mapping[str, Scalar]], bool]:
    """Return what tells whether a point can be built and keeps the limits, by arithmetic where the
    domain has it.
    """
    built: dict[tuple[object, ...], int] = {}

    def keeps(values: Mapping[str, Scalar]) -> bool:
        spec = space.spec(values)
        try:
            pipeline.check(spec, splits)
        except ImpossibleSpec:
            return False
        except DataError:  # a file that a hyperparameter names: a trial fails and says why, which does not end the sweep
            return not limits
        if not limits:
            return True
        # How it is trained does not change how large it is, and building a large backbone takes
        # seconds.
        size = tuple(value for key, value in flatten(spec).items() if not key.startswith("train."))
        if size not in built:
            built[size] = num_params(pipeline, spec, splits)
        return within(built[size], limits)

    return keeps


def within(params: int, limits: Mapping[str, float]) -> bool:
    return all(LIMITED[name](params) <= most for name, most in limits.items())


def num_params(pipeline: AnyPipeline, spec: Any, splits: Splits) -> int:
    """Return the weights of a network: by arithmetic, or by building it, where the domain's
    arithmetic does not reach.
    """
    cost = pipeline.cost(spec, splits)
    return cost.params if cost else int(pipeline.build(spec, splits).count_params())
