"""Text classification: words or characters in, one label (or several) out."""
