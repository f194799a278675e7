"""Spell the identity of a face or a trajectory: a person's plain name, no face, not a person, or mixed.

Both kinds of ground truth and the metrics use these spellings, so that equal identities are equal strings.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from facerec.support.text import fold

NO_FACE = "NOT_A_FACE"  # identity of a box without a face
MIXED = "MIXED"  # identity of a trajectory that shows several, none of them on most of its boxes
NOT = "not "  # prefix of the name of a person that it is not; plain names have no space


def plain_name(name: str) -> str:
    """Spell a person's name as truth files do: `Lin-Manuel Miranda` becomes `lin_manuel_miranda`.

    Accents are dropped; letters of other scripts stay.
    """
    return fold(name).replace(" ", "_")


def is_person(identity: str) -> bool:
    """Return whether an identity is a person's plain name."""
    return identity not in (NO_FACE, MIXED) and not identity.startswith(NOT)


def ids_by_name(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the ids that have each plain name.

    Args:
        names: by id, in any spelling.
    """
    ids: dict[str, list[str]] = {}
    for one, name in names.items():
        ids.setdefault(plain_name(name), []).append(one)
    return ids


def ids_of_label(label: str, ids: Container[str], by_name: Mapping[str, list[str]]) -> list[str]:
    """Return the actors that a label may mean: the one with this id, or else those with this name.

    Args:
        ids: of all actors; by_name: see `ids_by_name`.
    """
    return [label] if label in ids else by_name.get(plain_name(label), [])
