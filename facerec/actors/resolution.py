"""Decide which people of a cast list are already in `actors.csv`.

Nothing is guessed: what the ids, identifiers and birthdays do not decide is a doubt, which the user settles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from facerec.actors.database import MAX_ID_LENGTH
from facerec.actors.people import KnownPerson, Member, name_key
from facerec.catalogues.base import CastEntry
from facerec.catalogues.dates import agree, are_one_day
from facerec.catalogues.identifiers import namespace_of, same_people
from facerec.support.shell import typed_arguments
from facerec.support.text import fold

# words that the labeling backend takes for an empty cell, a number or a truth value
_NOT_TEXT = frozenset(("na", "nan", "null", "none", "n a", "inf", "infinity", "true", "false"))


@dataclass(frozen=True)
class Resolution:
    """The people of a cast list.

    Attributes:
        doubts: sentences about people who cannot be told apart; they have no member.
        notes: sentences about decisions that the user may want to check.
        same: words of `--id` that settle doubts by taking the one person of `actors.csv` with the name.
    """

    members: tuple[Member, ...]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    same: tuple[str, ...] = ()


def resolve(
    entries: Iterable[CastEntry], known: Mapping[str, KnownPerson], movie_id: int, chosen: Mapping[str, str]
) -> Resolution:
    """Find the actor id of each person.

    Args:
        chosen: actor ids that the user decided, by name or by id in the list.
    """
    doubts: list[str] = []
    notes: list[str] = []
    decided = set(chosen.values())
    listed = _with_choices(tuple(entries), chosen, doubts)
    listed = _with_letters(listed, decided | known.keys(), notes)
    people = _one_entry_a_person(listed, doubts, notes)
    namesakes: dict[str, list[KnownPerson]] = {}
    for person in known.values():
        for key in {name_key(name) for name in person.names}:
            namesakes.setdefault(key, []).append(person)
    by_uri: dict[str, set[str]] = {}
    for person in known.values():
        for one in same_people(person.uris) | {person.actor_id}:
            by_uri.setdefault(one, set()).add(person.actor_id)
    members: list[Member] = []
    same: list[str] = []
    taken: dict[str, CastEntry] = {}
    count = Counter(name_key(entry.name) for entry in people)
    for entry in people:
        key = name_key(entry.name)
        is_chosen = entry.id in decided
        actor_id = _id_in(known, by_uri, entry, is_chosen=is_chosen, doubts=doubts, notes=notes)
        if actor_id == "" and not is_chosen:
            movie = movie_id if count[key] == 1 else None
            actor_id = _id_by_name(entry, namesakes.get(key, []), movie, doubts, notes, same)
        if actor_id is None:
            continue
        if not actor_id:
            actor_id = entry.id or _new_id(entry, known, taken)
        problem = "" if actor_id in known else _unusable(actor_id)
        if problem or actor_id in taken:
            problem = problem or f"is the id of {taken[actor_id].where} as well"
            doubts.append(f"{_named(entry)}: the actor id {actor_id!r} {problem}; {_choose(entry)}")
            continue
        taken[actor_id] = entry
        members.append(Member(actor_id, entry, known.get(actor_id)))
    return Resolution(tuple(members), tuple(doubts), tuple(notes), tuple(same))


def _one_entry_a_person(entries: Sequence[CastEntry], doubts: list[str], notes: list[str]) -> list[CastEntry]:
    """Join the entries of each person; those that may be one person or two are doubts."""
    groups: dict[tuple[str, str], list[CastEntry]] = {}
    for entry in entries:
        key = ("id", entry.id) if entry.id else ("name", name_key(entry.name))
        groups.setdefault(key, []).append(entry)
    with_id = {name_key(entry.name) for entry in entries if entry.id}
    people: list[CastEntry] = []
    for (kind, value), group in groups.items():
        first = group[0]
        if kind == "id":
            if len({name_key(entry.name) for entry in group}) > 1:
                names = " and ".join(f"{one.name!r} ({one.where})" for one in group[:4])
                doubts.append(f"the id {value!r} is that of {names}; correct it in the list")
                continue
            if not all(agree(first.birthday, entry.birthday) for entry in group):
                born = " and ".join(f"{one.birthday} ({one.where})" for one in group if one.birthday)
                doubts.append(f"{first.name!r} ({value}) is born {born}; correct it in the list")
                continue
            people.append(_joined(group))
        elif value in with_id:
            doubts.append(
                f"{_named(first)} has no id, but another row of this name has one; {_choose(first)}"
            )
        elif len({replace(one, where="") for one in group}) == 1:
            if len(group) > 1:
                notes.append(f"{first.name!r} is listed {len(group)} times with the same data and taken once")
            people.append(first)
        elif all(are_one_day(first.birthday, one.birthday) for one in group):
            people.append(_joined(group))
        else:
            days = [one.birthday for one in group]
            if all(days) and not any(agree(a, b) for i, a in enumerate(days) for b in days[i + 1 :]):
                people += group  # as many people as birthdays
                continue
            places = ", ".join(one.where for one in group[:6])
            doubts.append(
                f"{first.name!r} is listed {len(group)} times ({places}), as one person or as several; for "
                f"one person: {_choose(first)}; for several give each an id in a column `id`"
            )
    return people


def _joined(group: Sequence[CastEntry]) -> CastEntry:
    """Return one entry for the rows of a person: all roles, and the first of each other cell."""

    def first(values: Iterable[str]) -> str:
        return next(filter(None, values), "")

    def every(values: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one for several in values for one in several))

    return replace(
        group[0],
        role=" / ".join(dict.fromkeys(one.role for one in group if one.role)),
        birthday=max((one.birthday for one in group), key=len),
        birthplace=first(one.birthplace for one in group),
        uris=every(one.uris for one in group),
        pictures=every(one.pictures for one in group),
        portraits=every(one.portraits for one in group),
    )


def _with_choices(
    entries: Sequence[CastEntry], chosen: Mapping[str, str], doubts: list[str]
) -> list[CastEntry]:
    """Give people the ids that the user chose; a name of people with different ids is a doubt."""
    changed = list(entries)
    for choice, actor_id in chosen.items():
        places = [i for i, one in enumerate(entries) if one.id == choice]
        places = places or [i for i, one in enumerate(entries) if name_key(one.name) == name_key(choice)]
        ids = {entries[i].id for i in places} - {""}
        if not places:
            doubts.append(f"{typed_arguments('--id', choice)}: the list has no person of this name or id")
        elif len(ids) > 1:
            doubts.append(
                f"{typed_arguments('--id', choice)}: {len(ids)} people of the list have this name; give the "
                f"id "
                f"instead: "
                f"{typed_arguments('--id', f'{min(ids)}={actor_id}')}"
            )
        else:
            for i in places:
                changed[i] = replace(changed[i], id=actor_id)
    return changed


def _with_letters(entries: Sequence[CastEntry], known: Collection[str], notes: list[str]) -> list[CastEntry]:
    """Put a letter before ids that begin with none, which the labeling backend would take for numbers."""
    changed = [e.id for e in entries if e.id and e.id not in known and not e.id[:1].isalpha()]
    if changed:
        notes.append(f"ids get a letter, or the labeling backend changes them: {changed[0]} is p{changed[0]}")
    return [replace(e, id=f"p{e.id}") if e.id in changed else e for e in entries]


def _id_in(
    known: Mapping[str, KnownPerson],
    by_uri: Mapping[str, set[str]],
    entry: CastEntry,
    *,
    is_chosen: bool,
    doubts: list[str],
    notes: list[str],
) -> str | None:
    """Return the id of the person in `actors.csv` by id and identifiers.

    Returns:
        Empty if there is nobody, None if that is in doubt.
    """
    if entry.id in known:
        person = known[entry.id]
        if is_chosen or name_key(entry.name) in {name_key(name) for name in person.names}:
            return entry.id
        if not (namespace_of(entry.id) and agree(person.birthday(), entry.birthday)):
            doubts.append(
                f"{_named(entry)}: the id {entry.id!r} is that of {person.names[0]!r}, born "
                f"{person.birthday() or 'unknown'}, in actors.csv; {_choose(entry)}"
            )
            return None
        notes.append(f"{_named(entry)} has the id of {person.names[0]!r} and is taken as the same person")
        return entry.id
    same = set().union(*(by_uri.get(uri, set()) for uri in same_people(entry.uris)))
    if is_chosen or len(same) < 2:
        return "" if is_chosen else next(iter(same), "")
    ids = " and ".join(sorted(same))
    doubts.append(f"{_named(entry)} has the identifiers of {ids} in actors.csv; {_choose(entry)}")
    return None


def _id_by_name(
    entry: CastEntry,
    namesakes: Sequence[KnownPerson],
    movie_id: int | None,
    doubts: list[str],
    notes: list[str],
    same: list[str],
) -> str | None:
    """Return the id of the person in `actors.csv` by name and birthday, or by name and movie.

    Args:
        namesakes: people of `actors.csv` with this name.
        movie_id: of the movie; None if several people of this name are in its list.
        doubts, notes, same: of the `Resolution`, to be extended.

    Returns:
        As `_id_in`.
    """
    possible: list[KnownPerson] = []
    for person in namesakes:
        catalogue = namespace_of(entry.id)
        if catalogue and catalogue == namespace_of(person.actor_id):
            notes.append(
                f"{_named(entry)} is another person than {person.actor_id!r} in actors.csv, of the same name"
            )
        elif any(are_one_day(entry.birthday, birthday) for birthday in person.birthdays):
            if movie_id not in person.movies:
                notes.append(
                    f"{_named(entry)} is {person.actor_id!r} in actors.csv: the same name and birthday"
                )
            return person.actor_id
        elif agree(entry.birthday, person.birthday()):
            possible.append(person)
    here = [person for person in possible if movie_id in person.movies]
    if len(here) == 1:
        return here[0].actor_id
    if not possible:
        return ""
    if len(possible) == 1 and movie_id is not None:
        same.append(f"{entry.id or entry.name}={possible[0].actor_id}")
    who = ", ".join(f"{p.actor_id} (born {p.birthday() or 'unknown'})" for p in possible[:6])
    doubts.append(
        f"{_named(entry)}, born {entry.birthday or 'unknown'}: actors.csv has the name too: {who}. If it is "
        f"the same person: {_choose(entry, possible[0].actor_id)}; if not, their own id: "
        f"{_choose(entry, entry.id or _slug(entry) + '-2')}"
    )
    return None


def _new_id(entry: CastEntry, known: Mapping[str, KnownPerson], taken: Mapping[str, CastEntry]) -> str:
    """Return an id made of the name, and the birthday if another person has that id."""
    slug = _slug(entry)
    digits = "".join(reversed(entry.birthday.split(".")))
    for candidate in (slug, f"{slug}-{digits[:4]}", f"{slug}-{digits}"):
        if candidate not in known and candidate not in taken:
            return candidate
    return slug


def _slug(entry: CastEntry) -> str:
    slug = name_key(entry.name).replace(" ", "-")
    begins_badly = not slug[:1].isalpha() or slug.replace("-", " ") in _NOT_TEXT
    return (f"p-{slug}" if begins_badly else slug)[: MAX_ID_LENGTH - 10].strip("-")


def _unusable(actor_id: str) -> str:
    """Return why an actor id cannot be used, as a clause; empty if it can."""
    if len(actor_id) > MAX_ID_LENGTH:
        return f"has more than {MAX_ID_LENGTH} characters"
    if not actor_id[:1].isalpha() or fold(actor_id) in _NOT_TEXT:
        return "is not text for the labeling backend; begin it with a letter, as in p12"
    if actor_id != " ".join(actor_id.split()) or not actor_id.isprintable():
        return "has blanks or unprintable characters"
    return ""


def _named(entry: CastEntry) -> str:
    return f"{entry.name!r} ({entry.where})"


def _choose(entry: CastEntry, actor_id: str = "") -> str:
    """Return the option that says who a person is."""
    choice = typed_arguments("--id", f"{entry.id or entry.name}={actor_id or 'ID'}")
    return choice if actor_id else f"say who it is: {choice}"
