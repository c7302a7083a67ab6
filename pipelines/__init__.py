"""What is learned: one folder a domain, and the Keras parts that domains share."""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, cast

from pipelines.errors import UsageError, suggest

if TYPE_CHECKING:
    from pipelines.pipeline import Pipeline

# A domain is one line here, one folder beside this file and one module in apps/.
DOMAINS: dict[str, str] = {
    "vision": "pipelines.vision.pipeline:VisionPipeline",
    "text": "pipelines.text.pipeline:TextPipeline",
    "forecast": "pipelines.forecast.pipeline:ForecastPipeline",
    "recommend": "pipelines.recommend.pipeline:RecommendPipeline",
}


def register_layers(domain: str) -> None:
    """Import what registers the layers that a served model of `domain` holds: Keras loads a file only then."""
    importlib.import_module("pipelines.networks.custom_layers")
    package = pipeline_class(domain).__module__.rpartition(".")[0]
    if package and importlib.util.find_spec(f"{package}.serve"):  # a domain from elsewhere may be one module
        importlib.import_module(f"{package}.serve")


def pipeline_class(domain: str) -> "type[Pipeline[Any, Any]]":
    """Return the pipeline of `domain`, imported only now: a command needs one domain, not all."""
    if domain not in DOMAINS:
        raise UsageError(f"No domain is called {domain!r}.{suggest(domain, DOMAINS)} Known: {', '.join(DOMAINS)}")
    module, _, name = DOMAINS[domain].partition(":")
    return cast("type[Pipeline[Any, Any]]", getattr(importlib.import_module(module), name))
