"""Birthdays as people write them, turned into `dd.mm.yyyy` or `yyyy`."""

from __future__ import annotations

import re
from datetime import date

from facerec.support.text import fold

_MONTHS = (
    "january januar janvier enero gennaio janeiro januari",
    "february februar fevrier febrero febbraio fevereiro februari",
    "march marz maerz mars marzo marco maart",
    "april avril abril aprile",
    "may mai mayo maggio maio mei",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august aout agosto augustus",
    "september septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember decembre diciembre dicembre dezembro",
)
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_MONTH_OF |= {
    name[:3]: number for number, names in enumerate(_MONTHS, 1) for name in names.split()[:2]
}  # Jan, Okt
_ISO = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?:T.*|Z)?")
_POINTS = re.compile(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})")
_SLASHES = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")


def birthday_of(text: str) -> tuple[str, str]:
    """Return a birthday as `dd.mm.yyyy`, `yyyy` or empty, and a clause about what is not clear in it.

    A date in which day and month could be exchanged keeps its year only. An uncertain date is left out.
    """
    text = text.strip()
    if not text or text in ("\\N", "-", "?"):
        return "", ""
    if match := _ISO.fullmatch(text):
        year, month, day = match[1], int(match[2] or 0), int(match[3] or 0)
        return _checked(year, month, day, text) if month and day else (_year(year), "")
    if match := _POINTS.fullmatch(text):
        return _checked(match[3], int(match[2]), int(match[1]), text)
    if match := _SLASHES.fullmatch(text):
        one, two, year = int(match[1]), int(match[2]), match[3]
        if one == two or two > 12:
            return _checked(year, one, two, text)
        if one > 12:
            return _checked(year, two, one, text)
        return year, f"{text!r} may be day or month first, so only the year is taken"
    words = fold(text).split()
    months = [_MONTH_OF[word] for word in words if word in _MONTH_OF]
    numbers = [word for word in words if word.isascii() and word.rstrip("stndrhe").isdigit()]
    if len(months) == 1 and len(numbers) == 2 and len(words) <= 5:
        shorter, longer = sorted((word.rstrip("stndrhe") for word in numbers), key=len)
        if len(shorter) <= 2 and len(longer) == 4:
            return _checked(longer, months[0], int(shorter), text)
    return "", f"the birthday {text[:40]!r} is not understood, so it is left out; write dd.mm.yyyy or yyyy"


def _year(year: str) -> str:
    return year if int(year) else ""


def _checked(year: str, month: int, day: int, text: str) -> tuple[str, str]:
    try:
        date(int(year), month, day)
    except ValueError:
        return "", f"the birthday {text!r} is not a day of the calendar, so it is left out"
    return f"{day:02}.{month:02}.{year}", ""


def agree(one: str, other: str) -> bool:
    """Return whether two birthdays may be of one person: one is empty, equal, or the year of the other."""
    return not one or not other or one == other or (one[-4:] == other[-4:] and 4 in (len(one), len(other)))


def are_one_day(one: str, other: str) -> bool:
    """Return whether both are known to the day and are the same day."""
    return len(one) > 4 and one == other
