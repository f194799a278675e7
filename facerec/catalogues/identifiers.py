"""Identifiers of people and films in IMDb, Wikidata and TMDB: actor ids, and the same as URIs."""

from __future__ import annotations

import re

_PATTERNS = (
    (re.compile(r"(?:(?:https?://)?(?:www\.|m\.)?imdb\.com/(?:[a-z-]+/)?name/)?(nm[0-9]{5,10})(?:[/?#].*)?"),
     "{}", "https://www.imdb.com/name/{}/"),
    (re.compile(r"(?:(?:https?://)?(?:www\.|m\.)?wikidata\.org/(?:entity|wiki)/|wd:)?(Q[1-9][0-9]*)(?:[?#].*)?"),
     "{}", "http://www.wikidata.org/entity/{}"),
    (re.compile(r"(?:(?:https?://)?(?:www\.)?themoviedb\.org/person/|tmdb:?)([1-9][0-9]*)(?:[-/?#].*)?"),
     "tmdb{}", "https://www.themoviedb.org/person/{}"),
)  # fmt: skip
_NAMESPACE = re.compile(r"(nm|Q|tmdb)[0-9]+")


def person_of(text: str) -> tuple[str, str] | None:
    """Return actor id and URI of a person; None if `text` identifies nobody in a known catalogue.

    `text` is an id (`nm0592225`, `Q7259`, `tmdb287`) or the address of a person's page.
    """
    text = text.strip().strip("<>")
    for pattern, actor_id, uri in _PATTERNS:
        if match := pattern.fullmatch(text):
            return actor_id.format(match[1]), uri.format(match[1])
    return None


def title_id(text: str) -> str:
    """Return the id in the address of a film in IMDb or Wikidata; an id itself is returned as it is."""
    match = re.fullmatch(r"https?://\S*?/(tt\d+|Q\d+)(?:[/?#]\S*)?", text)
    return match[1] if match else text


def imdb_id(digits: str) -> str:
    """Return the IMDb id of a person that is written as a number: `592225` is `nm0592225`."""
    return f"nm{digits.zfill(7)}"


def entity_of(text: str) -> str:
    """Return the Wikidata id in an id or address; empty if there is none."""
    found = person_of(text)
    return found[0] if found and found[0].startswith("Q") else ""


def namespace_of(actor_id: str) -> str:
    """Return the catalogue of an actor id: `nm`, `Q`, `tmdb`, or empty if it is not of these."""
    match = _NAMESPACE.fullmatch(actor_id)
    return match[1] if match else ""


def same_people(uris: tuple[str, ...]) -> set[str]:
    """Return what two spellings of the same identifiers have in common: actor ids where known, else URIs."""
    return {found[0] if (found := person_of(uri)) else uri.rstrip("/") for uri in uris}
