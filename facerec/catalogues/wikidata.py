"""Wikidata's own JSON: the film's entity and those of its cast, in one file or several.

Such files are `Special:EntityData/Q172241.json` and the answers of `wbgetentities`. The film's entity has the
ids of its cast only; names and birthdays are in the people's entities. The format is described at
https://www.wikidata.org/wiki/Special:MyLanguage/Wikidata:Data_access.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facerec.catalogues.base import CastEntry, CastList, Format, Source, Wanted, text_of
from facerec.catalogues.dates import birthday_of
from facerec.catalogues.identifiers import entity_of, person_of
from facerec.errors import ContractError, InputError

_CAST_MEMBER, _CHARACTER, _CHARACTER_NAME = "P161", "P453", "P4633"
_BORN, _BIRTHPLACE, _IMDB, _IMAGE, _TMDB = "P569", "P19", "P345", "P18", "P4985"
_TITLE, _PUBLISHED = "P1476", "P577"
_DAY, _YEAR = 11, 9  # precisions of a time
_AT_ONCE = 50  # entities that wbgetentities gives at once
_API = "https://www.wikidata.org/w/api.php?action=wbgetentities&format=json&ids="

Entity = Mapping[str, Any]


def _entities(document: Any) -> dict[str, Entity] | None:
    """Return the entities of a document by id; None if it is another document."""
    if not isinstance(document, dict):
        return None
    found = document.get("entities")
    if isinstance(found, dict):
        return {key: one for key, one in found.items() if isinstance(one, dict)}
    if isinstance(document.get("claims"), dict) and entity_of(text_of(document.get("id"))):
        return {str(document["id"]): document}
    return None


def recognise(source: Source) -> bool:
    """Return whether a file is JSON with entities of Wikidata."""
    return _entities(source.document) is not None


def read(sources: Sequence[Source], wanted: Wanted) -> CastList:
    """Read the cast that the film's entity lists."""
    entities: dict[str, Entity] = {}
    for source in sources:
        entities |= _entities(source.document) or {}
    path = sources[0].path
    film_id = _film(entities, wanted, path)
    film, language = entities[film_id], wanted.language
    members: dict[str, list[str]] = {}
    for statement in _statements(film, _CAST_MEMBER):
        if person := _item(statement.get("mainsnak")):
            members.setdefault(person, []).extend(_roles(statement, entities, language))
    nameless = [person for person in members if not _label(entities.get(person, {}), language)]
    if nameless:
        ids = "|".join(nameless[:_AT_ONCE])
        more = f" (and {len(nameless) - _AT_ONCE} more, {_AT_ONCE} at once)" if nameless[_AT_ONCE:] else ""
        raise InputError(
            f"{path}: names {len(nameless)} of {len(members)} people of the cast by their ids only; save "
            f"their entities to a file and give it as well: {_API}{ids}{more}"
        )
    notes: list[str] = []
    entries = [
        _entry(person, entities[person], entities, roles, language, notes)
        for person, roles in members.items()
    ]
    years = [time[1:5] for time in _times(film, _PUBLISHED, least=_YEAR)]
    return CastList(
        "Wikidata entities",
        tuple(entries),
        _label(film, language),
        min(years, default=""),
        tuple(notes),
    )


FORMAT = Format("Wikidata's entities (JSON)", recognise, read, several=True)


def _film(entities: Mapping[str, Entity], wanted: Wanted, path: object) -> str:
    """Return the id of the film: the only entity with a cast, or the one that was asked for."""
    films = [key for key, one in entities.items() if _statements(one, _CAST_MEMBER)]
    if wanted.film_id:
        if wanted.film_id not in films:
            raise InputError(f"{path}: has no cast (P161) of {wanted.film_id!r}; an id is as in Q172241")
        return wanted.film_id
    if not films:
        raise InputError(f"{path}: no entity in it has a cast (P161); save the film's: {_API}Q172241")
    if len(films) > 1:
        raise InputError(
            f"{path}: has the casts of {', '.join(films[:6])}; give one with --title-id {films[0]}"
        )
    return films[0]


def _statements(entity: Entity, property_id: str) -> list[dict[str, Any]]:
    """Return the statements of a property, preferred ones alone if there are any, without deprecated ones."""
    claims = entity.get("claims")
    found = claims.get(property_id) if isinstance(claims, dict) else None
    usable = [
        one
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict) and one.get("rank") != "deprecated"
    ]
    preferred = [one for one in usable if one.get("rank") == "preferred"]
    # a cast is a list of facts: a preferred member does not replace the others
    return preferred if preferred and property_id != _CAST_MEMBER else usable


def _value(snak: Any) -> Any:
    value = snak.get("datavalue") if isinstance(snak, dict) else None
    return value.get("value") if isinstance(value, dict) else None


def _item(snak: Any) -> str:
    """Return the id of the item that a snak names; empty if it names none."""
    value = _value(snak)
    if not isinstance(value, dict):
        return ""
    return text_of(value.get("id")) or (f"Q{number}" if (number := _integer(value.get("numeric-id"))) else "")


def _texts(entity: Entity, property_id: str) -> list[str]:
    return [
        text for one in _statements(entity, property_id) if (text := text_of(_value(one.get("mainsnak"))))
    ]


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _times(entity: Entity, property_id: str, least: int) -> list[str]:
    """Return the times of a property of at least a precision, as +1906-12-09T00:00:00Z."""
    values = [_value(one.get("mainsnak")) for one in _statements(entity, property_id)]
    known = [one for one in values if isinstance(one, dict) and _integer(one.get("precision")) >= least]
    times = [text_of(one.get("time")) for one in known]
    return [time for time in times if time.startswith("+") and time[1:5].isdigit()]


def _label(entity: Entity, language: str) -> str:
    """Return the name of an entity in a language, else the one for all languages, English, or any."""
    labels = entity.get("labels")
    if not isinstance(labels, dict):
        return ""
    order = (language, "mul", "en", *labels)
    found = next((labels[key] for key in order if isinstance(labels.get(key), dict)), None)
    return text_of(found.get("value")) if found else ""


def _roles(statement: Mapping[str, Any], entities: Mapping[str, Entity], language: str) -> list[str]:
    """Return the characters that a statement of the cast names; items without a label are left out."""
    qualifiers = statement.get("qualifiers")
    if not isinstance(qualifiers, dict):
        return []
    named, items_named = (
        found if isinstance(found := qualifiers.get(key), list) else ()
        for key in (_CHARACTER_NAME, _CHARACTER)
    )
    texts = [text_of(_value(snak)) for snak in named]
    items = [_label(entities.get(_item(snak), {}), language) for snak in items_named]
    return [role for role in (*texts, *items) if role]


def _entry(
    person: str,
    entity: Entity,
    entities: Mapping[str, Entity],
    roles: Sequence[str],
    language: str,
    notes: list[str],
) -> CastEntry:
    found = person_of(person)
    if found is None:
        raise ContractError(person, "is not the id of an entity, as Q7259")
    name = _label(entity, language)
    uris = [found[1]]
    uris += [one[1] for text in _texts(entity, _IMDB) if (one := person_of(text))]
    uris += [one[1] for text in _texts(entity, _TMDB) if (one := person_of(f"tmdb{text}"))]
    days = {birthday_of(time[1:11])[0] for time in _times(entity, _BORN, least=_DAY)}
    years = {time[1:5] for time in _times(entity, _BORN, least=_YEAR)}
    birthday = next(iter(days if len(days) == 1 else years if len(years) == 1 else {""}))
    if not birthday and years:
        notes.append(f"{person}: Wikidata has several birthdays of {name}, so none is taken")
    places = [
        _label(entities.get(_item(s.get("mainsnak")), {}), language) for s in _statements(entity, _BIRTHPLACE)
    ]
    return CastEntry(
        name,
        person,
        " / ".join(dict.fromkeys(roles)),
        birthday,
        next(filter(None, places), ""),
        found[0],
        tuple(dict.fromkeys(uris)),
        portraits=tuple(_texts(entity, _IMAGE)),
    )
