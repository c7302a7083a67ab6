"""Time series to forecasts with their quantiles."""

import pipelines.forecast.architectures  # noqa: F401  # fills the registry
