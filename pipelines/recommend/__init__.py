"""Interactions of users with items to recommendations, or to ratings."""

from pipelines.recommend import (
    architectures as _architectures,  # noqa: F401  # enters them into the registry
)
