"""Text for people and from people: counts with their nouns, names without accents, case and punctuation."""

from __future__ import annotations

import re
import unicodedata


def counted(n: int, singular: str, plural: str = "", digits: str = "d") -> str:
    """Return a number with its noun: `1 movie`, `2 movies`.

    Args:
        plural: if it is not the singular with an s.
        digits: format of the number; `,` separates thousands.
    """
    return f"{n:{digits}} {singular if n == 1 else plural or singular + 's'}"


def fold(text: str) -> str:
    """Return the letters and digits of `text` in lower case, without accents, its words separated by spaces.

    Composed and decomposed Unicode give the same. Letters of other scripts stay.
    """
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", "".join(letters).casefold()).strip()
