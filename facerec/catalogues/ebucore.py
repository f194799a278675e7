"""The cast in an EBUCore XML document (EBU Tech 3293), as broadcasters' archives export it.

The cast are the `contributor` elements with the `role` Actor: by the role's label in several languages, or
by the term 25.9 of EBU's classification of roles. EBUCore has no element for the character; `characterName`,
`character` and the role's `typeDefinition` are taken where an archive uses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from facerec.catalogues.base import CastEntry, CastList, Format, Source, Wanted
from facerec.catalogues.dates import birthday_of
from facerec.catalogues.identifiers import person_of
from facerec.errors import ContractError
from facerec.support.text import fold

_ROOTS = ("ebuCoreMain", "ebuCore", "coreMetadata")
_ENTITIES = ("contributor", "creator", "castMember")
_ROLE_NAMES = (
    "actor, actress, actors, actor actress, lead actor, lead actress, leading actor, leading actress, "
    "supporting actor, supporting actress, guest actor, cast, cast member, performer, player, darsteller, "
    "darstellerin, schauspieler, schauspielerin, acteur, actrice, acteurs, comedien, comedienne, interprete, "
    "interpretes, attore, attrice, actriz, ator, atriz, skadespelare"
)
_ROLES = frozenset(_ROLE_NAMES.split(", "))
_TERM = re.compile(r".*(RoleCode(CS)?[^#]*#|:RoleCode(CS)?:)25\.9")


def recognise(source: Source) -> bool:
    """Return whether a file is XML that begins as EBUCore."""
    start = source.start[:4096].lower()
    utf_16 = source.start[:4096].replace(b"\0", b"").lower()
    return b"<" in start[:8] and any(
        b"ebucore" in text or b"coremetadata" in text for text in (start, utf_16)
    )


def read(sources: Sequence[Source], wanted: Wanted) -> CastList:
    """Read the cast in the order of the document."""
    (source,) = sources
    content = source.content
    if re.search(rb"<!(DOCTYPE|ENTITY)", content.replace(b"\0", b""), re.IGNORECASE):
        raise ContractError(source.path, "has a DOCTYPE, which EBUCore does not need and is not read")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ContractError(source.path, f"is not XML ({error.msg})", error.position[0]) from None
    except LookupError as error:
        raise ContractError(source.path, f"is not XML that can be read ({error})") from None
    if _name(root) not in _ROOTS and not any(_name(one) in _ROOTS for one in root.iter()):
        raise ContractError(source.path, f"the outermost element is {root.tag!r}, not ebuCoreMain")
    notes: list[str] = []
    entries, others = [], set()
    for place, entity in enumerate((one for one in root.iter() if _name(one) in _ENTITIES), 1):
        if not _is_actor(entity):
            others |= {role.get("typeLabel", "") for role in _below(entity, "role")} - {""}
            continue
        entries.append(_entry(source, place, entity, notes))
    if not entries:
        roles = f"; its roles are {', '.join(sorted(others)[:10])}" if others else ""
        raise ContractError(source.path, f"no contributor has the role Actor{roles}")
    title = next((text for one in _below(root, "title") if (text := _text(one))), "")
    dates = [
        str(one.get("startYear") or one.get("startDate") or "") for one in _below(root, "released", "issued")
    ]
    year = next((date[:4] for date in dates if re.match("[0-9]{4}", date)), "")
    return CastList("EBUCore", tuple(entries), title, year, tuple(notes))


FORMAT = Format("EBUCore (XML)", recognise, read)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _below(element: ElementTree.Element, *names: str) -> Iterator[ElementTree.Element]:
    return (one for one in element.iter() if _name(one) in names)


def _text(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _first(element: ElementTree.Element, *names: str) -> str:
    return next((text for one in _below(element, *names) if (text := _text(one))), "")


def _is_actor(entity: ElementTree.Element) -> bool:
    if _name(entity) == "castMember":
        return True
    for role in _below(entity, "role"):
        label = fold(role.get("typeLabel") or _text(role))
        if label in _ROLES or _TERM.fullmatch(role.get("typeLink", "")):
            return True
    return False


def _entry(source: Source, place: int, entity: ElementTree.Element, notes: list[str]) -> CastEntry:
    where = f"{source.path.name}, contributor {place}"
    details = next(_below(entity, "contactDetails", "person"), entity)
    parts = (_first(details, "givenName"), *map(_text, _below(details, "otherGivenName")),
             _first(details, "familyName"), _first(details, "suffix"))  # fmt: skip
    name = next((text for one in details if _name(one) == "name" and (text := _text(one))), "")
    name = name or " ".join(filter(None, parts)) or _first(details, "stageName")
    if not name:
        raise ContractError(source.path, f"contributor {place} has the role Actor but no name")
    birthday, doubt = birthday_of(_first(details, "birthDate").removesuffix("Z")[:10])
    if doubt:
        notes.append(f"{where}: {doubt}")
    links = [details.get("contactId", ""), entity.get("entityId", "")]
    links += [_text(one) for one in _below(details, "relatedInformationLink")]
    people = [found for link in links if (found := person_of(link))]
    characters = [_text(one) for one in _below(entity, "characterName", "character")]
    characters += [role.get("typeDefinition", "") for role in _below(entity, "role")]
    return CastEntry(
        name,
        where,
        " / ".join(dict.fromkeys(filter(None, characters))),
        birthday,
        _first(details, "birthPlace"),
        people[0][0] if people else "",
        tuple(dict.fromkeys(uri for _, uri in people)),
    )
