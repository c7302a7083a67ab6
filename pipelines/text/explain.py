"""Which words have moved an answer: the model is asked again without each of them.

What is asked is the model that answers, with the TF-IDF that it may be blended with.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.io.picture_files import MOST_PICTURES, new_files, note_of
from pipelines.io.progress import counted
from pipelines.text import predict

BECAUSE = "because"
MOST_PIECES = 100  # of a text: longer ones are taken out a few words at a time
SHOWN = 5  # pieces for each text
DIGITS = 3
WORD = re.compile(r"\S+")

# --- of a picture
MOST_WORDS = 400  # of a text
WIDTH, MARGIN, LINE, FONT = 1000, 24, 34, 20  # pixels
LONGEST_WORD = 60  # characters
# Okabe and Ito, for all kinds of colour vision: what raises the probability, what lowers it.
RAISES, LOWERS = (0, 114, 178), (213, 94, 0)
PAPER, INK, GREY = (255, 255, 255), (16, 16, 16), (100, 100, 100)
STRONGEST = 0.75  # of the colour behind the word that counts most


@dataclass(frozen=True)
class Reasons:
    """The words of a text in their order, and what each has raised the probability of a class by.

    `pieces` are what was taken out together: different words, or neighbours in a long text.
    """

    pieces: Sequence[str]
    raised: np.ndarray

    def tell(self) -> str:
        """Return the pieces that count most in a few words."""
        order = np.argsort(-np.abs(self.raised), kind="stable")[:SHOWN]
        shown = self.raised.round(DIGITS) + 0.0  # without a minus before 0
        return ", ".join(f"{self.pieces[n]} {shown[n]:+.{DIGITS}f}" for n in order)

    def by_word(self, text: str) -> list[tuple[str, float]]:
        """Return each word of the text with what its piece has raised."""
        of_piece = dict(zip(self.pieces, self.raised.tolist(), strict=True))
        words = WORD.findall(text)
        if all(word in of_piece for word in words):
            return [(word, of_piece[word]) for word in words]
        by_word = []
        for piece, raised in zip(self.pieces, self.raised.tolist(), strict=True):
            by_word += [(word, raised) for word in piece.split()]
        return by_word


def contributions(served: keras.Model, text: str, label: int) -> tuple[list[str], np.ndarray]:
    """Return the words of a text, and by how much each has raised the probability of a class.

    That is the probability less the one of the text without this word, wherever it stands:
    `(words,)`. Of a text with more than `MOST_PIECES` words, neighbours are taken out together.
    """
    words = WORD.findall(text)
    pieces, without = _occluded(words)
    asked = np.asarray([text, *without], dtype=object)
    of_label = predict.predict_texts(served, asked)[:, label].astype(np.float64)
    return pieces, of_label[0] - of_label[1:]


def _occluded(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is taken out of a text, and what is left of it each time."""
    different = list(dict.fromkeys(words))
    if len(different) <= MOST_PIECES:
        left = [" ".join(word for word in words if word != piece) for piece in different]
        return different, left
    length = -(-len(words) // MOST_PIECES)
    starts = range(0, len(words), length)
    pieces = [" ".join(words[start : start + length]) for start in starts]
    left = [" ".join([*words[:start], *words[start + length :]]) for start in starts]
    return pieces, left


def reasons(served: keras.Model, texts: np.ndarray, labels: np.ndarray) -> list[Reasons]:
    """Return for each text `(n,)` what has moved the probability of its label."""
    found = []
    for row in counted(range(len(texts)), "texts explained", len(texts)):
        found.append(Reasons(*contributions(served, texts[row], labels[row])))
    return found


def draw_all(
    texts: np.ndarray,
    found: Sequence[Reasons],
    answers: Sequence[str],
    folder: Path,
    notes: list[str],
) -> np.ndarray:
    """Draw the first texts; return the file of each `(n,)`, None for those without a picture.

    `answers` are the labels whose probability the reasons are about.
    """
    files = np.full(len(texts), None, dtype=object)
    drawn = min(len(texts), MOST_PICTURES)
    for row, path in enumerate(new_files(folder, answers[:drawn])):
        draw(found[row].by_word(texts[row]), answers[row], path)
        files[row] = str(path)
    notes.append(note_of(folder, drawn, len(texts), "texts"))
    return files


def draw(by_word: Sequence[tuple[str, float]], answer: str, path: Path) -> None:
    """Draw a text whose words have the colours of what they have raised or lowered."""
    shown = by_word[:MOST_WORDS]
    strongest = max((abs(raised) for _, raised in by_word), default=0.0)
    font = _font()
    lines = _lines([(word[:LONGEST_WORD], raised) for word, raised in shown], font)
    image = Image.new("RGB", (WIDTH, 2 * MARGIN + LINE * (len(lines) + 2)), PAPER)
    pen = ImageDraw.Draw(image)
    legend = [(f"raises p({answer})", 1.0), ("", 0.0), ("lowers it", -1.0)]
    _write(pen, [(word[:LONGEST_WORD], raised) for word, raised in legend], MARGIN, 1.0, font)
    for number, line in enumerate(lines, start=1):
        _write(pen, line, MARGIN + LINE * number + LINE // 4, strongest, font)
    rest = f"; {len(by_word) - MOST_WORDS:,} further words" if len(by_word) > MOST_WORDS else ""
    end = f"darkest: {strongest:.{DIGITS}f} of the probability{rest}"
    pen.text((MARGIN, MARGIN + LINE * (len(lines) + 1) + LINE // 2), end, fill=GREY, font=font)
    image.save(path)


def _font() -> ImageFont.FreeTypeFont:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), FONT)


def _lines(
    by_word: Sequence[tuple[str, float]], font: ImageFont.FreeTypeFont
) -> list[list[tuple[str, float]]]:
    """Return the words in lines that fit the picture."""
    lines: list[list[tuple[str, float]]] = [[]]
    used = 0.0
    for word, raised in by_word:
        width = font.getlength(f"{word} ")
        if lines[-1] and used + width > WIDTH - 2 * MARGIN:
            lines.append([])
            used = 0.0
        lines[-1].append((word, raised))
        used += width
    return lines


def _write(
    pen: ImageDraw.ImageDraw,
    line: Sequence[tuple[str, float]],
    top: int,
    strongest: float,
    font: ImageFont.FreeTypeFont,
) -> None:
    left = float(MARGIN)
    for word, raised in line:
        width = font.getlength(word)
        share = STRONGEST * abs(raised) / strongest if strongest else 0.0
        color = RAISES if raised > 0 else LOWERS
        mixed = [round(share * c + (1 - share) * p) for c, p in zip(color, PAPER, strict=True)]
        pen.rectangle((left - 2, top, left + width + 2, top + LINE - 6), fill=tuple(mixed))
        pen.text((left, top + 1), word, fill=INK, font=font)
        left += width + font.getlength(" ")
