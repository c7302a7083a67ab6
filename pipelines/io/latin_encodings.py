"""Which encoding of one byte a letter a text in Latin letters has: of Windows, DOS or the Mac.

All of these read every text, and most read it wrongly. Told apart they are by the languages that
are written in them: read rightly, the letters with accents are those of one language. What Windows
writes in the west is taken unless another encoding gives a language and that one gives none.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

WESTERN = "cp1252"
# The letters beyond a to z of languages.
LETTERS_OF_WEST = (
    "àâæçèéêëîïôœùûüÿ",  # French
    "äöüß",  # German
    "áéíñóúü",  # Spanish
    "ãáàâçéêíóôõúü",  # Portuguese
    "àèéìîòóù",  # Italian
    "àçèéíïòóúü",  # Catalan
    "æøåéóèêâ",  # Danish and Norwegian
    "äöåé",  # Swedish and Finnish
    "äöüõ",  # Estonian
    "áéíóúëïöüèêà",  # Dutch
    "áðéíóúýþæö",  # Icelandic
    "áéíóú",  # Irish
)
LETTERS_OF_CENTRAL_EUROPE = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "áéíóöőúüű",  # Hungarian
    "čćđšž",  # Croatian, Slovene and Bosnian
    "ăâîşţ",  # Romanian
)
LETTERS_OF_TURKEY = ("çğıöşüâîûİ",)
LETTERS_OF_BALTICS = ("ąčęėįšųūž", "āčēģīķļņšūž")
# In the order in which they are tried: those that are used most come first.
LANGUAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cp1250": LETTERS_OF_CENTRAL_EUROPE,
        "iso8859_2": LETTERS_OF_CENTRAL_EUROPE,
        "cp1254": LETTERS_OF_TURKEY,
        "cp1257": LETTERS_OF_BALTICS,
        "mac_roman": LETTERS_OF_WEST,
        "cp850": LETTERS_OF_WEST,
        "cp852": LETTERS_OF_CENTRAL_EUROPE,
    }
)
COVERED = 0.97  # the least share of letters that belong to the language
NOT_COVERED = 0.92  # the most that may do so in the west, where another encoding is taken
FEWEST_DIFFERING = 6  # letters that another encoding reads differently
FEWEST_KINDS = 3  # different ones of them
FEWEST_KINDS_OF_WINDOWS = 2  # Hungarian has two, and few files come from DOS or a Mac
# Marks that may stand between letters, and letters that belong to no language.
NEUTRAL = frozenset("’‘´`·–—…ªºµ\u00a0\u00ad")  # noqa: RUF001


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A text in one encoding: how often it has each letter beyond a to z, and marks for letters.

    These are marks inside a word, capitals behind small letters, and control characters.
    """

    letters: Counter[str]
    marks: int

    @property
    def total(self) -> int:
        """How much of the text tells a language, or is in none."""
        return self.letters.total() + self.marks

    def covered(self, languages: Collection[str]) -> float:
        """Return the largest share of the letters that belongs to one of these languages."""
        best = 0
        for alphabet in languages:
            best = max(best, sum(self.letters[letter] for letter in alphabet + alphabet.upper()))
        return best / self.total if self.total else 1.0


def is_western(raw: bytes) -> bool:
    """Return whether a text is plainly in a western language, as Windows writes it there."""
    try:
        text = raw.decode(WESTERN)
    except UnicodeDecodeError:
        return False
    return _reading(text).covered(LETTERS_OF_WEST) >= COVERED


def latin_encoding(raw: bytes) -> str:
    """Return the encoding that plainly gives a language, "" where none but that of the west does.

    A short text, one with few accents, and one in several languages says too little.
    """
    western = _reading(raw.decode(WESTERN, "replace"))
    if western.covered(LETTERS_OF_WEST) > NOT_COVERED:
        return ""
    counts = Counter(byte for byte in raw if byte > 127)
    best, best_covered = "", 0.0
    for encoding, languages in LANGUAGES.items():
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        differing = [number for byte, number in counts.items() if _differs(byte, encoding)]
        is_usual = encoding.startswith(("cp125", "iso"))
        kinds = FEWEST_KINDS_OF_WINDOWS if is_usual else FEWEST_KINDS
        if len(differing) < kinds or sum(differing) < FEWEST_DIFFERING:
            continue
        reading = _reading(text)
        covered = reading.covered(languages)
        if covered > max(best_covered, COVERED) and reading.total >= FEWEST_DIFFERING:
            best, best_covered = encoding, covered
    return best


def _differs(byte: int, encoding: str) -> bool:
    one = bytes([byte])
    return one.decode(WESTERN, "replace") != one.decode(encoding, "replace")


def _reading(text: str) -> _Reading:
    letters: Counter[str] = Counter()
    marks = 0
    for match in re.finditer(r"[^\x00-\x7f]", text):
        character, begin, end = match.group(), match.start(), match.end()
        before, after = text[max(begin - 1, 0) : begin], text[end : end + 1]
        if character in NEUTRAL:
            continue
        is_capital_inside = character.isupper() and before.islower()
        if character.isalpha() and not is_capital_inside:
            letters[character] += 1
        elif is_capital_inside or (before.isalpha() and after.isalpha()) or character < "\xa0":
            marks += 1
    return _Reading(letters=letters, marks=marks)
