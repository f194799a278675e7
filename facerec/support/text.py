"""Compare names that people wrote: without accents, case and punctuation."""

from __future__ import annotations

import re
import unicodedata


def fold(text: str) -> str:
    """Return the letters and digits of `text` in lower case, without accents, its words separated by spaces.

    Composed and decomposed Unicode give the same. Letters of other scripts stay.
    """
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", "".join(letters).casefold()).strip()
