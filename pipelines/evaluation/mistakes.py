"""What tables of mistakes share: how long they are, and how long their texts."""

MOST_MISTAKES = 50  # rows of a table that people read
SHOWN_CHARACTERS = 300  # of a text in it


def shortened(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return a text in one line of at most `most` characters; what is left out is marked."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"
