"""What is learned: one folder for each domain, and the parts that domains share.

from pipelines import create_pipeline

pipeline = create_pipeline("vision", data="pets/", image_size=64)
"""

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any, cast

from pipelines.errors import UsageError, suggest
from pipelines.io.progress import working

if TYPE_CHECKING:
    from pipelines.config.options import Options
    from pipelines.pipeline import AnyPipeline
    from pipelines.splits import Splits

__all__ = [
    "DOMAINS",
    "create_pipeline",
    "load_data",
    "options_class",
    "pipeline_class",
    "pipeline_for",
]

# A domain is one line here, one folder beside this file and one module in apps/. Its folder holds a
# module `options` with the class `VisionOptions` (light: read by --help) and a module `pipeline`
# with `VisionPipeline` (heavy).
DOMAINS: dict[str, str] = {
    "vision": "pipelines.vision:Vision",
    "text": "pipelines.text:Text",
    "forecast": "pipelines.forecast:Forecast",
    "recommend": "pipelines.recommend:Recommend",
}


def options_class(domain: str) -> "type[Options]":
    """Return the options class of `domain`; this imports nothing heavy."""
    return cast("type[Options]", _class(domain, "options"))


def pipeline_class(domain: str) -> "type[AnyPipeline]":
    """Return the pipeline class of `domain`; this imports TensorFlow."""
    return cast("type[AnyPipeline]", _class(domain, "pipeline"))


def load_data(options: "Options") -> "Splits":
    """Read, split and audit the data of `options`, as `Pipeline.load` does.

    What is refused is refused before TensorFlow is imported.

    Raises:
        DataError: the data cannot be used.
    """
    splits: Splits = _module(options.domain, "data").load(options)
    with working("the audit"):
        findings = _module(options.domain, "audit").audit(splits)
    return dataclasses.replace(splits, findings=findings)


def pipeline_for(options: "Options") -> "AnyPipeline":
    """Return the pipeline for these options."""
    return pipeline_class(options.domain)(options)


def create_pipeline(domain: str, **options: Any) -> "AnyPipeline":
    """Return the pipeline of `domain` with these options.

    `appline <domain> train --help` lists the options.

    Raises:
        UsageError: there is no such domain or option; the message gives the nearest name.
    """
    options_type = options_class(domain)
    known = options_type.option_names()
    for name in options:
        if name not in known:
            raise UsageError(f"{domain} has no option {name!r}.{suggest(name, known)}")
    return pipeline_for(options_type(**options))


def _class(domain: str, module: str) -> Any:
    name = f"{_entry(domain)[1]}{module.title()}"
    return getattr(_module(domain, module), name)


def _module(domain: str, module: str) -> Any:
    return importlib.import_module(f"{_entry(domain)[0]}.{module}")


def _entry(domain: str) -> tuple[str, str]:
    """Return the package of a domain, and the word with which its classes begin."""
    if domain not in DOMAINS:
        known = ", ".join(DOMAINS)
        raise UsageError(f"There is no domain {domain!r}.{suggest(domain, DOMAINS)} Known: {known}")
    package, _, name = DOMAINS[domain].partition(":")
    return package, name
