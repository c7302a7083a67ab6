"""The names of months, in English and in other languages whose tables are often met."""

import unicodedata

# In the order of months; accents are left out of what is looked up.
_NAMES = (
    "jan january januar janvier enero ene gennaio gen januari janeiro",
    "feb february februar fevrier fev febrero febbraio februari fevereiro",
    "mar march marz maerz mrz mars marzo maart mrt marco",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag mei maio",
    "jun june juni juin junio giugno giu junho",
    "jul july juli juillet juil julio luglio lug julho",
    "aug august aout aou agosto ago augustus",
    "sep sept september septembre septiembre settembre set setembro",
    "oct october oktober okt octobre octubre ottobre ott outubro out",
    "nov november novembre noviembre novembro",
    "dec december dezember dez decembre diciembre dic dicembre dezembro",
)
MONTHS = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split()}


def month_number(name: object) -> int | None:
    """Return the number of the month that is called so, None where none is."""
    if not isinstance(name, str):
        return None
    letters = unicodedata.normalize("NFKD", name.strip().rstrip(".").lower())
    return MONTHS.get("".join(letter for letter in letters if not unicodedata.combining(letter)))
