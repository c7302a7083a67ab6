"""What runs and views are called in MLflow: by what a person would ask for them."""

from collections.abc import Collection, Mapping

from pipelines import DOMAINS, options_class

CONVOLUTION = {"k": "conv.kernel_size", "s": "conv.stride", "f": "conv.filters"}
ARCHITECTURE = "architecture"
SEPARATOR = " · "
MOST_VALUES = 3  # of hyperparameters in the name of a trial


def network_name(domain: str, params: Mapping[str, object]) -> str:
    """Return the architecture with its kernel size, stride and filters: `vgg k3 s1 f32`.

    A network without convolutions has its name alone.
    """
    words = [str(params.get(ARCHITECTURE, domain))]
    for letter, key in CONVOLUTION.items():
        if key in params and _reads(domain, params, key):
            words.append(f"{letter}{params[key]}")
    return " ".join(words)


def _reads(domain: str, params: Mapping[str, object], key: str) -> bool:
    """Whether the architecture reads a hyperparameter."""
    if domain not in DOMAINS:
        return True
    readers = options_class(domain).conditions.get(key, {}).get(ARCHITECTURE)
    return readers is None or params.get(ARCHITECTURE) in readers


def trial_name(
    number: int, domain: str, params: Mapping[str, object], searched: Collection[str]
) -> str:
    """Return the name of a trial: its number, its network, and what was searched otherwise.

    What was searched otherwise is named where trials would be told apart by nothing else.
    """
    words = [network_name(domain, params)]
    if not {ARCHITECTURE, *CONVOLUTION.values()}.intersection(searched):
        for key in [key for key in searched if key in params][:MOST_VALUES]:
            words.append(f"{key.rpartition('.')[2]}={_short(params[key])}")
    return f"{number}{SEPARATOR}{' '.join(words)}"


def scored_name(name: str, metric: str, score: float) -> str:
    """Return the name of a run that was tested: what it is, and its score."""
    return f"{name}{SEPARATOR}{metric} {score:.3g}"


def sweep_view_name(name: str, trials: int, best: float) -> str:
    """Return the name of a sweep's view: the sweep, how many trials it has, the best score."""
    counted = "1 trial" if trials == 1 else f"{trials} trials"
    return f"{name}, {counted}, best {best:.3g}"


def _short(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
