"""Credits of The Movie Database: the JSON of `/movie/ID/credits` or of a movie with `credits` in it.

The format is described at https://developer.themoviedb.org/reference/movie-credits; series have
`/tv/ID/aggregate_credits`, with several roles a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facerec.catalogues.base import CastEntry, CastList, Format, Source, Wanted, text_of
from facerec.catalogues.dates import birthday_of
from facerec.catalogues.identifiers import person_of
from facerec.errors import ContractError


def _cast(document: Any) -> list[Any] | None:
    """Return the list of the cast; None if this is another document."""
    if not isinstance(document, dict):
        return None
    credits = next((c for key in ("credits", "aggregate_credits") if (c := document.get(key))), document)
    cast = credits.get("cast") if isinstance(credits, dict) else None
    if not isinstance(cast, list) or not all(isinstance(one, dict) and "name" in one for one in cast):
        return None
    return cast


def recognise(source: Source) -> bool:
    """Return whether a file is JSON with a list `cast` of people."""
    return _cast(source.document) is not None


def read(sources: Sequence[Source], wanted: Wanted) -> CastList:
    """Read the cast in the order of the credits."""
    (source,) = sources
    cast, document = _cast(source.document), source.document
    assert cast is not None
    if not cast:
        raise ContractError(source.path, "its list `cast` is empty")
    notes: list[str] = []
    places = {id(one): i for i, one in enumerate(cast)}
    ordered = sorted(cast, key=lambda one: (_order(one), places[id(one)]))
    entries = [_entry(source, one, places[id(one)], notes) for one in ordered]
    title = text_of(document.get("title") or document.get("name"))
    released = text_of(document.get("release_date") or document.get("first_air_date"))
    return CastList("TMDB credits", tuple(entries), title, released[:4], tuple(notes))


FORMAT = Format("TMDB's credits (JSON)", recognise, read)


def _order(one: Mapping[str, Any]) -> float:
    order = one.get("order")
    return float(order) if isinstance(order, int | float) else float("inf")


def _entry(source: Source, one: Mapping[str, Any], place: int, notes: list[str]) -> CastEntry:
    where = f"{source.path.name}, cast[{place}]"
    name = text_of(one.get("name"))
    if not name:
        raise ContractError(source.path, f"cast[{place}] has no name")
    roles = [text_of(one.get("character"))]
    if isinstance(several := one.get("roles"), list):  # of aggregate credits
        roles += [text_of(role.get("character")) for role in several if isinstance(role, dict)]
    birthday, doubt = birthday_of(text_of(one.get("birthday")))
    if doubt:
        notes.append(f"{where}: {doubt}")
    number = text_of(one.get("id"))
    found = person_of(f"tmdb{number}")
    if number and found is None:
        raise ContractError(source.path, f"cast[{place}] has the id {number[:40]!r}, which is no number")
    uris = [found[1]] if found else []
    if imdb := person_of(text_of(one.get("imdb_id"))):
        uris.append(imdb[1])
    return CastEntry(
        name,
        where,
        " / ".join(dict.fromkeys(filter(None, roles))),
        birthday,
        text_of(one.get("place_of_birth")),
        found[0] if found else "",
        tuple(uris),
        portraits=tuple(filter(None, [text_of(one.get("profile_path")).lstrip("/")])),
    )
