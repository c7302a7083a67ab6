"""Text classification: words or characters in, one label (or several) out."""

# Imported because it enters the architectures into the registry.
from pipelines.text import architectures as _architectures  # noqa: F401
