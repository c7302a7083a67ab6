"""Images to classes."""

from pipelines.vision import architectures as _architectures  # noqa: F401  # enters them into the registry
