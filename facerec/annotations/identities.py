"""Spell the identity of a face or a trajectory: a person's plain name, no face, not a person, or mixed.

Both kinds of ground truth and the metrics use these spellings, so that equal identities are equal strings.
"""

from __future__ import annotations

import re
import unicodedata

NO_FACE = "NOT_A_FACE"  # identity of a box without a face
MIXED = "MIXED"  # identity of a trajectory that shows several, none of them on most of its boxes
NOT = "not "  # prefix of the name of a person that it is not; plain names have no space


def plain_name(name: str) -> str:
    """Spell a person's name as truth files do: `Lin-Manuel Miranda` becomes `lin_manuel_miranda`.

    Accents are dropped; letters of other scripts stay.
    """
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "_", "".join(letters).casefold()).strip("_")


def is_person(identity: str) -> bool:
    """Return whether an identity is a person's plain name."""
    return identity not in (NO_FACE, MIXED) and not identity.startswith(NOT)
